"""That storing weights in half precision changes nothing: shipped models beside fp32 weights.

The fp32 weights of a shipped model are gone. Weights drawn from all that round to the stored ones
stand in for them: the trained ones were among these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from TumorSegLib.bundle import load_forest, load_network, write_bundle
from TumorSegLib.catalogue import SHIPPED, Catalogue
from TumorSegLib.phantom import abdomen_phantom, brain_phantom
from TumorSegLib.segmenter import Segmenter

MODELS = [
    bundle
    for bundle in Catalogue.of([SHIPPED]).bundles
    if bundle.specification.task == "segmentation" and not bundle.specification.members
]


def unrounded(network, dtype, generator):
    """Move every weight by up to half of the distance to its neighbours in `dtype`."""
    limits = torch.finfo(dtype)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            step = (tensor.abs() * limits.eps).clamp(min=limits.smallest_normal * limits.eps)
            moved = tensor + (torch.rand(tensor.shape, generator=generator) - 0.5) * step
            tensor.copy_(torch.where(moved.to(dtype) == tensor.to(dtype), moved, tensor))
    return network


def phantom_for(specification):
    if specification.modality == "CT":
        return {"ct": abdomen_phantom(shape=(40, 192, 192), spacing=(2.0, 2.0, 5.0))[0]}
    return brain_phantom(shape=(12, 256, 256), spacing=(0.9, 0.9, 10.0))[0]


@pytest.mark.slow
@pytest.mark.parametrize("bundle", MODELS, ids=lambda bundle: bundle.id)
def test_half_precision_weights_give_the_segmentation_of_fp32_weights(bundle, tmp_path):
    dtype = getattr(torch, bundle.specification.weights.dtype)
    network = unrounded(load_network(bundle), dtype, torch.Generator().manual_seed(0))
    stored = load_network(bundle).state_dict()
    moved = [
        (tensor != stored[name]).float().mean()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point() and tensor.numel() > 1000
    ]
    assert min(moved) > 0.4
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
    options = {"device": "cpu", "precision": "fp32", "flips": False}
    expected = Segmenter(full, **options).segment(volumes).labelmap
    found = Segmenter(bundle, **options).segment(volumes).labelmap
    assert expected.any()
    for value in np.unique(expected[expected > 0]):
        both = np.count_nonzero((found == value) & (expected == value))
        total = np.count_nonzero(found == value) + np.count_nonzero(expected == value)
        assert 2 * both / total >= 0.999, (value, total)
