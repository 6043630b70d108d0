"""What a NIfTI-1 or NIfTI-2 file says; see nifti.nimh.nih.gov.

The header is judged here, and the voxels are read from where it says. ITK is asked only where those
of NIfTI-1 lie in space, which it decides between qform, sform and spacing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, check_spacing
from TumorSegLib.image.itk import perpendicular_grid, unoriented
from TumorSegLib.reading.nifti_geometry import (
    RAS_TO_LPS,
    decided_matrix,
    is_perpendicular,
    qform_matrix,
)
from TumorSegLib.reading.stored_image import check_sizes
from TumorSegLib.reading.voxel_data import (
    DEFLATE,
    GZIP_MAGIC,
    RAW,
    ZLIB_OR_GZIP,
    DataPart,
    read_voxels,
)

HEADER_CHUNK = 1 << 16

NAMES = [
    *("length", "dim", "datatype", "bitpix", "pixdim", "vox_offset", "slope", "inter"),
    *("xyzt_units", "qform_code", "sform_code", "quatern", "qoffset", "srow", "magic"),
]
"""The fields of a header that are needed here."""

NIFTI_1 = np.dtype(
    {
        "names": NAMES,
        "formats": [
            *("i4", "(8,)i2", "i2", "i2", "(8,)f4", "f4", "f4", "f4"),
            *("u1", "i2", "i2", "(3,)f4", "(3,)f4", "(3,4)f4", "S4"),
        ],
        "offsets": [0, 40, 70, 72, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280, 344],
        "itemsize": 348,
    }
)
NIFTI_2 = np.dtype(
    {
        "names": NAMES,
        "formats": [
            *("i4", "(8,)i8", "i2", "i2", "(8,)f8", "i8", "f8", "f8"),
            *("i4", "i4", "i4", "(3,)f8", "(3,)f8", "(3,4)f8", "S8"),
        ],
        "offsets": [0, 16, 12, 14, 104, 168, 176, 184, 500, 344, 348, 352, 376, 400, 4],
        "itemsize": 540,
    }
)
MAGIC = {NIFTI_1: b"n+1", NIFTI_2: b"n+2\0\r\n\x1a\n"}
"""Of a file that has the voxels, too, by the layout of its header. Its first field is the length of
the header; the second kind's ends show whether something has changed the ends of lines."""

TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
SEVERAL = {32: ("f4", 2), 1792: ("f8", 2), 128: ("u1", 3), 2304: ("u1", 4)}
"""Types and values in a voxel, for the codes of complex numbers and colours."""

UNITS_MM = {1: 1000.0, 3: 0.001}
"""Millimetres for the codes of metre and micrometre; any other unit counts as mm, as in ITK."""

