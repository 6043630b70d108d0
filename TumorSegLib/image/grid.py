"""The voxel grid of a volume in patient space, and the anatomically axial view of its array.

All coordinates are LPS (x to the patient's left, y to posterior, z to superior), in millimetres,
as in DICOM and ITK. 3D Slicer's own RAS is met only where Slicer is met.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""4x4 matrix between 3D Slicer's coordinates and ours, either way."""

CLOSEST_MM, FARTHEST_MM = 1e-6, 1e6
"""Between two voxels; what lies beyond is no image's, and its areas and volumes no numbers."""
SHEAR_TOLERANCE = 1e-3
"""How far scalar products of the axes' directions may be from those of an orthonormal matrix.

Rounded headers reach 1e-4; 1e-3 misplaces the far corner of a head by a quarter of a millimetre.
"""


def vector(numbers: Iterable[float]) -> Vector:
    """Return three numbers, such as an array's, as Python's floats."""
    one, two, three = map(float, numbers)
    return (one, two, three)


def matrix_of(rows: Iterable[Iterable[float]]) -> Matrix:
    """Return three rows of three numbers, such as an array's, as Python's floats."""
    one, two, three = map(vector, rows)
    return (one, two, three)


def check_spacing(spacing: Sequence[float], name: str) -> None:
    """Refuse distances between voxels that cannot be.

    Raises:
        InputError: zero, negative, NaN, or so small or large that no scanner has it.
    """
    if not all(CLOSEST_MM <= mm <= FARTHEST_MM for mm in spacing):
        shown = ", ".join(f"{mm:g}" for mm in spacing)
        raise InputError(
            f"{name}: found spacing ({shown}) mm, expected positive numbers,"
            f" {CLOSEST_MM:g} to {FARTHEST_MM:g}; correct the header or convert the series again"
        )


