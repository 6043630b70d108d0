"""What only a real CUDA device can show: that a run outlives its lack of memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import brain_specification, write_blind_detector, write_tiny_bundle

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.inference.segmenter import Segmenter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def little_memory():
    """Leaves the device so much that its context fits, and little else, until it is called."""
    torch.cuda.empty_cache()

    def leave(share):
        torch.cuda.set_per_process_memory_fraction(share)

    yield leave
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("precision", ["fp32", "auto"])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("megabytes", [0, 1, 2, 4, 8, 16, 32])
def test_a_run_outlives_the_lack_of_memory(tmp_path, little_memory, precision, gated, megabytes):
    voxels = np.random.default_rng(0).normal(100, 20, (40, 256, 256)).astype(np.int16)
    volumes = {"flair": Volume(voxels, Grid(voxels.shape, (0.9, 0.9, 3.0)))}
    bundle = write_tiny_bundle(tmp_path, brain_specification())
    gate = write_blind_detector(tmp_path) if gated else None
    options = RunOptions("cuda", precision)
    if gate is not None:
        options = replace(options, slice_detector=str(gate.folder), detector_threshold=1e-30)
    expected = Segmenter(bundle, options, device="cpu", precision="fp32").segment(volumes)
    segmenter = Segmenter(bundle, options)
    total = torch.cuda.get_device_properties(0).total_memory
    little_memory((torch.cuda.memory_reserved() + (megabytes << 20)) / total)
    found = segmenter.segment(volumes)
    apart = np.abs(found.probabilities.astype(int) - expected.probabilities)
    assert apart.mean() < 2
    if megabytes == 0:
        assert any("GPU memory" in line for line in found.warnings), found.warnings
    little_memory(1.0)
    again = segmenter.segment(volumes)
    assert again.device == "cuda:0"
    assert not [line for line in again.warnings if "GPU" in line]
