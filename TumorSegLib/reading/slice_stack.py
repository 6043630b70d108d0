"""Parallel slices at any positions, laid onto one rectangular grid.

Slices that lie evenly along their normal are stacked as they are. Gantry tilt (each slice shifted
in its plane against the one before), uneven spacing and single missing slices are regularised:
slices are shifted in plane and interpolated linearly along the normal, and a warning says so. Gaps
in which tissue would have to be invented are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, Vector, matrix_of, vector

POSITION_TOLERANCE_MM = 0.06
"""Headers that round positions to a tenth of a millimetre are off by up to 0.05."""

POSITION_TOLERANCE = 0.02
"""The same, as a part of the spacing, whichever is larger."""

SHIFT_TOLERANCE = 0.25
"""Pixels by which all slices together may shift in plane before it counts."""

MAXIMUM_BRIDGE = 2.5
"""Gap, in slices, that may be interpolated: one missing slice leaves a gap of two."""

MAXIMUM_BRIDGE_MM = 10.0
"""No gap wider than this is interpolated, unless the slices are so thick that they fill it."""

MAXIMUM_PLANES = 4
"""Planes of the grid for every slice; more means slices bunched without any order."""

MAXIMUM_TILT_DEGREES = 45.0
"""CT gantries tilt up to 30 degrees."""


@dataclass(frozen=True)
class SliceGeometry:
    """Where a slice lies, in DICOM's words.

    Attributes:
        position: LPS mm of the centre of its first pixel.
        row: LPS direction in which the column index grows.
        column: LPS direction in which the row index grows.
        spacing: mm between pixels along (x, y): between columns, then between rows.
        shape: rows and columns.
        thickness: mm; `None` where unknown. Only used to judge gaps.
    """

    position: Vector
    row: Vector
    column: Vector
    spacing: tuple[float, float]
    shape: tuple[int, int]
    thickness: float | None = None


@dataclass(frozen=True, eq=False)
class SliceStack:
    """A plan that lays slices onto a grid.

    Attributes:
        grid: regular; its z axis runs along row x column, its x and y axes with those.
        slices: for every plane of the grid, the index of the slice at or below it.
        weights: of the slice after that one, 0 to below 1, for linear interpolation.
        offsets: (n, 2) pixels (x, y) from the grid's first pixel to each slice's; empty where the
            slices lie straight above each other.
        warnings: what was found, one line each.
    """

    grid: Grid
    slices: NDArray[np.intp]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    warnings: tuple[str, ...] = ()

    def assemble(self, read: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
        """Return the volume (z, y, x); `read` gives the pixels (rows, columns) of one slice.

        Memory beyond the volume is that of two slices. The volume has the slices' type, or one that
        holds those of all slices. Where a shifted slice does not reach, its smallest value stands.
        """

        @lru_cache(maxsize=2)
        def placed(index: int) -> NDArray[Any]:
            pixels = read(index)
            return self._shift(pixels, index) if self.offsets.size else pixels

        voxels = np.empty(self.grid.shape, placed(int(self.slices[0])).dtype)
        for plane, (index, weight) in enumerate(zip(self.slices, self.weights, strict=True)):
            pixels = placed(int(index))
            if weight > 0:
                above = placed(int(index) + 1)
                between = pixels * (1 - weight) + above * weight
                pixels = _rounded(between, np.result_type(pixels, above))
            voxels = voxels.astype(np.result_type(voxels, pixels), copy=False)
            voxels[plane] = pixels
        return voxels

    def _shift(self, pixels: NDArray[Any], index: int) -> NDArray[Any]:
        """Return a slice on the grid's rows and columns, interpolated linearly."""
        x, y = self.offsets[index]
        _, rows, columns = self.grid.shape
        shifted = sitk.GetArrayFromImage(
            sitk.Resample(
                sitk.GetImageFromArray(pixels.astype(np.float32)),
                (columns, rows),
                sitk.Transform(2, sitk.sitkIdentity),
                sitk.sitkLinear,
                (-x, -y),
                (1.0, 1.0),
                (1.0, 0.0, 0.0, 1.0),
                float(pixels.min()),
            )
        )
        return _rounded(shifted, pixels.dtype)


def stack_slices(slices: Sequence[SliceGeometry], name: str) -> SliceStack:
    """Plan the grid for slices that are sorted along their normal, no two at one position.

    Args:
        slices: two or more, of one shape, spacing and orientation.
        name: of the series, for messages.

    Raises:
        InputError: the positions leave a gap that cannot be bridged, or are no stack at all.
    """
    first = slices[0]
    axes, distances, shifts = _positions(slices)
    warnings: list[str] = []
    planes, typical = _planes(distances)
    _check_gaps(slices, distances, typical, name)
    indices, weights = _interpolation(planes, distances)
    if np.any(weights > 0):
        warnings.append(_spacing_warning(planes, weights, distances, name))

    offsets = shifts / np.array(first.spacing)
    origin = np.array(first.position)
    rows, columns = first.shape
    if np.ptp(offsets, axis=0).max() > SHIFT_TOLERANCE:
        warnings.append(_shift_warning(shifts, distances, max(first.spacing), name))
        corner = np.floor(offsets.min(axis=0))
        offsets = offsets - corner
        origin = origin + axes[:2].T @ (corner * first.spacing)
        wider, higher = np.ceil(offsets.max(axis=0)).astype(int).tolist()
        columns, rows = columns + wider, rows + higher
    else:
        offsets = np.empty((0, 2))

    spacing = (planes[-1] - planes[0]) / (len(planes) - 1)
    grid = Grid(
        (len(planes), rows, columns),
        (*first.spacing, float(spacing)),
        vector(origin),
        matrix_of(axes.T),
    )
    return SliceStack(grid, indices, weights, offsets, tuple(warnings))


