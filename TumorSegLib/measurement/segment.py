"""The figures of a segment: what clinicians ask, as a whole and component by component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView, Grid, Vector, vector
from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.measurement.component import (
    Component,
    array_on,
    components_of_runs,
    mask_on,
    mean_and_deviation,
    numbered,
    painted,
)
from TumorSegLib.measurement.runs import Integers, Runs
from TumorSegLib.model.labelled_volume import LabelledVolume

Numbers = Callable[[], NDArray[np.int32]]
"""Makes an array of the numbers of components."""


@dataclass(frozen=True)
class Measurement:
    """Figures of one segment, with the parts that its label includes: a liver with its tumours.

    Diameters are those of the component that has the longest; 0 if nothing was found.

    Attributes:
        name: of the segment.
        label: its value in the label map; 0 where it has none.
        voxels: number of voxels.
        volume_ml: sum of their volumes.
        components: number of components, see `Component`.
        largest_component_ml: volume of the largest of them.
        longest_axial_diameter_mm: see `Component`.
        longest_diameter_mm: see `Component`.
        surface_mm2: of all components.
        centroid_mm: mean LPS position of the voxels; None if there are none.
        areas_mm2: area on each axial slice, the most inferior first.
        mean_area_mm2: of the slices that show the segment; 0 if none does.
        mean: of the volume's voxels inside; None if there are none or no volume was given.
        standard_deviation: likewise.
        parts: the components, the largest first.
    """

    name: str
    label: int
    voxels: int
    volume_ml: float
    components: int
    largest_component_ml: float
    longest_axial_diameter_mm: float
    longest_diameter_mm: float
    surface_mm2: float
    centroid_mm: Vector | None
    areas_mm2: tuple[float, ...]
    mean_area_mm2: float
    mean: float | None
    standard_deviation: float | None
    parts: tuple[Component, ...]


def measure(labelled: LabelledVolume) -> list[Measurement]:
    """Return the measurements of every label of the model, in its order, found or not."""
    grid, labels = labelled.volume.grid, labelled.specification.labels
    view = AxialView.of(grid)
    labelmap = view.apply(labelled.labelmap)
    box = bounding_box(labelmap) or (slice(0, 0),) * 3
    cropped = np.ascontiguousarray(labelmap[box])
    volume = view.apply(labelled.volume.voxels)[box]
    measurements = []
    for label, probabilities in zip(labels, labelled.probability_maps(), strict=True):
        mask = reduce(np.logical_or, (cropped == value for value in label.whole))
        certain = None if probabilities is None else view.apply(probabilities)[box]
        segment = _Cropped(mask, box, volume, certain)
        runs = segment.runs
        figures = _measured(segment, grid, label.name, label.value, runs, numbered(runs))
        measurements.append(figures)
    return measurements


def measure_segment(
    mask: NDArray[Any],
    grid: Grid,
    *,
    name: str = "segment",
    label: int = 0,
    voxels: NDArray[Any] | None = None,
    probabilities: NDArray[np.uint8] | None = None,
) -> Measurement:
    """Return the measurements of one segment.

    Args:
        mask: (z, y, x) on `grid`; what is not 0 is inside.
        grid: where the voxels lie.
        name: of the segment.
        label: its value in the label map, if it has one.
        voxels: of the volume, for mean and standard deviation.
        probabilities: of the segment, 0 to 255 for 0 to 1, for the components' certainty.

    Raises:
        InputError: an array is not on the grid.
    """
    return measure_numbered(
        mask, grid, name=name, label=label, voxels=voxels, probabilities=probabilities
    )[0]


def measure_numbered(
    mask: NDArray[Any],
    grid: Grid,
    *,
    name: str = "segment",
    label: int = 0,
    voxels: NDArray[Any] | None = None,
    probabilities: NDArray[np.uint8] | None = None,
) -> tuple[Measurement, Numbers]:
    """Return the same, and what gives the components' numbers (z, y, x), 0 beside them.

    Raises:
        InputError: an array is not on the grid.
    """
    inside = mask_on(grid, mask, name)
    view = AxialView.of(grid)
    turned = view.apply(inside)
    box = bounding_box(turned) or (slice(0, 0),) * 3
    volume, certain = (
        None if array is None else view.apply(array_on(grid, array, f"{name}: its {what}"))[box]
        for what, array in (("volume", voxels), ("probabilities", probabilities))
    )
    segment = _Cropped(turned[box], box, volume, certain)
    runs = segment.runs
    parts = numbered(runs)
    found = _measured(segment, grid, name, label, runs, parts)
    return found, lambda: painted(inside, grid, runs, parts)


@dataclass(frozen=True, eq=False)
class _Cropped:
    """A mask in the axial view, cut out of it by `box`, with what lies there."""

    mask: NDArray[np.bool_]
    box: tuple[slice, ...]
    volume: NDArray[Any] | None
    probabilities: NDArray[np.uint8] | None

    @property
    def runs(self) -> Runs:
        """Of the mask, in the whole view."""
        return Runs.of(self.mask).moved([part.start for part in self.box])


def _measured(
    segment: _Cropped, grid: Grid, name: str, label: int, runs: Runs, homes: Integers
) -> Measurement:
    view = AxialView.of(grid)
    values, certain = (
        None if array is None else array[segment.mask]
        for array in (segment.volume, segment.probabilities)
    )
    parts = components_of_runs(runs, grid, values, certain, homes)
    counts = np.bincount(runs.z, runs.lengths, grid.shape[view.axes[0]])
    areas = counts * view.spacing_zyx[1] * view.spacing_zyx[2]
    voxels = int(runs.lengths.sum())
    mean, deviation = (None, None) if values is None or not voxels else mean_and_deviation(values)
    return Measurement(
        name=name,
        label=label,
        voxels=voxels,
        volume_ml=voxels * grid.voxel_ml,
        components=len(parts),
        largest_component_ml=parts[0].volume_ml if parts else 0.0,
        longest_axial_diameter_mm=max(
            (part.longest_axial_diameter_mm for part in parts), default=0.0
        ),
        longest_diameter_mm=max((part.longest_diameter_mm for part in parts), default=0.0),
        surface_mm2=sum(part.surface_mm2 for part in parts),
        centroid_mm=_centroid(parts),
        areas_mm2=tuple(areas.tolist()),
        mean_area_mm2=float(areas[areas > 0].mean()) if voxels else 0.0,
        mean=mean,
        standard_deviation=deviation,
        parts=parts,
    )


def _centroid(parts: tuple[Component, ...]) -> Vector | None:
    if not parts:
        return None
    weights = [part.voxels for part in parts]
    return vector(np.average([part.centroid_mm for part in parts], axis=0, weights=weights))