SAME_PLACE_MM = 0.1
"""Corners of the volume may lie this far from where the header's matrix puts them."""


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What a NIfTI file says of its image.

    Attributes:
        path: of the file.
        sizes: voxels along x, y, z and further axes.
        components: values in a voxel.
        dtype: of the stored values, with their byte order.
        scaling: slope and intercept that turn stored values into the image's; `None` if they are.
        spacing: mm between voxels along x, y and z.
        part: where the voxels are.
        qform: (3, 4) from voxel indices (x, y, z) to LPS mm; `None` if `qform_code` is 0.
        sform: the same; `None` if `sform_code` is 0.
        sform_code: what kind of positions the sform gives.
        by_itk: whether ITK reads such files, and so decides where the voxels lie.
    """

    path: Path
    sizes: tuple[int, ...]
    components: int
    dtype: np.dtype[Any]
    scaling: tuple[float, float] | None
    spacing: tuple[float, ...]
    part: DataPart
    qform: NDArray[np.float64] | None
    sform: NDArray[np.float64] | None
    sform_code: int
    by_itk: bool
    is_segmentation: bool = False

    def grid(self) -> Grid:
        """Return where the voxels lie.

        Raises:
            InputError: not three axes, too many voxels, impossible spacing, sheared axes.
        """
        check_sizes(self.path, self.sizes)
        check_spacing(self.spacing, str(self.path))
        spacing, origin, matrix = self._by_itk() if self.by_itk else self._by_matrices()
        x, y, z = self.sizes[:3]
        return perpendicular_grid((z, y, x), spacing, origin, matrix, str(self.path))

    def _by_itk(self) -> tuple[Sequence[float], Sequence[float], NDArray[np.float64]]:
        """Return spacing, origin and directions (columns), all LPS and mm.

        Raises:
            InputError: the header's axes are sheared, or it contradicts itself.
        """
        reader = sitk.ImageFileReader()
        reader.SetImageIO("NiftiImageIO")
        reader.SetFileName(str(self.path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            if "orthonormal" in str(error):
                raise self._sheared() from None
            raise _unusable(self.path, "its header contradicts itself") from None
        count = reader.GetDimension()
        matrix = np.reshape(reader.GetDirection(), (count, count))[:3, :3]
        return reader.GetSpacing()[:3], reader.GetOrigin()[:3], matrix

    def _by_matrices(self) -> tuple[Sequence[float], Sequence[float], NDArray[np.float64]]:
        """Return the same as `_by_itk`, from the header's own matrices."""
        matrix = decided_matrix(self.qform, self.sform, self.sform_code, self.spacing)
        if matrix is None:
            raise self._sheared()
        return self.spacing, matrix[:, 3].tolist(), matrix[:, :3] / np.array(self.spacing)

    def _sheared(self) -> InputError:
        return InputError(
            f"{self.path}: its axes are sheared, expected perpendicular axes; resample it onto a"
            " rectangular grid"
        )

    def read(self) -> tuple[NDArray[Any], bool]:
        """Return the voxels (z, y, x), and whether the file holds more than these.

        Raises:
            InputError: voxels are missing or damaged.
        """
        flat, _ = read_voxels(self.path, [self.part], self.dtype, prod(self.sizes))
        stored = flat.reshape(self.sizes[2::-1])
        if self.scaling is None:
            return stored, False
        slope, intercept = self.scaling
        scaled = np.empty(stored.shape, np.float64 if stored.dtype == np.float64 else np.float32)
        for plane, target in zip(stored, scaled, strict=True):
            target[:] = plane * np.float64(slope) + intercept
        return scaled, False

    def warnings(self, grid: Grid, name: str) -> list[str]:
        """Return what was assumed when the voxels were placed on `grid`, one line each."""
        if self.sform is None:
            return [unoriented(name)] if self.qform is None else []
        x, y, z = (size - 1 for size in grid.shape[::-1])
        corners = np.array(np.meshgrid([0, x], [0, y], [0, z], [1])).reshape(4, -1)
        apart = np.linalg.norm((grid.affine[:3] - self.sform) @ corners, axis=0).max()
        if apart <= SAME_PLACE_MM:
            return []
        if self.qform is not None and is_perpendicular(self.sform, self.spacing):
            return [
                f"{name}: the header's qform and sform differ by {apart:.3g} mm; the qform was"
                " used, as by ITK and 3D Slicer; nibabel and FSL use the sform"
            ]
        return [
            f"{name}: the header's sform matrix is sheared or contradicts its spacing;"
            " the qform and the spacing were used instead"
        ]