def skew(direction: NDArray[np.float64]) -> float:
    """Return by how much the columns (3, 3) are not of length 1 and at right angles."""
    return float(np.abs(direction.T @ direction - np.eye(3)).max())


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels.

    Attributes:
        shape: voxels along (z, y, x), the axes of the array.
        spacing: mm between voxel centres along the array's (x, y, z), in ITK's order.
        origin: LPS position in mm of the centre of voxel [0, 0, 0].
        direction: orthonormal 3x3 matrix, row by row; its columns are the LPS directions in which
            the array's x, y and z run.

    Raises:
        InputError: not so many numbers, a spacing that is not positive, an origin that is no
            position, or axes that are not at right angles.
    """

    shape: tuple[int, int, int]
    spacing: Vector
    origin: Vector = (0.0, 0.0, 0.0)
    direction: Matrix = IDENTITY

    def __post_init__(self) -> None:
        for what, numbers, size in (
            ("shape", self.shape, (3,)),
            ("spacing", self.spacing, (3,)),
            ("origin", self.origin, (3,)),
            ("direction", self.direction, (3, 3)),
        ):
            if _size(numbers) != size:
                expected = " rows of ".join(map(str, size))
                raise InputError(f"grid: found {what} {numbers}, expected {expected} numbers")
        check_spacing(self.spacing, "grid")
        if not np.isfinite(self.origin).all():
            raise InputError(f"grid: found origin {self.origin}, expected a position in mm")
        if not skew(np.array(self.direction, float)) <= SHEAR_TOLERANCE:
            raise InputError(
                f"grid: found direction {self.direction}, expected columns of length 1 at right"
                " angles"
            )

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return self.spacing[0] * self.spacing[1] * self.spacing[2] / 1000

    @property
    def cosines(self) -> tuple[float, ...]:
        """`direction` as nine numbers, row by row."""
        return tuple(cosine for row in self.direction for cosine in row)

    @property
    def affine(self) -> NDArray[np.float64]:
        """4x4 matrix from voxel indices (x, y, z) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.direction) * np.array(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    def positions(self, indices: NDArray[Any]) -> NDArray[np.float64]:
        """Return the LPS positions in mm (n, 3) of voxel indices (n, 3) along (z, y, x)."""
        affine = self.affine
        return np.asarray(indices[:, ::-1] @ affine[:3, :3].T + affine[:3, 3])

    def indices(self, positions: NDArray[Any]) -> NDArray[np.float64]:
        """Return the voxel indices (n, 3) along (z, y, x), not rounded, of LPS positions in mm."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray((positions @ inverse[:3, :3].T + inverse[:3, 3])[:, ::-1])

    def geometry_equal(self, other: Grid, tolerance_mm: float = 0.01) -> bool:
        """Tell whether both grids place every voxel at the same position."""
        if self.shape != other.shape:
            return False
        corner = np.array([*self.shape[::-1], 1.0])
        apart = np.abs((self.affine - other.affine) * corner).sum(axis=1)
        return bool(apart.max() <= tolerance_mm)


SliceIndices = NDArray[np.intp]
"""Slices of an axial view, the most inferior is 0; ascending."""


def runs_within(slices: SliceIndices) -> list[tuple[int, int]]:
    """Return start and stop of each run of consecutive ones among `slices`."""
    runs = np.split(slices, np.flatnonzero(np.diff(slices) > 1) + 1)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs if len(run)]


@dataclass(frozen=True)
class AxialView:
    """How to look at an array so that it runs inferior-superior, anterior-posterior, right-left.

    The view takes those voxel axes that lie closest to the patient's, so nothing is interpolated:
    volumes stored permuted, flipped or acquired sagittally give the very same slices.

    Attributes:
        axes: for `numpy.transpose`, the array axes that become (z, y, x) of the view.
        flips: which axes of the transposed array run backwards.
        spacing_zyx: mm along the axes of the view.
        tilt_degrees: angle between the view's slice axis and the patient's inferior-superior axis.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    spacing_zyx: Vector
    tilt_degrees: float

    @classmethod
    def of(cls, grid: Grid) -> AxialView:
        """Return the axial view of arrays that lie on `grid`."""
        direction = np.array(grid.direction)  # rows: L, P, S; columns: array x, y, z
        order = max(
            permutations(range(3)),
            key=lambda columns: sum(abs(direction[row, columns[row]]) for row in range(3)),
        )
        cosines = [float(direction[row, order[row]]) for row in range(3)]
        axes = (2 - order[2], 2 - order[1], 2 - order[0])
        return cls(
            axes=axes,
            flips=(cosines[2] < 0, cosines[1] < 0, cosines[0] < 0),
            spacing_zyx=(grid.spacing[order[2]], grid.spacing[order[1]], grid.spacing[order[0]]),
            tilt_degrees=float(np.degrees(np.arccos(min(1.0, abs(cosines[2]))))),
        )

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view, not a copy, of `array` (z, y, x) in axial order."""
        turned = array.transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def array_indices(self, indices: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
        """Return where voxels of the view lie in the array.

        Args:
            indices: (n, 3) of the view, along its (z, y, x).
            shape: of the array.
        """
        turned = np.empty_like(indices)
        for axis, flip, column in zip(self.axes, self.flips, indices.T, strict=True):
            turned[:, axis] = shape[axis] - 1 - column if flip else column
        return turned


def grid_from_affine(affine: NDArray[np.float64], shape: Sequence[int], name: str) -> Grid:
    """Return the grid of a volume of 3D Slicer.

    Args:
        affine: 4x4 from voxel indices (x, y, z) to LPS mm.
        shape: voxels along (z, y, x).
        name: for messages.

    Raises:
        InputError: the axes are not perpendicular, or a spacing is zero or no number.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(spacing).all() and spacing.min() > 0):
        raise InputError(f"{name}: found spacing {tuple(spacing)} mm, expected positive numbers")
    direction = affine[:3, :3] / spacing
    if skew(direction) > SHEAR_TOLERANCE:
        raise InputError(
            f"{name}: its axes are not at right angles (sheared by its header or its transform);"
            " resample it with the module Resample Scalar/Vector/DWI Volume"
        )
    left, _, right = np.linalg.svd(direction)
    z, y, x = (int(count) for count in shape)
    return Grid((z, y, x), vector(spacing), vector(affine[:3, 3]), matrix_of(left @ right))


def _size(numbers: Any) -> tuple[int, ...] | None:
    """Return how many numbers these are, along each axis; None if there is something else."""
    try:
        return np.asarray(numbers, float).shape
    except (TypeError, ValueError):
        return None
