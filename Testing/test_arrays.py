"""Arrays to tensors and back where PyTorch was built for another NumPy, as on Macs with Intel."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import (
    BRAIN_INPUT,
    brain_specification,
    ct_specification,
    stump,
    write_blind_detector,
    write_tiny_bundle,
)

from TumorSegLib.model.bundle import add_forest
from TumorSegLib.model.postprocessing import FalsePositiveFilter
from TumorSegLib.support.arrays import TYPES, array_from_tensor, tensor_from_array

ROOT = Path(__file__).resolve().parent.parent

ANOTHER_NUMPY = """
import sys
import numpy as np
import torch

def fail(*_, **__):
    raise RuntimeError("Numpy is not available")

def refused(function):  # it takes arrays apart, number by number, or fails
    def call(data, *arguments, **named):
        if isinstance(data, np.ndarray):
            fail()
        return function(data, *arguments, **named)
    return call

def without_bridge():
    torch.from_numpy = torch.Tensor.numpy = torch.Tensor.__array__ = fail
    torch.tensor, torch.as_tensor = refused(torch.tensor), refused(torch.as_tensor)
    index = torch.Tensor.__setitem__
    def set_item(self, key, value):
        if isinstance(value, np.ndarray) or isinstance(key, np.ndarray):
            fail()
        index(self, key, value)
    torch.Tensor.__setitem__ = set_item

if sys.argv[1] == "without":
    without_bridge()

from pathlib import Path
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.image.grid import Grid
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.image.volume import Volume

folder = Path(sys.argv[2])
random = np.random.default_rng(0)
z, y, x = np.mgrid[:6, :80, :72]
inside = np.hypot(y - 40, x - 36) < 30
body = np.where(inside, 60 + 40 * np.sin(x / 9), -1000) + random.normal(0, 5, inside.shape)
results = {}
kinds = ("head", "flair", "<f4"), ("ranks", "flair", ">i2"), ("ct", "ct", "<i2")
for name, modality, dtype in kinds:
    voxels = body.astype(dtype)
    voxels.flags.writeable = False
    volume = Volume(voxels, Grid(voxels.shape, (0.9, 0.9, 5.0)), name=name)
    bundle = read_bundle(folder / name)
    detector = str(folder / "blind") if name == "ranks" else None
    options = RunOptions("cpu", "fp32", slice_detector=detector, detector_threshold=1e-30)
    segmenter = Segmenter(bundle, options)
    result = segmenter.segment({modality: volume})
    results[name] = result.probabilities
    results[name + " labels"] = result.labelmap
    results[name + " slices"] = np.array([s.correction_mm2 for s in result.slices])
np.savez(sys.argv[3], **results)
"""


@pytest.mark.parametrize("name", sorted(TYPES))
def test_there_and_back(name):
    array = np.arange(24).reshape(2, 3, 4).astype(name)
    tensor = tensor_from_array(array)
    assert (tensor.dtype, tuple(tensor.shape)) == (TYPES[name], array.shape)
    assert tensor.tolist() == array.tolist()
    back = array_from_tensor(tensor)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_memory_is_shared_one_way_where_it_can_be():
    array = np.zeros((2, 3), np.float32)
    tensor = tensor_from_array(array)
    tensor[1, 2] = 5
    assert array[1, 2] == 5
    array_from_tensor(tensor)[0, 0] = 7
    assert array[0, 0] == 0


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int16).reshape(4, 6)[::-1, ::2],
        np.arange(24, dtype=">i2").reshape(4, 6),
        np.asfortranarray(np.arange(24.0).reshape(4, 6)),
        np.broadcast_to(np.float32(3), (4, 6)),
        np.zeros((0, 6), np.float32),
        np.array(4.0),
    ],
    ids=["strided", "big-endian", "Fortran", "read-only", "empty", "a number"],
)
def test_arrays_of_every_layout(array):
    tensor = tensor_from_array(array)
    assert tuple(tensor.shape) == array.shape
    assert tensor.tolist() == array.tolist()


def test_tensors_of_every_layout():
    tensor = torch.arange(24.0).reshape(2, 3, 4)
    for view in (tensor.permute(2, 0, 1), tensor[:, 1], tensor[:0], tensor.sum(), tensor[..., ::3]):
        assert array_from_tensor(view).tolist() == view.tolist()


@pytest.mark.slow
def test_volumes_are_segmented_without_the_bridge(tmp_path):
    """As it is with torch 2.2 beside NumPy 2, with every normalisation, a detector and a forest."""
    from TumorSegLib.image.normalisation import HistogramEqualisation

    write_tiny_bundle(tmp_path, brain_specification(id="head"))
    ranks = type(BRAIN_INPUT)(BRAIN_INPUT.channels, BRAIN_INPUT.in_plane, HistogramEqualisation())
    write_tiny_bundle(tmp_path, brain_specification(id="ranks", input=ranks))
    write_blind_detector(tmp_path)
    ct = write_tiny_bundle(tmp_path, ct_specification(id="ct"))
    add_forest(ct, stump("share", 0.5), FalsePositiveFilter(2, 1))
    found = {}
    for way in ("with", "without"):
        output = tmp_path / f"{way}.npz"
        subprocess.run(
            [sys.executable, "-c", ANOTHER_NUMPY, way, str(tmp_path), str(output)],
            check=True,
            cwd=ROOT,
        )
        found[way] = dict(np.load(output))
    assert found["with"].keys() == found["without"].keys()
    for name, values in found["with"].items():
        np.testing.assert_array_equal(found["without"][name], values, err_msg=name)
    assert found["with"]["ct"].any()
    assert found["with"]["ranks"].any()


@pytest.mark.parametrize("path", sorted((ROOT / "TumorSegLib").rglob("*.py")), ids=lambda p: p.name)
def test_the_library_never_crosses_the_bridge(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("from_numpy", "numpy", "OutOfMemoryError") or (
                ast.unparse(node) == "torch.cuda.OutOfMemoryError"  # torch 2.2 has no other
            ), f"{path.name}:{node.lineno}: {ast.unparse(node)}; see TumorSegLib.support.arrays"
