"""Brings further sequences onto the grid of the volume that is segmented."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume

MINIMUM_OVERLAP = 0.5
"""A sequence that covers less of the volume than this shows something else."""

TOLD_POINTS = 65
"""Along each axis, where the share is told that a sequence does not cover."""


def aligned(volumes: Mapping[str, Volume]) -> tuple[dict[str, Volume], list[str]]:
    """Resample every volume onto the grid of the first; return them and a line for each change.

    Positions in patient space are taken as they are: no registration takes place.

    Raises:
        InputError: a sequence covers less than half of the first volume.
    """
    (first, reference), *others = volumes.items()
    result = {first: reference}
    warnings = []
    for name, volume in others:
        if volume.grid.geometry_equal(reference.grid):
            result[name] = volume
            continue
        overlap = overlap_share(reference.grid, volume.grid)
        if overlap < MINIMUM_OVERLAP:
            raise InputError(
                f"channel {name}: {volume.name} covers {overlap:.0%} of {reference.name}, expected"
                f" at least {MINIMUM_OVERLAP:.0%}; is it the same patient and examination?"
            )
        result[name] = resampled(volume, reference.grid)
        warnings.append(
            f"channel {name}: resampled onto the grid of channel {first}"
            f"{_uncovered(reference.grid, volume.grid, first)}"
        )
    return result, warnings


def resampled(volume: Volume, grid: Grid) -> Volume:
    """Return `volume` on `grid` by linear interpolation; beyond its border it is its minimum."""
    reference = sitk.Image([int(size) for size in grid.shape[::-1]], sitk.sitkUInt8)
    reference.SetSpacing(grid.spacing)
    reference.SetOrigin(grid.origin)
    reference.SetDirection(np.array(grid.direction).ravel().tolist())
    image = to_sitk(volume.voxels, volume.grid)
    beyond = float(volume.voxels.min())
    moved = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, beyond)
    return Volume(sitk.GetArrayFromImage(moved), grid, volume.modality, volume.name)


def _uncovered(grid: Grid, other: Grid, first: str) -> str:
    share = 1 - overlap_share(grid, other, TOLD_POINTS)
    if share < 0.005:
        return ""
    return f"; {share:.0%} of what channel {first} shows lies beyond it and is taken for air"


def overlap_share(grid: Grid, other: Grid, points: int = 9) -> float:
    """Return the share of `grid`'s voxels that lie within `other`, on a coarse lattice.

    Args:
        grid: whose voxels are looked at.
        other: that may hold them.
        points: of the lattice along each axis, at most as many as there are voxels but for 9.
    """
    axes = [np.linspace(0, n - 1, min(points, max(n, 9))) for n in grid.shape[::-1]]
    lattice = np.meshgrid(*axes, indexing="ij")
    indices = np.stack([*(axis.ravel() for axis in lattice), np.ones(lattice[0].size)])
    found = (np.linalg.inv(other.affine) @ grid.affine @ indices)[:3]
    upper = np.array(other.shape[::-1])[:, None] - 0.5
    return float(((found >= -0.5) & (found <= upper)).all(axis=0).mean())
