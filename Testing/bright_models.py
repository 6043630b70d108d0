"""Tiny models that find bright voxels, for tests that need some model, not a good one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from TumorSegLib.networks import build_network

TUMOUR = {
    "value": 1,
    "name": "Tumour",
    "colour": [255, 196, 0],
    "category": {
        "scheme": "SCT",
        "value": "49755003",
        "meaning": "Morphologically Altered Structure",
    },
    "type": {"scheme": "SCT", "value": "4147007", "meaning": "Mass"},
    "region": {"scheme": "SCT", "value": "12738006", "meaning": "Brain"},
}
LIVER = {
    "value": 1,
    "name": "Liver",
    "colour": [221, 130, 101],
    "category": {"scheme": "SCT", "value": "123037004", "meaning": "Anatomical Structure"},
    "type": {"scheme": "SCT", "value": "10200004", "meaning": "Liver"},
}
LIVER_TUMOUR = {**TUMOUR, "value": 2, "name": "Liver tumour", "colour": [144, 238, 144]}
BRAIN_CHANNELS = [
    {"name": "flair", "title": "FLAIR"},
    {"name": "t1", "title": "T1", "replaced_by": "flair"},
    {"name": "t1c", "title": "T1 after contrast", "replaced_by": "flair"},
]


def write_model(folder: Path, model_id: str, **changes: Any) -> Path:
    """Write a bundle of a narrow U-Net that segments what is bright, and return its folder."""
    labels = changes.pop("labels", [TUMOUR])
    channels = changes.pop("channels", BRAIN_CHANNELS)
    width = changes.pop("width", 4)
    arguments = {"in_channels": len(channels), "out_channels": len(labels), "width": width}
    arguments["depth"] = changes.pop("depth", 2)
    network = build_network("U-Net", arguments)
    bundle = folder / model_id
    bundle.mkdir(parents=True)
    save_file(_bright(network, len(labels)).state_dict(), bundle / "weights.safetensors")
    content = {
        "id": model_id,
        "title": f"Tiny {model_id}",
        "version": "1",
        "description": "Bright voxels.",
        "modality": "MR",
        "anatomy": "brain",
        "input": {
            "channels": channels,
            "in_plane": {"kind": "field_of_view", "size": 128},
            "normalisation": {"kind": "foreground"},
        },
        "labels": labels,
        "network": {"name": "U-Net", "arguments": arguments},
        "weights": {
            "sha256": hashlib.sha256((bundle / "weights.safetensors").read_bytes()).hexdigest(),
            "dtype": "float32",
            "parameters": sum(p.numel() for p in network.parameters()),
        },
        "licence": "CC0",
        **changes,
    }
    (bundle / "model.json").write_text(json.dumps(content))
    return bundle


def write_ct_model(folder: Path, model_id: str, **changes: Any) -> Path:
    """Write a bundle for CT with two labels; `window` is that of its normalisation, in HU."""
    low, high = changes.pop("window", (-160, 240))
    return write_model(
        folder,
        model_id,
        modality="CT",
        anatomy="abdomen",
        channels=[{"name": "ct", "title": "CT"}],
        labels=changes.pop("labels", [LIVER, LIVER_TUMOUR]),
        input={
            "channels": [{"name": "ct", "title": "CT"}],
            "in_plane": {"kind": "field_of_view", "size": 128},
            "normalisation": {"kind": "window", "low": low, "high": high},
        },
        **changes,
    )


def _bright(network: nn.Module, labels: int) -> nn.Module:
    """Hand the first input channel through to the head, which thresholds it.

    Label k of n begins at a brightness of 0.55 + 0.25 k / n, with a soft edge.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.zero_()
                if module.bias is not None:
                    module.bias.zero_()
        skip = network.head.in_channels
        for block, source in ((network.contracting[0], 0), (network.expanding[-1], skip)):
            for index, channel in ((0, source), (3, 0)):
                block[index].weight[0, channel, 1, 1] = 1
        for label in range(labels):
            network.head.weight[label, 0] = 25
            network.head.bias[label] = -25 * (0.55 + 0.25 * label / labels)
    return network
