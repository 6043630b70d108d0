"""Weights in half precision, in files that are small enough to be carried."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

MOST_BYTES = 15_800_000


def save_weights(network: nn.Module, stem: Path, most_bytes: float = MOST_BYTES) -> list[Path]:
    """Write `stem`.safetensors, or several such files with a number each; return them."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in network.state_dict().items():
        stored = tensor.half() if tensor.is_floating_point() else tensor
        stored = stored.contiguous().cpu()
        if parts[-1] and size + stored.nbytes > most_bytes:
            parts.append({})
            size = 0
        parts[-1][name] = stored
        size += stored.nbytes
    paths = []
    for index, part in enumerate(parts, start=1):
        number = f"-{index}of{len(parts)}" if len(parts) > 1 else ""
        paths.append(stem.with_name(f"{stem.name}{number}.safetensors"))
        save_file(part, paths[-1])
    return paths


def load_weights(network: nn.Module, paths: list[Path]) -> None:
    """Fill `network` with the weights in `paths`, which hold every tensor of it once."""
    tensors: dict[str, Tensor] = {}
    for path in paths:
        tensors |= load_file(path)
    with torch.no_grad():
        network.load_state_dict(tensors)
