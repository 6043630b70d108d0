"""Grids and arrays as SimpleITK images, and back. Both are LPS; only the axis order differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.grid import Grid, Matrix, Vector

SHEAR_TOLERANCE = 1e-3
"""How far scalar products of the axes' directions may be from those of an orthonormal matrix.

Rounded headers reach 1e-4; 1e-3 misplaces the far corner of a head by a quarter of a millimetre.
"""


def image_of(voxels: NDArray[Any], grid: Grid) -> sitk.Image:
    """Return a copy of `voxels` (z, y, x), or (z, y, x, component), as an image on `grid`."""
    image = sitk.GetImageFromArray(voxels, isVector=voxels.ndim == 4)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection([number for row in grid.direction for number in row])
    return image


def grid_of_image(image: sitk.Image | sitk.ImageFileReader, name: str = "image") -> Grid:
    """Return the grid of a 3-D image, its numbers exactly as they stand in the image.

    Directions that are orthonormal but for rounding are kept as they are, so that results lie on
    the very grid of the input.

    Raises:
        InputError: the axes are not perpendicular; slices would be skewed.
    """
    columns, rows, slices = image.GetSize()
    flat = image.GetDirection()
    direction: Matrix = (_vector(flat[:3]), _vector(flat[3:6]), _vector(flat[6:]))
    matrix = np.array(direction)
    deviation = np.abs(matrix.T @ matrix - np.eye(3)).max()
    if not deviation <= SHEAR_TOLERANCE:
        raise InputError(
            f"{name}: its axes are sheared (scalar products of their directions are off by"
            f" {deviation:.2g}), expected perpendicular axes; resample it onto a rectangular grid"
        )
    return Grid(
        (slices, rows, columns),
        _vector(image.GetSpacing()),
        _vector(image.GetOrigin()),
        direction,
    )


def unoriented(name: str) -> str:
    """Return the warning for a file that does not say how the patient lies."""
    return (
        f"{name}: the header gives no orientation; columns were taken to run to the patient's left,"
        " rows to the back, slices to the head"
    )


def _vector(numbers: tuple[float, ...]) -> Vector:
    x, y, z = numbers
    return (float(x), float(y), float(z))
