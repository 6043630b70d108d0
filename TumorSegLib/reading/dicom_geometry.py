"""Where DICOM's attributes say that a slice lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, vector
from TumorSegLib.reading.slice_stack import (
    POSITION_TOLERANCE,
    POSITION_TOLERANCE_MM,
    SHIFT_TOLERANCE,
    SliceGeometry,
)

SAME_DIRECTION = 1e-3
"""Direction cosines that differ by less than this are the same."""


def slice_geometry(
    path: Path,
    shape: tuple[int, int],
    position: Sequence[float] | None,
    orientation: Sequence[float] | None,
    pixel_spacing: Sequence[float] | None,
    thickness: float | None,
) -> SliceGeometry:
    """Return the geometry of a slice from DICOM's attributes, checked.

    Args:
        path: of the file, for messages.
        shape: rows and columns.
        position: ImagePositionPatient, LPS mm.
        orientation: ImageOrientationPatient, the row's direction, then the column's.
        pixel_spacing: PixelSpacing, mm between rows, then between columns.
        thickness: SliceThickness, mm.

    Raises:
        InputError: an attribute is missing or impossible.
    """
    if not _are_numbers(position, 3):
        raise InputError(
            f"{path}: found ImagePositionPatient {position}, expected the position of a slice;"
            " choose another series"
        )
    if not _are_numbers(pixel_spacing, 2) or min(pixel_spacing) <= 0:
        raise InputError(
            f"{path}: found PixelSpacing {pixel_spacing}, expected two positive numbers; export"
            " the series again"
        )
    known = orientation if _are_numbers(orientation, 6) else np.zeros(6)
    row, column = np.reshape(known, (2, 3))
    products = np.array([row @ row, column @ column, row @ column])
    if not np.abs(products - (1, 1, 0)).max() <= SAME_DIRECTION:
        raise InputError(
            f"{path}: found ImageOrientationPatient {orientation}, expected two perpendicular"
            " directions; export the series again"
        )
    return SliceGeometry(
        position=vector(position),
        row=vector(row),
        column=vector(column),
        spacing=(float(pixel_spacing[1]), float(pixel_spacing[0])),
        shape=shape,
        thickness=thickness,
    )


def _are_numbers(values: Sequence[float] | None, count: int) -> TypeGuard[Sequence[float]]:
    """Tell whether an attribute has as many values as it must, all of them numbers."""
    return values is not None and np.shape(values) == (count,) and bool(np.isfinite(values).all())


def plane_of(
    geometry: SliceGeometry, grid: Grid, *, tolerance: float = POSITION_TOLERANCE
) -> int | None:
    """Return the index of the grid's plane whose pixels are a slice's; `None` if there is none.

    Args:
        geometry: of the slice.
        grid: whose planes are meant.
        tolerance: for `plane_tolerance`.
    """
    if geometry.shape != grid.shape[1:]:
        return None
    rows, columns = geometry.shape
    corners = np.array([(0, 0), (0, columns - 1), (rows - 1, 0)])
    along_column = np.multiply(geometry.column, geometry.spacing[1])
    along_row = np.multiply(geometry.row, geometry.spacing[0])
    indices = grid.indices(geometry.position + corners @ [along_column, along_row])
    plane = round(float(indices[0, 0]))
    apart = np.abs(indices - np.column_stack([np.full(len(corners), plane), corners])).max(axis=0)
    near = apart[0] <= plane_tolerance(grid, tolerance) and apart[1:].max() <= SHIFT_TOLERANCE
    return plane if near and 0 <= plane < grid.shape[0] else None


def plane_tolerance(grid: Grid, share: float = POSITION_TOLERANCE) -> float:
    """Return how far from a plane of the grid what belongs to it may lie, in planes.

    That is `share`, or more where planes lie so close together that rounded positions are further
    off.
    """
    return max(share, POSITION_TOLERANCE_MM / grid.spacing[2])
