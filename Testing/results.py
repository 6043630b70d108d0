"""Made-up results of runs, for tests of what becomes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from TumorSegLib.image.grid import AxialView, Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.result import SegmentationResult, SliceMetrics
from TumorSegLib.model.specification import ModelSpecification


def result_of(
    labelmap,
    specification: ModelSpecification,
    *,
    spacing=(0.9, 0.7, 4.5),
    origin=(-31.25, 12.5, 101.0),
    direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    voxels=None,
    name="a volume",
) -> SegmentationResult:
    """A result with this label map (z, y, x), and noise as the volume where none is given."""
    labelmap = np.ascontiguousarray(labelmap, np.uint8)
    grid = Grid(labelmap.shape, spacing, origin, direction)
    if voxels is None:
        voxels = np.random.default_rng(0).integers(-50, 900, labelmap.shape).astype(np.int16)
    view = AxialView.of(grid)
    pixel = view.spacing_zyx[1] * view.spacing_zyx[2]
    figures = tuple(
        SliceMetrics(index, float(np.count_nonzero(plane) * pixel), 0.01 * index, 2.0 * index)
        for index, plane in enumerate(view.apply(labelmap))
    )
    return SegmentationResult(
        volume=Volume(voxels, grid, modality=specification.modality, name=name),
        specification=specification,
        labelmap=labelmap,
        probabilities=np.zeros((len(specification.labels), *labelmap.shape), np.uint8),
        slices=figures,
        device="cpu",
        precision="fp32",
        seconds={"network": 1.0},
    )


def two_structures() -> np.ndarray:
    """A label map (7, 20, 24) with a 1 that is different in all directions, and a 2 within."""
    labelmap = np.zeros((7, 20, 24), np.uint8)
    labelmap[1:5, 3:15, 4:12] = 1
    labelmap[4, 3:5, 4:20] = 1
    labelmap[2:4, 6:9, 5:11] = 2
    labelmap[6, 19, 23] = 2
    return labelmap


def names_in(folder: Path) -> list[str]:
    """The names of what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
