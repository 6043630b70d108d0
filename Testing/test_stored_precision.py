"""That storing weights as int8 changes nothing: shipped models beside fp32 weights.

The fp32 weights of a shipped model are gone. Weights drawn from all that round to the stored ones
stand in for them: the trained ones were among these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load

from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import load_forest, load_network, write_bundle
from TumorSegLib.model.catalogue import SHIPPED, Catalogue
from TumorSegLib.model.stored_weights import SCALE, STEPS, to_bytes
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

MODELS = [
    bundle
    for bundle in Catalogue.of([SHIPPED]).bundles
    if bundle.specification.task == "segmentation" and not bundle.specification.members
]


def unrounded(bundle, generator):
    """Return a bundle's network, every weight moved by up to half of a step of what is stored."""
    network = load_network(bundle)
    stored = load((bundle.folder / "weights.safetensors").read_bytes())
    for name, tensor in network.state_dict().items():
        noise = (torch.rand(tensor.shape, generator=generator) - 0.5) * 0.999
        if name + SCALE in stored:
            inner = stored[name].abs() < STEPS  # the largest of a channel makes its scale
            tensor.add_(noise * inner * stored[name + SCALE])
        elif tensor.is_floating_point():
            dtype = stored[name].dtype
            limits = torch.finfo(dtype)
            step = (tensor.abs() * limits.eps).clamp(min=limits.smallest_normal * limits.eps)
            moved = tensor + noise * step
            tensor.copy_(torch.where(moved.to(dtype) == tensor.to(dtype), moved, tensor))
    return network


def phantom_for(specification):
    if specification.modality == "CT":
        return {"ct": abdomen_phantom(shape=(40, 192, 192), spacing=(2.0, 2.0, 5.0))[0]}
    return brain_phantom(shape=(12, 256, 256), spacing=(0.9, 0.9, 10.0))[0]


@pytest.mark.slow
@pytest.mark.parametrize("bundle", MODELS, ids=lambda bundle: bundle.id)
def test_stored_weights_give_the_segmentation_of_fp32_weights(bundle, tmp_path):
    network = unrounded(bundle, torch.Generator().manual_seed(0))
    stored = load((bundle.folder / "weights.safetensors").read_bytes())
    dtype = bundle.specification.weights.dtype
    everything = load(to_bytes(network, dtype))
    float16 = [name.removesuffix(SCALE) for name in everything if name not in stored]
    again = load(to_bytes(network, dtype, float16=float16))
    before = load_network(bundle).state_dict()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.numel() > 1000:
            assert (tensor != before[name]).float().mean() > 0.4
            assert torch.equal(again[name], stored[name])
    specification = replace(bundle.specification, weights=None)
    full = write_bundle(
        tmp_path / bundle.id,
        specification,
        network,
        dtype="float32",
        forest=load_forest(bundle),
        card="#\n",
    )
    volumes = phantom_for(bundle.specification)
    options = RunOptions("cpu", "fp32", mirror_tta=False)
    expected = Segmenter(full, options).segment(volumes).labelmap
    found = Segmenter(bundle, options).segment(volumes).labelmap
    assert expected.any()
    for value in np.unique(expected[expected > 0]):
        both = np.count_nonzero((found == value) & (expected == value))
        total = np.count_nonzero(found == value) + np.count_nonzero(expected == value)
        assert 2 * both / total >= 0.999, (value, total)
