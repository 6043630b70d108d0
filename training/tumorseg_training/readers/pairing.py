"""Images and label maps of a case, paired by where they lie, not by the order of their voxels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import Grid

TOLERANCE = 0.5
"""Voxels by which corners may be apart: every voxel still lies nearest to the one it is paired
with."""


@dataclass(frozen=True)
class Reordering:
    """How an array is stored differently from another one that lies at the same place.

    Attributes:
        axes: for `numpy.transpose`, the array's axes that become (z, y, x).
        flipped: axes of the transposed array that run backwards.
    """

    axes: tuple[int, ...]
    flipped: tuple[int, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of `array` (z, y, x) in the other order."""
        return np.flip(array.transpose(self.axes), self.flipped)


def reordering(stored: Grid, onto: Grid) -> Reordering | None:
    """Return what brings an array from one grid onto another; none if they differ by more.

    Args:
        stored: the array's grid.
        onto: the grid that it should be on.
    """
    between = np.linalg.inv(onto.affine) @ stored.affine
    turned = np.rint(between[:3, :3])
    sizes = np.array(stored.shape[::-1])
    if not np.array_equal(turned @ turned.T, np.eye(3)) or onto.shape[::-1] != tuple(
        np.abs(turned).astype(int) @ sizes
    ):
        return None
    expected = np.eye(4)
    expected[:3, :3] = turned
    expected[:3, 3] = np.where(turned.sum(axis=1) < 0, np.array(onto.shape[::-1]) - 1, 0)
    corners = np.array(np.meshgrid(*((0, size - 1) for size in sizes), [1])).reshape(4, -1)
    if not np.abs((between - expected) @ corners).max() <= TOLERANCE:
        return None
    order = np.abs(turned).argmax(axis=1)
    return Reordering(
        tuple((2 - order[::-1]).tolist()),
        tuple(np.flatnonzero(turned.sum(axis=1)[::-1] < 0).tolist()),
    )


def same_order(stored: Grid, onto: Grid) -> bool:
    """Tell whether two arrays of one shape run in the same directions, wherever they lie."""
    aligned = np.linalg.inv(onto.direction) @ np.array(stored.direction)
    return stored.shape == onto.shape and bool(np.array_equal(np.rint(aligned), np.eye(3)))


def difference(path: Path, grid: Grid, other: Path, onto: Grid) -> str:
    """Return in what way the grids of two files differ."""
    if sorted(grid.shape) != sorted(onto.shape):
        return f"{path.name} has shape {_by(grid.shape)}, {other.name} {_by(onto.shape)}"
    corners = np.array(np.meshgrid(*((0, size - 1) for size in grid.shape[::-1]), [1]))
    apart = (grid.affine - onto.affine) @ corners.reshape(4, -1)
    return (
        f"{path.name} lies on another grid than {other.name}: corners are up to"
        f" {np.linalg.norm(apart, axis=0).max():.4g} mm apart"
    )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[::-1]))
