"""A segment as it was drawn, and where its voxels lie on the grid of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.slicer_io.fingerprint import voxels_fingerprint

TOLERANCE_MM = 0.01
"""How far apart voxels may be that are taken for the same, as in `Grid.geometry_equal`."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class NamedMask:
    """A segment: a value in a label map, which several segments may share.

    Attributes:
        id: that stays when the segment is renamed.
        name: for people.
        labelmap: whole numbers (z, y, x), often cropped to what is drawn.
        value: of the segment's voxels in it.
        affine: 4x4 from voxel indices (x, y, z) of `labelmap` to LPS mm.
        model: id and version of the model that drew it first; empty if none did.
        as_drawn: fingerprint of its voxels as that model left them; empty if that is not known.
        warnings: what is doubtful about its voxels, a line each.
    """

    id: str
    name: str
    labelmap: NDArray[Any]
    value: int
    affine: NDArray[np.float64]
    model: str = ""
    as_drawn: str = ""
    warnings: tuple[str, ...] = ()

    def changed(self, grid: Grid) -> bool | None:
        """Tell whether it was changed since a model drew it; None if that is not known.

        Args:
            grid: of the volume that it was drawn on.

        Raises:
            InputError: see `placed`.
        """
        if not self.as_drawn:
            return None
        (z, y, x), mask = self.placed(grid)
        return voxels_fingerprint(mask, (z.start, y.start, x.start)) != self.as_drawn

    def placed(self, grid: Grid) -> tuple[Box, NDArray[np.bool_]]:
        """Return a box (z, y, x) of `grid` and the segment's mask in it.

        Raises:
            InputError: the label map lies on another grid, or the segment reaches beyond `grid`.
        """
        start = self._start(grid)
        mask: NDArray[np.bool_] = self.labelmap == self.value
        inner, outer = [], []
        for first, count, size in zip(start, mask.shape, grid.shape, strict=True):
            low, high = max(0, first), max(0, first, min(size, first + count))
            outer.append(slice(low, high))
            inner.append(slice(low - first, high - first))
        within = mask[inner[0], inner[1], inner[2]]
        if np.count_nonzero(within) != np.count_nonzero(mask):
            raise InputError(
                f"segment {self.name}: reaches beyond the volume, expected a segmentation of this"
                " volume; choose the volume that it was drawn on"
            )
        return (outer[0], outer[1], outer[2]), within

    def _start(self, grid: Grid) -> tuple[int, int, int]:
        """Return the index (z, y, x) on `grid` of the label map's first voxel."""
        between = np.linalg.inv(grid.affine) @ self.affine
        start = np.rint(between[:3, 3])
        expected = np.eye(4)
        expected[:3, 3] = start
        corner = np.array([*self.labelmap.shape[::-1], 1.0])
        apart = (np.abs(between - expected) @ corner)[:3] * grid.spacing
        if self.labelmap.size and not apart.max() <= TOLERANCE_MM:
            spacing = np.linalg.norm(self.affine[:3, :3], axis=0)
            raise InputError(
                f"segment {self.name}: lies on another grid than the volume"
                f" ({_millimetres(spacing)}, the volume {_millimetres(grid.spacing)},"
                f" {apart.max():.2g} mm apart); draw on the volume's own grid or choose the volume"
                " that it was drawn on"
            )
        x, y, z = start.astype(int).tolist()
        return z, y, x


def _millimetres(spacing: Any) -> str:
    return " x ".join(f"{mm:.4g}" for mm in spacing) + " mm"
