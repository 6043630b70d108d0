"""The figures of a segment's components: its lesions, if it is one of lesions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, Grid, Vector, vector
from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.measurement.diameter import Axis, Points, across, longest
from TumorSegLib.measurement.outline import HullCorners, hull_corners
from TumorSegLib.measurement.runs import ALL_ROUND, IN_PLANE, Integers, Runs, per_run
from TumorSegLib.measurement.surface import surfaces

Line = tuple[Vector, Vector]
Range = tuple[int, int]


@dataclass(frozen=True)
class Component:
    """Figures of one component of a segment; positions are LPS mm.

    Voxels that touch by a face, an edge or a corner belong together (26-connectivity), as in the
    post-processing: slices are several pixels thick, and a slanting vessel or tumour often
    continues on the next one by an edge. On a slice, pixels belong together likewise (8).

    Attributes:
        number: from 1, the largest is first.
        voxels: number of voxels.
        volume_ml: sum of their volumes.
        surface_mm2: by Crofton's formula, see `surface`.
        centroid_mm: mean position of the voxels.
        longest_axial_diameter_mm: longest diameter of one connected part on one axial slice, as
            RECIST 1.1 and WHO have it, between outlines, see `diameter`.
        perpendicular_diameter_mm: longest at right angles to it on the same slice.
        slice_index: of that slice in the axial view of the volume, 0 is the most inferior.
        long_axis_mm: ends of the longest axial diameter.
        short_axis_mm: ends of the perpendicular one.
        longest_diameter_mm: longest in space, with the thickness of the slices.
        box: first voxel, and one past the last, along the array's (z, y, x).
        extent_mm: of the box from right to left, anterior to posterior, inferior to superior.
        cut_by_border: whether it reaches the volume's border and may go on beyond.
        mean: of the volume's voxels inside, if it was given.
        standard_deviation: likewise, with n - 1; 0 of a single voxel.
        certainty: mean probability of the voxels inside, 0 to 1, if probabilities were given.
    """

    number: int
    voxels: int
    volume_ml: float
    surface_mm2: float
    centroid_mm: Vector
    longest_axial_diameter_mm: float
    perpendicular_diameter_mm: float
    slice_index: int
    long_axis_mm: Line
    short_axis_mm: Line
    longest_diameter_mm: float
    box: tuple[Range, Range, Range]
    extent_mm: Vector
    cut_by_border: bool
    mean: float | None = None
    standard_deviation: float | None = None
    certainty: float | None = None


def array_on(grid: Grid, array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return an array (z, y, x) that lies on a grid.

    Raises:
        InputError: it has another shape; `what` says in the message what it is.
    """
    array = np.asarray(array)
    if array.shape != grid.shape:
        raise InputError(f"{what} has shape {array.shape}, expected that of its grid, {grid.shape}")
    return array