def slice_axes(geometry: SliceGeometry) -> NDArray[np.float64]:
    """Return (3, 3): LPS directions of a slice's row, column and normal, orthonormal, as rows."""
    row = np.array(geometry.row) / np.linalg.norm(geometry.row)
    column = np.array(geometry.column) - row * (row @ geometry.column)
    column /= np.linalg.norm(column)
    return np.array([row, column, np.cross(row, column)])


def _positions(
    slices: Sequence[SliceGeometry],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the axes, and mm of each slice from the first: along the normal, and in plane."""
    axes = slice_axes(slices[0])
    positions = np.array([geometry.position for geometry in slices])
    moved = (positions - positions[0]) @ axes.T
    return axes, moved[:, 2], moved[:, :2]


def _planes(distances: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the distances of the grid's planes and the usual gap between slices, both in mm.

    Where the slices fit an even raster, whether or not each of its places is taken, that is it.
    Otherwise planes are as dense as the denser quarter of the slices.
    """
    gaps = np.diff(distances)
    typical = float(np.quantile(gaps, 0.25))
    extent = float(distances[-1])
    places = np.concatenate([[0.0], np.cumsum(np.rint(gaps / typical))])
    if places[-1] > 0:
        step = extent / places[-1]
        if np.abs(distances - places * step).max() <= _tolerance(step):
            return np.linspace(0, extent, int(places[-1]) + 1), step
    count = max(1, round(extent / typical))
    return np.linspace(0, extent, count + 1), typical


def _interpolation(
    planes: NDArray[np.float64], distances: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return for each plane the slice at or below it and the weight of the next one."""
    tolerance = _tolerance(planes[1] - planes[0])
    nearest = np.abs(planes[:, None] - distances[None, :]).argmin(axis=1)
    below = np.clip(np.searchsorted(distances, planes, side="right") - 1, 0, len(distances) - 2)
    weights = (planes - distances[below]) / (distances[below + 1] - distances[below])
    exact = np.abs(planes - distances[nearest]) <= tolerance
    return np.where(exact, nearest, below), np.where(exact, 0.0, weights)


def _check_gaps(
    slices: Sequence[SliceGeometry], distances: NDArray[np.float64], typical: float, name: str
) -> None:
    """Refuse gaps between slices that hold more tissue than can be interpolated.

    Raises:
        InputError: a gap is too wide.
    """
    gaps = np.diff(distances)
    bridged = min(MAXIMUM_BRIDGE * typical, MAXIMUM_BRIDGE_MM)
    for index, gap in enumerate(gaps):
        thickness = sum(part.thickness or 0.0 for part in slices[index : index + 2]) / 2
        if gap > 1.01 * max(typical, thickness, bridged):
            raise InputError(
                f"{name}: no slices for {gap:.1f} mm after slice {index + 1} of {len(slices)},"
                f" expected one every {typical:.2f} mm; tissue would have to be invented; export"
                " the whole series again"
            )
    if distances[-1] > MAXIMUM_PLANES * len(distances) * typical:
        raise InputError(
            f"{name}: slices lie between {gaps.min():.2f} and {gaps.max():.2f} mm apart in no"
            " order, expected even spacing; export one reconstruction only"
        )


def _spacing_warning(
    planes: NDArray[np.float64],
    weights: NDArray[np.float64],
    distances: NDArray[np.float64],
    name: str,
) -> str:
    """Return the line that says why planes were interpolated."""
    interpolated = np.flatnonzero(weights > 0)
    step = planes[1] - planes[0]
    if len(planes) - len(interpolated) == len(distances):
        numbers = ", ".join(str(plane + 1) for plane in interpolated[:5])
        more = ", ..." if len(interpolated) > 5 else ""
        return (
            f"{name}: {len(interpolated)} of {len(planes)} slices are missing (number {numbers}"
            f"{more}) and were interpolated from their neighbours"
        )
    gaps = np.diff(distances)
    return (
        f"{name}: slices lie between {gaps.min():.2f} and {gaps.max():.2f} mm apart; they were"
        f" interpolated to {len(planes)} slices every {step:.2f} mm"
    )


def _shift_warning(
    shifts: NDArray[np.float64], distances: NDArray[np.float64], pixel: float, name: str
) -> str:
    """Return the line that says how the slices are shifted in plane.

    Raises:
        InputError: the shift is larger than any gantry's.
    """
    slope = shifts[-1] / distances[-1]
    tilt = float(np.degrees(np.arctan(np.linalg.norm(slope))))
    farthest = float(np.linalg.norm(shifts, axis=1).max())
    if farthest > distances[-1] * np.tan(np.radians(MAXIMUM_TILT_DEGREES)):
        raise InputError(
            f"{name}: its slices shift in plane by {farthest:.1f} mm over a stack of"
            f" {distances[-1]:.1f} mm, expected a stack tilted by at most"
            f" {MAXIMUM_TILT_DEGREES:.0f} degrees; convert the series to one volume first"
        )
    if np.abs(shifts - distances[:, None] * slope).max() <= pixel:
        found = f"gantry tilt of {tilt:.1f} degrees"
    else:
        found = f"slices shifted in plane by up to {farthest:.1f} mm"
    return f"{name}: {found}; the slices were moved onto a rectangular grid"


def _rounded(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return interpolated values in the type of those they were made from."""
    return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)


def _tolerance(step: float) -> float:
    return max(POSITION_TOLERANCE_MM, POSITION_TOLERANCE * step)
