"""What panel and worker tell each other of voxels in shared blocks. Loads no NumPy."""

from __future__ import annotations

from dataclasses import dataclass

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class SharedVolume:
    """A volume whose voxels lie in a shared block; see `TumorSegLib.image.grid.Grid`.

    Attributes:
        block: that holds the voxels.
        dtype: NumPy's name of their type.
        shape: voxels along (z, y, x).
        spacing: mm along (x, y, z).
        origin: LPS mm.
        direction: row by row.
        name: for messages.
    """

    block: str
    dtype: str
    shape: tuple[int, int, int]
    spacing: Numbers
    origin: Numbers
    direction: Numbers
    name: str


@dataclass(frozen=True)
class SharedMask:
    """A segment whose label map lies in a shared block; see `NamedMask`.

    Attributes:
        block: that holds the label map; segments may share it.
        dtype: NumPy's name of its type.
        shape: voxels along (z, y, x).
        id: of the segment.
        name: of the segment.
        value: of the segment's voxels.
        affine: 4x4 from voxel indices (x, y, z) to LPS mm, row by row.
        model: that drew it first.
        as_drawn: fingerprint of its voxels as that model left them; "" if that is not known.
    """

    block: str
    dtype: str
    shape: tuple[int, int, int]
    id: str
    name: str
    value: int
    affine: Numbers
    model: str
    as_drawn: str = ""