def read_nifti(path: Path) -> NiftiHeader:
    """Read the header of `path`.

    Raises:
        InputError: it is not NIfTI, or one that cannot be used.
    """
    start, compressed = _start(path)
    layout, order = _layout(path, start)
    if compressed and not path.name.lower().endswith(".gz"):
        raise InputError(f"{path}: is compressed NIfTI; rename it to {path.name}.gz")
    fields = np.frombuffer(start[: layout.itemsize], layout.newbyteorder(order))[0]
    if fields["magic"] != MAGIC[layout]:
        expected = f"expected {MAGIC[layout]!r}, one file"
        raise _unusable(path, f"found magic {fields['magic']!r}, {expected}")
    sizes, components = _sizes(path, fields["dim"].tolist())
    dtype, values = _type(path, int(fields["datatype"]), int(fields["bitpix"]), order)
    offset = float(fields["vox_offset"])
    if not 0 <= offset < 2**31:
        raise _unusable(path, f"found vox_offset {offset:g}, expected where the voxels begin")
    unit = UNITS_MM.get(int(fields["xyzt_units"]) & 7, 1.0)
    has_sform, has_qform = int(fields["sform_code"]) > 0, int(fields["qform_code"]) > 0
    forms = {"quatern": has_qform, "qoffset": has_qform, "srow": has_sform}
    for name, is_used in forms.items():
        if is_used and not np.isfinite(fields[name]).all():  # ITK may search for ever
            raise _unusable(path, f"found {name} {fields[name].tolist()}, expected numbers")
    begin = max(layout.itemsize, int(offset))
    return NiftiHeader(
        path=path,
        sizes=sizes,
        components=components * values,
        dtype=dtype,
        scaling=_scaling(path, float(fields["slope"]), float(fields["inter"])),
        spacing=tuple(unit * float(size) for size in fields["pixdim"][1:4]),
        part=DataPart(path, DEFLATE, skip=begin) if compressed else DataPart(path, RAW, begin),
        qform=qform_matrix(fields, unit) if has_qform else None,
        sform=unit * RAS_TO_LPS * fields["srow"].astype(np.float64) if has_sform else None,
        sform_code=int(fields["sform_code"]),
        by_itk=layout is NIFTI_1,
    )


def _layout(path: Path, start: bytes) -> tuple[np.dtype[Any], Literal["<", ">"]]:
    """Return a header's layout and byte order, by its length, which its first field says.

    Raises:
        InputError: it is no NIfTI header.
    """
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for layout in MAGIC:
        for order in orders:
            length = layout.itemsize
            if start[:4] == struct.pack(f"{order}i", length) and len(start) >= length:
                return layout, order
    raise InputError(f"{path}: not a NIfTI file, or a damaged one; copy or export it again")


def _start(path: Path) -> tuple[bytes, bool]:
    """Return the header's bytes, fewer if the file is shorter, and whether it is compressed."""
    with path.open("rb") as file:
        start = file.read(HEADER_CHUNK)
    if not start.startswith(GZIP_MAGIC):
        return start[: NIFTI_2.itemsize], False
    try:
        return zlib.decompressobj(ZLIB_OR_GZIP).decompress(start, NIFTI_2.itemsize), True
    except zlib.error:
        return b"", True


def _sizes(path: Path, dim: list[int]) -> tuple[tuple[int, ...], int]:
    """Return voxels along the axes, and values in a voxel where the fifth axis counts them."""
    rank, *sizes = dim
    if not 1 <= rank <= 7 or min(sizes[:rank]) < 1:
        raise _unusable(path, f"found dim {dim}, expected 1 to 7 axes with voxels")
    found = sizes[:rank]
    if rank == 5 and found[3] == 1 and found[4] > 1:
        return tuple(found[:3]), found[4]
    return tuple(found), 1


def _type(path: Path, code: int, bits: int, order: str) -> tuple[np.dtype[Any], int]:
    """Return the type of the stored numbers, and how many of them a voxel has."""
    name, values = (TYPES[code], 1) if code in TYPES else SEVERAL.get(code, ("", 0))
    if not values or bits != np.dtype(name).itemsize * values * 8:
        raise _unusable(path, f"found datatype {code} of {bits} bits, expected grey values")
    return np.dtype(order + name), values


def _scaling(path: Path, slope: float, intercept: float) -> tuple[float, float] | None:
    """Return how stored values become the image's; a slope of 0 or NaN says that they are."""
    if slope == 0 or slope != slope or (slope, intercept) == (1, 0):
        return None
    if not isfinite(slope) or not isfinite(intercept):
        raise _unusable(path, f"found scl_slope {slope:g} and scl_inter {intercept:g}")
    return slope, intercept


def _unusable(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: cannot be read as NIfTI, damaged, truncated or of another format: {reason};"
        " copy or export it again"
    )