def mask_on(grid: Grid, mask: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Return where a mask (z, y, x) of booleans or numbers is not 0; booleans are not copied.

    Raises:
        InputError: the mask is not on the grid.
    """
    return array_on(grid, mask, f"{name}: its mask").astype(np.bool_, copy=False)


def runs_of(mask: NDArray[np.bool_]) -> Runs:
    """Return the runs of a mask (z, y, x), looking for them where it is not empty."""
    box = bounding_box(mask)
    if box is None:
        return Runs.of(mask[:0])
    return Runs.of(mask[box]).moved([part.start for part in box])


def numbered(runs: Runs) -> Integers:
    """Return the component that each run belongs to, from 0, the largest first."""
    components = runs.connected(ALL_ROUND)
    sizes = np.bincount(components, runs.lengths)
    rank = np.empty(len(sizes), np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[components]


def painted(mask: NDArray[np.bool_], grid: Grid, runs: Runs, parts: Integers) -> NDArray[np.int32]:
    """Return the components of a mask (z, y, x) by the numbers that `Component` has, else 0.

    Args:
        mask: on `grid`.
        grid: of the array.
        runs: of the mask in the axial view of `grid`.
        parts: the component of each run, see `numbered`.
    """
    numbers = np.zeros(mask.shape, np.int32)
    if len(runs):
        view = AxialView.of(grid)
        ends = ((runs.z, runs.z + 1), (runs.y, runs.y + 1), (runs.start, runs.stop))
        box = tuple(slice(int(first.min()), int(last.max())) for first, last in ends)
        view.apply(numbers)[box][view.apply(mask)[box]] = np.repeat(parts + 1, runs.lengths)
    return numbers


def components_of_runs(
    runs: Runs,
    grid: Grid,
    values: NDArray[Any] | None,
    probabilities: NDArray[np.uint8] | None,
    parts: Integers | None = None,
) -> tuple[Component, ...]:
    """Return the figures of each component, the largest first.

    Args:
        runs: of the mask in the axial view of `grid`.
        grid: of the array.
        values: of the volume, one for each voxel of the mask, in the order of the runs.
        probabilities: likewise, 0 to 255.
        parts: the component of each run, if that is known, see `numbered`.
    """
    if not len(runs):
        return ()
    view, parts = AxialView.of(grid), numbered(runs) if parts is None else parts
    spacing = np.array(view.spacing_zyx)
    voxels = np.bincount(parts, runs.lengths)
    surface = surfaces(runs, parts, view.spacing_zyx)
    centroids = grid.positions(view.array_indices(_centroids(runs, parts, voxels), grid.shape))
    lowest, highest = _boxes(runs, parts)
    on_slices = runs.connected(IN_PLANE)
    corners = hull_corners(runs, on_slices)
    home = np.empty(len(corners.begins) - 1, np.int64)
    home[on_slices] = parts
    means, deviations = _statistics(runs, parts, values)
    certainties, _ = _statistics(runs, parts, probabilities)
    components = []
    for index, slice_parts in enumerate(_grouped(home, len(voxels))):
        long, short, in_space = _diameters(corners, slice_parts, spacing)
        ends = np.array([*long.ends, *short.ends])
        places = [vector(row) for row in grid.positions(view.array_indices(ends, grid.shape))]
        turned = view.array_indices(np.stack([lowest[index], highest[index]]), grid.shape)
        first, last = turned.min(axis=0), turned.max(axis=0) + 1
        z, y, x = ((int(a), int(b)) for a, b in zip(first, last, strict=True))
        extent = (highest[index] - lowest[index] + 1) * spacing
        components.append(
            Component(
                number=index + 1,
                voxels=int(voxels[index]),
                volume_ml=float(voxels[index] * grid.voxel_ml),
                surface_mm2=float(surface[index]),
                centroid_mm=vector(centroids[index]),
                longest_axial_diameter_mm=long.mm,
                perpendicular_diameter_mm=short.mm,
                slice_index=int(long.ends[0][0]),
                long_axis_mm=(places[0], places[1]),
                short_axis_mm=(places[2], places[3]),
                longest_diameter_mm=in_space.mm,
                box=(z, y, x),
                extent_mm=vector(extent[::-1]),
                cut_by_border=bool((first == 0).any() or (last == grid.shape).any()),
                mean=None if values is None else float(means[index]),
                standard_deviation=None if values is None else float(deviations[index]),
                certainty=None if probabilities is None else float(certainties[index] / 255),
            )
        )
    return tuple(components)


def mean_and_deviation(values: NDArray[Any]) -> tuple[float, float]:
    """Return the mean and the standard deviation, with n - 1, of one value or more."""
    return float(values.mean(dtype=float)), float(
        values.std(ddof=1, dtype=float) if len(values) > 1 else 0.0
    )


def _diameters(
    corners: HullCorners, slice_parts: Integers, spacing: Points
) -> tuple[Axis, Axis, Axis]:
    """Return the longest axial diameter, the perpendicular and the longest one in space.

    Args:
        corners: of all parts on slices.
        slice_parts: the parts of one component.
        spacing: mm along (z, y, x).
    """
    flat = spacing * (0, 1, 1)
    points = [
        corners.points[corners.begins[part] : corners.begins[part + 1]].astype(float)
        for part in slice_parts
    ]
    bounds = [float(np.linalg.norm((np.ptp(part, axis=0) + 1) * flat)) for part in points]
    long, on_slice = None, points[0]
    for place in np.argsort(np.negative(bounds), kind="stable"):
        if long is not None and bounds[place] <= long.mm:
            break
        axis = longest(points[place], flat)
        if long is None or axis.mm > long.mm:
            long, on_slice = axis, points[place]
    assert long is not None
    return long, across(on_slice, flat, long), longest(np.concatenate(points), spacing)


def _centroids(runs: Runs, parts: Integers, voxels: NDArray[Any]) -> Points:
    middle = (runs.start + runs.stop - 1) / 2
    sums = [np.bincount(parts, runs.lengths * place) for place in (runs.z, runs.y, middle)]
    return np.asarray(np.stack(sums, axis=1) / voxels[:, None])


def _boxes(runs: Runs, parts: Integers) -> tuple[Integers, Integers]:
    """Return the first and the last voxel (n, 3) of each part along (z, y, x)."""
    order = np.argsort(parts, kind="stable")
    begins = np.searchsorted(parts[order], np.arange(int(parts.max()) + 1))
    first = np.stack([runs.z, runs.y, runs.start], axis=1)[order]
    last = np.stack([runs.z, runs.y, runs.stop - 1], axis=1)[order]
    return np.minimum.reduceat(first, begins), np.maximum.reduceat(last, begins)


def _statistics(runs: Runs, parts: Integers, values: NDArray[Any] | None) -> tuple[Points, Points]:
    """Return mean and standard deviation by part."""
    if values is None:
        return np.zeros(0), np.zeros(0)
    voxels = np.bincount(parts, runs.lengths)
    middle = float(values.mean(dtype=float))  # squares of what is far from 0 lose digits
    apart = values.astype(float) - middle
    means = np.bincount(parts, per_run(apart, runs)) / voxels
    squares = np.bincount(parts, per_run(apart * apart, runs)) - voxels * means**2
    means = np.clip(means + middle, values.min(), values.max())  # rounding may lead beyond
    return means, np.sqrt(np.maximum(squares, 0) / np.maximum(voxels - 1, 1))


def _grouped(home: Integers, count: int) -> list[Integers]:
    """Return for each component the parts on slices that are its own."""
    order = np.argsort(home, kind="stable")
    return np.split(order, np.searchsorted(home[order], np.arange(1, count)))
