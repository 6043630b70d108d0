"""What a NIfTI file itself says; ITK repairs impossible spacing and voxels without a word."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.grid import Grid, Vector
from TumorSegLib.itk import unoriented
from TumorSegLib.volume import check_spacing, value_range

LENGTH = 348
"""Bytes of a NIfTI-1 header; its first field says so, too."""

NIFTI_2_LENGTH = 540

FIELDS = np.dtype(
    {
        "names": [
            *("length", "dim", "datatype", "bitpix", "pixdim", "vox_offset"),
            *("xyzt_units", "qform_code", "sform_code", "srow"),
        ],
        "formats": ["i4", "(8,)i2", "i2", "i2", "(8,)f4", "f4", "u1", "i2", "i2", "(3,4)f4"],
        "offsets": [0, 40, 70, 72, 76, 108, 123, 252, 254, 280],
        "itemsize": LENGTH,
    }
)
"""The fields of a NIfTI-1 header that are needed here."""

FLOATS = {16: "f4", 64: "f8"}
"""Codes of `datatype` whose voxels may be NaN."""

UNITS_MM = {1: 1000.0, 3: 0.001}
"""Millimetres for the codes of metre and micrometre; any other unit counts as mm, as in ITK."""

GZIP = b"\x1f\x8b"
CHUNK = 1 << 20

SAME_PLACE_MM = 0.1
"""Corners of the volume may lie this far from where the header's matrix puts them."""


@dataclass(frozen=True)
class NiftiHeader:
    """What is needed to judge how ITK reads a NIfTI-1 file.

    Attributes:
        path: of the file.
        spacing: mm between voxels along (x, y, z), from `pixdim`.
        offset: of the voxels in the uncompressed file, in bytes.
        bytes: of the voxels.
        floats: type of the voxels if they are floating-point numbers.
        oriented: whether `qform_code` or `sform_code` says where the voxels lie.
        sform: (3, 4) from voxel indices (x, y, z) to LPS mm; `None` if `sform_code` is 0.
    """

    path: Path
    spacing: Vector
    offset: int
    bytes: int
    floats: np.dtype[Any] | None
    oriented: bool
    sform: NDArray[np.float64] | None

    @classmethod
    def read(cls, path: Path) -> NiftiHeader:
        """Read the header of `path`.

        Raises:
            InputError: it is not NIfTI-1.
        """
        try:
            with _open(path) as file:
                start = file.read(LENGTH)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            start = b""
        lengths = [int.from_bytes(start[:4], order) for order in ("little", "big")]
        if NIFTI_2_LENGTH in lengths:
            raise InputError(f"{path}: found NIfTI-2, expected NIfTI-1; convert it to NIfTI-1")
        if LENGTH not in lengths or len(start) < LENGTH:
            raise InputError(f"{path}: not a NIfTI file, or a damaged one; copy or export it again")
        order: Literal["<", ">"] = "<" if lengths[0] == LENGTH else ">"
        fields = np.frombuffer(start, FIELDS.newbyteorder(order))[0]
        unit = UNITS_MM.get(int(fields["xyzt_units"]) & 7, 1.0)
        rank, *sizes = fields["dim"].tolist()
        voxels = int(np.prod(sizes[: max(0, rank)], dtype=np.int64))
        x, y, z = (unit * float(size) for size in fields["pixdim"][1:4])
        ras_to_lps = np.array([[-1.0], [-1.0], [1.0]])
        floats = FLOATS.get(int(fields["datatype"]))
        has_sform = int(fields["sform_code"]) > 0
        return cls(
            path=path,
            spacing=(x, y, z),
            offset=int(fields["vox_offset"]),
            bytes=voxels * int(fields["bitpix"]) // 8,
            floats=np.dtype(order + floats) if floats else None,
            oriented=has_sform or int(fields["qform_code"]) > 0,
            sform=unit * ras_to_lps * fields["srow"].astype(np.float64) if has_sform else None,
        )

    def check(self) -> None:
        """Refuse what ITK would read as something else than it is.

        Raises:
            InputError: impossible spacing, fewer voxels than the header says, or NaN among them.
        """
        check_spacing(self.spacing, str(self.path))
        found = 0
        try:
            with _open(self.path) as file:
                file.read(self.offset)
                while chunk := file.read(min(CHUNK, max(0, self.bytes - found))):
                    found += len(chunk)
                    if self.floats and len(chunk) >= self.floats.itemsize:
                        count = len(chunk) // self.floats.itemsize
                        value_range(np.frombuffer(chunk, self.floats, count), str(self.path))
                while file.read(CHUNK):
                    pass  # the checksum stands at the very end
        except (EOFError, zlib.error, gzip.BadGzipFile):
            found = 0
        if found < self.bytes:
            raise InputError(
                f"{self.path}: its voxels are damaged or truncated; copy or export it again"
            )

    def warnings(self, grid: Grid, name: str) -> list[str]:
        """Return what ITK assumed when it placed the voxels on `grid`, one line each."""
        if not self.oriented:
            return [unoriented(name)]
        if self.sform is not None:
            x, y, z = (size - 1 for size in grid.shape[::-1])
            corners = np.array([(0, 0, 0, 1), (x, 0, 0, 1), (0, y, 0, 1), (0, 0, z, 1)])
            apart = np.abs(corners @ (grid.affine[:3] - self.sform).T).max()
            if not apart <= SAME_PLACE_MM:
                return [
                    f"{name}: the header's sform matrix is sheared or contradicts its spacing;"
                    " the qform and the spacing were used instead"
                ]
        return []


def _open(path: Path) -> BinaryIO:
    """Open a file that may be compressed, whatever its name says."""
    with path.open("rb") as file:
        compressed = file.read(len(GZIP)) == GZIP
    return cast("BinaryIO", gzip.open(path)) if compressed else path.open("rb")
