"""Soft implicit shapes and textures from which phantoms are painted, plane by plane.

A shape is an approximate signed distance in mm, negative inside, evaluated on one axial plane;
coordinates are LPS mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.grid import Grid

Field = NDArray[np.floating[Any]]

FAR = 30.0
"""Distances in mm that are cut short, because nothing that is painted reaches so far."""

Point = tuple[float, float, float, float]
"""A point of a tube's path: x, y, z and the radius there, in mm."""


@dataclass(frozen=True)
class Plane:
    """Points of an axial plane: `x` and `y` (rows, columns), `z` (rows, columns) or one number.

    Where all points of a column have one x and all of a row one y, these are (1, columns) and
    (rows, 1): what is computed of one of them alone is computed once.
    """

    x: Field
    y: Field
    z: Field | float

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return np.broadcast_shapes(np.shape(self.x), np.shape(self.y), np.shape(self.z))

    def mirrored(self, side: float) -> Plane:
        """Return the plane as seen from the patient's other side, for `side` -1."""
        return Plane(self.x * np.float32(side), self.y, self.z)


def ellipsoid(
    plane: Plane, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Field:
    """Return the distance from an ellipsoid along the patient's axes, exact to first order."""
    offsets = (plane.x - centre[0], plane.y - centre[1], plane.z - centre[2])
    scaled = [offset / radius for offset, radius in zip(offsets, radii, strict=True)]
    level = np.sqrt(sum(part**2 for part in scaled) + 1e-6)
    slope = np.sqrt(sum((part / r) ** 2 for part, r in zip(scaled, radii, strict=True)) + 1e-9)
    distance: Field = (level * (level - 1) / slope).astype(np.float32)
    return distance


def tube(plane: Plane, path: Sequence[Point]) -> Field:
    """Return the distance from a tube along `path`, points (x, y, z, radius)."""
    distance = np.full(plane.shape, FAR, np.float32)
    for start, stop in pairwise(path):
        if _out_of_reach(plane, start, stop):
            continue
        axis = [b - a for a, b in zip(start[:3], stop[:3], strict=True)]
        offsets = (plane.x - start[0], plane.y - start[1], plane.z - start[2])
        length = sum(part**2 for part in axis)
        along = sum(o * a for o, a in zip(offsets, axis, strict=True)) / length
        along = np.clip(along, 0, 1)
        square = sum((o - along * a) ** 2 for o, a in zip(offsets, axis, strict=True))
        radius = start[3] + along * (stop[3] - start[3])
        distance = np.minimum(distance, np.sqrt(square) - radius)
    return distance.astype(np.float32)


def _out_of_reach(plane: Plane, start: Point, stop: Point) -> bool:
    """Tell whether the plane is FAR from the tube between two points, above or below."""
    reach = max(start[3], stop[3]) + FAR
    above = np.min(plane.z) > max(start[2], stop[2]) + reach
    return bool(above or np.max(plane.z) < min(start[2], stop[2]) - reach)


def union(first: Field, second: Field, blend: float = 0.0) -> Field:
    """Return the distance from both shapes together, their seam rounded over `blend` mm."""
    if blend == 0:
        return np.minimum(first, second)
    overlap = np.maximum(blend - np.abs(first - second), 0) / blend
    return np.minimum(first, second) - overlap**2 * np.float32(blend / 4)


def intersection(first: Field, second: Field, blend: float = 0.0) -> Field:
    """Return the distance from what both shapes share, its edge rounded over `blend` mm."""
    return -union(-first, -second, blend)


def coverage(distance: Field, edge: float = 1.2) -> Field:
    """Return how much of each pixel a shape covers, 0 to 1, its edge `edge` mm wide."""
    covered: Field = np.clip(0.5 - distance / edge, 0, 1).astype(np.float32)
    return covered


class Noise:
    """A smooth random field in space, periodic, with mean 0 and standard deviation 1.

    `wavelength` is the mm between its crests; `band` narrows the spectrum around it: crests are
    then evenly spaced, as gyri are.
    """

    CELLS = 64

    def __init__(self, rng: np.random.Generator, wavelength: float, *, band: bool = False) -> None:
        white = rng.standard_normal((self.CELLS,) * 3)
        frequency = np.fft.fftfreq(self.CELLS)
        radius = np.sqrt(
            frequency[:, None, None] ** 2
            + frequency[None, :, None] ** 2
            + frequency[None, None, :] ** 2
        )
        centre = 1 / 8
        if band:
            gain = np.exp(-(((radius - centre) / (0.22 * centre)) ** 2))
        else:
            gain = np.exp(-((radius / centre) ** 2))
            gain[0, 0, 0] = 0
        field = np.fft.ifftn(np.fft.fftn(white) * gain).real
        self._field = (field / field.std()).astype(np.float32)
        self._cells_per_mm = 8 / wavelength

    def at(self, x: Field, y: Field, z: Field | float) -> Field:
        """Return the field at LPS positions in mm."""
        if np.ndim(z) == 0 and len(x) == 1 and y.shape[1] == 1:
            return self._on_lines(x.ravel(), y.ravel(), float(z))
        coordinates = np.stack(np.broadcast_arrays(z, y, x)) * np.float32(self._cells_per_mm)
        sampled: Field = ndimage.map_coordinates(
            self._field, coordinates, order=1, mode="grid-wrap", output=np.float32
        )
        return sampled

    def _on_lines(self, x: Field, y: Field, z: float) -> Field:
        """Return the same where columns meet rows: each line is weighed once, not each point."""
        (planes, along_z), (rows, along_y), (columns, along_x) = (
            self._neighbours(positions) for positions in (np.array([z]), y, x)
        )
        sampled = np.zeros((len(x), len(y)))
        for plane, share in zip(planes, along_z, strict=True):
            field = self._field[plane[0]] * share
            for row, of_row in zip(rows, along_y, strict=True):
                lines = np.ascontiguousarray((field[row] * of_row[:, None]).T)
                for column, of_column in zip(columns, along_x, strict=True):
                    sampled += lines[column] * of_column[:, None]
        return sampled.T.astype(np.float32, order="C")

    def _neighbours(self, positions: Field) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the cells on both sides of positions in mm, (2, n), and how much each counts."""
        cells = positions.astype(np.float64) * np.float32(self._cells_per_mm)
        below = np.floor(cells)
        after = cells - below
        index = below.astype(np.intp)
        return np.stack([index, index + 1]) % self.CELLS, np.stack([1 - after, after])

    def on(self, plane: Plane) -> Field:
        """Return the field on a plane."""
        return self.at(plane.x, plane.y, plane.z)


@dataclass(frozen=True)
class Texture:
    """Random fields on one plane that bend what would be straight, from coarse to fine."""

    slow: Field
    medium: Field
    fine: Field


@dataclass(frozen=True)
class Textures:
    """Random fields in space, from coarse to fine; on a plane they are a `Texture`."""

    slow: Noise
    medium: Noise
    fine: Noise

    @classmethod
    def draw(
        cls, rng: np.random.Generator, slow_mm: float, medium_mm: float, fine_mm: float
    ) -> Textures:
        """Return fields whose crests are as many mm apart."""
        return cls(Noise(rng, slow_mm), Noise(rng, medium_mm), Noise(rng, fine_mm))

    def on(self, plane: Plane) -> Texture:
        """Return the fields on a plane."""
        return Texture(self.slow.on(plane), self.medium.on(plane), self.fine.on(plane))


def centred_grid(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    centre: tuple[float, float, float],
) -> Grid:
    """Return an axial grid.

    Args:
        shape: voxels along (z, y, x).
        spacing: mm along (x, y, z).
        centre: LPS mm.
    """
    x, y, z = (
        -(count * mm - mm) / 2 + middle
        for count, mm, middle in zip(shape[::-1], spacing, centre, strict=True)
    )
    return Grid(shape, spacing, (x, y, z))


def in_plane_positions(grid: Grid) -> tuple[Field, Field]:
    """Return x (1, columns) and y (rows, 1), LPS mm, of the pixels of an axial grid's planes."""
    rows, columns = (
        (grid.origin[axis] + grid.spacing[axis] * np.arange(count)).astype(np.float32)
        for axis, count in ((1, grid.shape[1]), (0, grid.shape[2]))
    )
    return columns[None, :], rows[:, None]
