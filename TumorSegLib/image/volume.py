"""A scalar image in patient space."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid

MAXIMUM_VOXELS = 2**31
"""A volume with more voxels than this is refused as absurd (a whole-body CT has a fifth of it)."""


@dataclass(frozen=True)
class DicomOrigin:
    """Where the DICOM images of a volume lie.

    Attributes:
        place: a folder, or a file with many frames.
        series: SeriesInstanceUID of those images.
    """

    place: Path
    series: str


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar volume, equal to itself alone.

    See `Grid` for axis order, units and coordinate system.

    Attributes:
        voxels: array (z, y, x) of integers or floats, see `in_common_type`; Hounsfield units for
            CT.
        grid: where the voxels lie.
        modality: DICOM's word ("CT", "MR"), where known.
        name: what to call the volume in messages and results.
        warnings: what a reader had to assume or change, one line each.
        sequence: of MRI ("flair", "t1", "t1c", "t2"), where the header tells.
        origin: the DICOM images that it was read from, if it was; DICOM results refer to them.
        body_part: DICOM's BodyPartExamined ("BRAIN", "ABDOMEN"), where known.

    Raises:
        InputError: the array is not a usable scalar volume.
    """

    voxels: NDArray[Any] = field(repr=False)
    grid: Grid
    modality: str | None = None
    name: str = "volume"
    warnings: tuple[str, ...] = ()
    sequence: str | None = None
    origin: DicomOrigin | None = None
    body_part: str = ""

    def __post_init__(self) -> None:
        check_voxels(self.voxels, self.name)
        object.__setattr__(self, "voxels", in_common_type(self.voxels))
        if self.voxels.shape != self.grid.shape:
            raise InputError(
                f"{self.name}: the array has shape {self.voxels.shape}, its grid {self.grid.shape}"
            )


def check_voxels(voxels: NDArray[Any], name: str) -> None:
    """Refuse what no network can segment.

    Raises:
        InputError: no array, not three axes, no voxels or too many, not numbers, NaN or infinite,
            constant.
    """
    if not isinstance(voxels, np.ndarray):
        raise InputError(
            f"{name}: found voxels as {type(voxels).__name__}, expected a NumPy array (z, y, x)"
        )
    if voxels.ndim != 3:
        raise InputError(f"{name}: found {voxels.ndim} axes, expected a 3-D scalar volume")
    if voxels.size == 0:
        raise InputError(f"{name}: found no voxels (shape {voxels.shape})")
    if voxels.size > MAXIMUM_VOXELS:
        raise InputError(f"{name}: found {voxels.size} voxels, expected at most {MAXIMUM_VOXELS}")
    if voxels.dtype.kind not in "iuf":
        raise InputError(f"{name}: found voxels of type {voxels.dtype}, expected real numbers")
    smallest, largest = value_range(voxels, name)
    if smallest == largest:
        raise InputError(f"{name}: every voxel is {smallest:g}, there is nothing to segment")


def in_common_type(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return voxels in a type that ITK, networks and servers know, themselves where it is one.

    Byte order is the computer's; half precision becomes single, extended double.
    """
    kind, size = voxels.dtype.kind, voxels.dtype.itemsize
    return voxels.astype(f"{kind}{min(max(size, 4), 8) if kind == 'f' else size}", copy=False)


def value_range(voxels: NDArray[Any], name: str) -> tuple[float, float]:
    """Return the smallest and the largest value.

    Raises:
        InputError: there is a NaN, an infinite one, or one beyond what 32-bit floats can hold.
    """
    smallest, largest = float(voxels.min()), float(voxels.max())
    if not np.isfinite([smallest, largest]).all():
        raise InputError(
            f"{name}: holds NaN or infinite voxels, expected finite intensities; replace them first"
        )
    if max(-smallest, largest) > float(np.finfo(np.float32).max):
        raise InputError(
            f"{name}: its values reach from {smallest:g} to {largest:g}, expected what 32-bit"
            " floats hold; replace fill values, or scale the volume"
        )
    return smallest, largest
