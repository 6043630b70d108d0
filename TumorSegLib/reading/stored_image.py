"""An image as the header of its file describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, check_spacing
from TumorSegLib.image.itk import perpendicular_grid, unoriented
from TumorSegLib.image.volume import MAXIMUM_VOXELS
from TumorSegLib.reading.voxel_data import DataPart, read_voxels

MAXIMUM_AXES = 16


@dataclass(frozen=True)
class StoredImage:
    """What a header says.

    Attributes:
        path: of the file with the header.
        sizes: voxels along x, y, z and further axes.
        components: values in a voxel.
        components_axis: which stored axis, the fastest being 0, counts the components.
        dtype: of the stored values, with their byte order.
        spacing: mm along x, y and z; 1 where the header gives none.
        origin: LPS mm of the first voxel's centre.
        directions: LPS direction of each of the axes x, y and z.
        parts: where the voxels are.
        has_spacing: whether the header gives it.
        has_directions: whether it says how the patient lies.
        fields: of the header by name, for those who need more.
    """

    path: Path
    sizes: tuple[int, ...]
    components: int
    components_axis: int
    dtype: np.dtype[Any]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    parts: tuple[DataPart, ...]
    has_spacing: bool
    has_directions: bool
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_segmentation(self) -> bool:
        """Whether 3D Slicer wrote it as a segmentation."""
        return "Segment0_ID" in self.fields or "Segment0_Name" in self.fields

    def grid(self) -> Grid:
        """Return where the voxels lie.

        Raises:
            InputError: not three axes, too many voxels, impossible spacing, sheared axes.
        """
        check_sizes(self.path, self.sizes)
        check_spacing(self.spacing, str(self.path))
        x, y, z = self.sizes[:3]
        return perpendicular_grid(
            (z, y, x), self.spacing, self.origin, np.array(self.directions).T, str(self.path)
        )

    def read(self) -> tuple[NDArray[Any], bool]:
        """Return the voxels, and whether the file holds more than these.

        They are an array (z, y, x) where a voxel has one value, else (component, z, y, x).

        Raises:
            InputError: see `grid`; or voxels are missing or damaged.
        """
        shape = self.grid().shape
        flat, surplus = read_voxels(
            self.path, self.parts, self.dtype, prod(shape) * self.components
        )
        stored = list(self.sizes)
        stored.insert(self.components_axis, self.components)
        array = flat.reshape(stored[::-1])
        moved = np.moveaxis(array, len(stored) - 1 - self.components_axis, 0)
        array = moved.reshape(self.components, *shape)
        return (array[0] if self.components == 1 else array), surplus

    def warnings(self, grid: Grid, name: str) -> list[str]:
        """Return what was assumed where the header says nothing, one line each."""
        lines = []
        if not self.has_spacing:
            spacing = ", ".join(f"{mm:g}" for mm in grid.spacing)
            lines.append(f"{name}: the header gives no spacing; ({spacing}) mm was assumed")
        if not self.has_directions:
            lines.append(unoriented(name))
        return lines


def check_sizes(path: Path, sizes: tuple[int, ...]) -> None:
    """Refuse what is no 3-D volume, before memory is taken for it.

    Raises:
        InputError: too few, too many or too long axes.
    """
    shown = "x".join(map(str, sizes))
    if len(sizes) < 3 or prod(sizes[3:]) != 1:
        raise InputError(
            f"{path}: found {len(sizes)} axes ({shown}), expected a 3-D volume"
            f"{'; save one of its volumes as a file of its own' if len(sizes) > 3 else ''}"
        )
    if min(sizes) < 1:
        raise InputError(f"{path}: found no voxels ({shown}); copy or export it again")
    if prod(sizes) > MAXIMUM_VOXELS:
        raise InputError(f"{path}: found {shown} voxels, expected at most {MAXIMUM_VOXELS}")


def check_components(path: Path, components: int) -> None:
    """Refuse what has several values in a voxel.

    Raises:
        InputError: it has.
    """
    if components != 1:
        raise InputError(
            f"{path}: found {components} values in each voxel (colour, vector or complex), expected"
            " one grey value"
        )
