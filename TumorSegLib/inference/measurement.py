"""The figures that clinicians ask of a segmentation: volume, number, longest axial diameter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from TumorSegLib.image.components import FULL_CONNECTIVITY, components_of
from TumorSegLib.image.grid import AxialView
from TumorSegLib.inference.result import SegmentationResult


@dataclass(frozen=True)
class Measurement:
    """Figures of one structure, with the parts that its label includes: a liver with its tumours.

    Attributes:
        name: of the label.
        label: its value in the label map.
        voxels: number of voxels.
        volume_ml: their volume.
        components: 3-D components; voxels that touch by a face, an edge or a corner belong
            together (26-connectivity).
        largest_component_ml: volume of the largest of them.
        longest_axial_diameter_mm: the largest distance between two points of one connected part
            of the structure on one axial slice, from pixel edge to pixel edge; 0 if there is none.
    """

    name: str
    label: int
    voxels: int
    volume_ml: float
    components: int
    largest_component_ml: float
    longest_axial_diameter_mm: float


def measure(result: SegmentationResult) -> list[Measurement]:
    """Return the measurements of every label of the model, in its order, found or not."""
    grid = result.volume.grid
    view = AxialView.of(grid)
    labelmap = view.apply(result.labelmap)
    boxes = ndimage.find_objects(labelmap)
    measurements = []
    for label in result.specification.labels:
        values = label.whole
        found = [boxes[value - 1] for value in values if value <= len(boxes)]
        found = [box for box in found if box is not None]
        if not found:
            measurements.append(Measurement(label.name, label.value, 0, 0.0, 0, 0.0, 0.0))
            continue
        mask = np.isin(labelmap[_enclosing(found)], values)
        _, sizes = components_of(mask)
        measurements.append(
            Measurement(
                name=label.name,
                label=label.value,
                voxels=int(sizes.sum()),
                volume_ml=float(sizes.sum() * grid.voxel_ml),
                components=len(sizes) - 1,
                largest_component_ml=float(sizes.max() * grid.voxel_ml),
                longest_axial_diameter_mm=_longest_diameter(mask, view.spacing_zyx[1:]),
            )
        )
    return measurements


def _enclosing(boxes: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    """Return the box that encloses all boxes."""
    return tuple(
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*boxes, strict=True)
    )


def _longest_diameter(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> float:
    """Return the longest distance in mm within a slice of (z, y, x), `spacing` mm along (y, x)."""
    longest = 0.0
    for plane in mask:
        parts, _ = ndimage.label(plane, FULL_CONNECTIVITY[1])
        for number, box in enumerate(ndimage.find_objects(parts), start=1):
            sides = [(side.stop - side.start) * mm for side, mm in zip(box, spacing, strict=True)]
            if np.hypot(*sides) > longest:
                corners = _corners(parts[box] == number) * spacing
                longest = max(longest, _diameter(corners))
    return longest


def _corners(plane: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the corners (n, 2) of the first and last pixel of every row, in pixels."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - plane[rows][:, ::-1].argmax(axis=1)
    corners = [
        np.stack([rows + below, column], axis=1) for below in (0, 1) for column in (first, last)
    ]
    return np.concatenate(corners).astype(np.float64)


def _diameter(points: NDArray[np.float64]) -> float:
    """Return the largest distance between two of the points (n, 2)."""
    with suppress(QhullError):  # all on one line
        points = points[ConvexHull(points).vertices]
    return float(pdist(points).max())
