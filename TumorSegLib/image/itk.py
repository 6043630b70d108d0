"""Grids and arrays as SimpleITK images, and back. Both are LPS; only the axis order differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import SHEAR_TOLERANCE, Grid, check_spacing, matrix_of, skew, vector


def to_sitk(voxels: NDArray[Any], grid: Grid) -> sitk.Image:
    """Return a copy of `voxels` (z, y, x), or (z, y, x, component), as an image on `grid`."""
    image = sitk.GetImageFromArray(voxels, isVector=voxels.ndim == 4)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.cosines)
    return image


def grid_of_image(image: sitk.Image | sitk.ImageFileReader, name: str = "image") -> Grid:
    """Return the grid of a 3-D image, its numbers exactly as they stand in the image.

    Directions that are orthonormal but for rounding are kept as they are, so that results lie on
    the very grid of the input.

    Raises:
        InputError: the axes are not perpendicular; slices would be skewed.
    """
    columns, rows, slices = image.GetSize()
    matrix = np.reshape(image.GetDirection(), (3, 3))
    shape = (slices, rows, columns)
    return perpendicular_grid(shape, image.GetSpacing(), image.GetOrigin(), matrix, name)


def perpendicular_grid(
    shape: tuple[int, int, int],
    spacing: Sequence[float],
    origin: Sequence[float],
    matrix: NDArray[np.float64],
    name: str,
) -> Grid:
    """Return a grid with these very numbers, if its axes are perpendicular.

    Args:
        shape: voxels along (z, y, x).
        spacing: mm along (x, y, z).
        origin: LPS mm.
        matrix: (3, 3), its columns the LPS directions of x, y and z.
        name: for messages.

    Raises:
        InputError: the axes are not perpendicular, a spacing is not positive, or the origin is no
            position.
    """
    if not np.isfinite(origin).all():
        raise InputError(f"{name}: found origin {tuple(origin)}, expected a position in mm")
    check_spacing(spacing, name)
    deviation = skew(matrix)
    if not deviation <= SHEAR_TOLERANCE:
        raise InputError(
            f"{name}: its axes are sheared (scalar products of their directions are off by"
            f" {deviation:.2g}), expected perpendicular axes; resample it onto a rectangular grid"
        )
    return Grid(shape, vector(spacing), vector(origin), matrix_of(matrix))


def unoriented(name: str) -> str:
    """Return the warning for a file that does not say how the patient lies."""
    return (
        f"{name}: the header gives no orientation; columns were taken to run to the patient's left,"
        " rows to the back, slices to the head"
    )
