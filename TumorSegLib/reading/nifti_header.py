"""What a NIfTI-1 file says; see nifti.nimh.nih.gov/nifti-1.

The header is judged here, and the voxels are read from where it says. ITK is asked only where they
lie in space, which it decides between qform, sform and spacing.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import perpendicular_grid, unoriented
from TumorSegLib.image.volume import check_spacing
from TumorSegLib.reading.stored_image import check_sizes
from TumorSegLib.reading.voxel_data import (
    DEFLATE,
    GZIP_MAGIC,
    RAW,
    ZLIB_OR_GZIP,
    DataPart,
    read_voxels,
)

LENGTH = 348
"""Bytes of a NIfTI-1 header; its first field says so, too."""

NIFTI_2_LENGTH = 540
HEADER_CHUNK = 1 << 16

FIELDS = np.dtype(
    {
        "names": [
            *("length", "dim", "datatype", "bitpix", "pixdim", "vox_offset", "slope", "inter"),
            *("xyzt_units", "qform_code", "sform_code", "srow", "magic"),
        ],
        "formats": [
            *("i4", "(8,)i2", "i2", "i2", "(8,)f4", "f4", "f4", "f4"),
            *("u1", "i2", "i2", "(3,4)f4", "S4"),
        ],
        "offsets": [0, 40, 70, 72, 76, 108, 112, 116, 123, 252, 254, 280, 344],
        "itemsize": LENGTH,
    }
)
"""The fields of a NIfTI-1 header that are needed here."""

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

SHEAR = 1e-3


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI-1 file says of its image.

    Attributes:
        path: of the file.
        sizes: voxels along x, y, z and further axes.
        components: values in a voxel.
        dtype: of the stored values, with their byte order.
        scaling: slope and intercept that turn stored values into the image's; `None` if they are.
        spacing: mm between voxels along x, y and z.
        part: where the voxels are.
        oriented: whether `qform_code` or `sform_code` says where the voxels lie.
        sform: (3, 4) from voxel indices (x, y, z) to LPS mm; `None` if `sform_code` is 0.
        has_qform: whether `qform_code` says where the voxels lie.
    """

    path: Path
    sizes: tuple[int, ...]
    components: int
    dtype: np.dtype[Any]
    scaling: tuple[float, float] | None
    spacing: tuple[float, ...]
    part: DataPart
    oriented: bool
    sform: NDArray[np.float64] | None
    has_qform: bool
    is_segmentation: bool = False

    def grid(self) -> Grid:
        """Return where the voxels lie.

        Raises:
            InputError: not three axes, too many voxels, impossible spacing, sheared axes.
        """
        check_sizes(self.path, self.sizes)
        check_spacing(self.spacing, str(self.path))
        reader = sitk.ImageFileReader()
        reader.SetImageIO("NiftiImageIO")
        reader.SetFileName(str(self.path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            if "orthonormal" in str(error):
                reason = "its axes are sheared, expected perpendicular axes; resample it onto a"
                raise InputError(f"{self.path}: {reason} rectangular grid") from None
            raise _unusable(self.path, "its header contradicts itself") from None
        count = reader.GetDimension()
        matrix = np.reshape(reader.GetDirection(), (count, count))[:3, :3]
        x, y, z = self.sizes[:3]
        spacing, origin = reader.GetSpacing()[:3], reader.GetOrigin()[:3]
        return perpendicular_grid((z, y, x), spacing, origin, matrix, str(self.path))

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
        if not self.oriented:
            return [unoriented(name)]
        if self.sform is None:
            return []
        x, y, z = (size - 1 for size in grid.shape[::-1])
        corners = np.array(np.meshgrid([0, x], [0, y], [0, z], [1])).reshape(4, -1)
        apart = np.linalg.norm((grid.affine[:3] - self.sform) @ corners, axis=0).max()
        if apart <= SAME_PLACE_MM:
            return []
        columns = self.sform[:, :3] / np.array(self.spacing)
        if self.has_qform and np.abs(columns.T @ columns - np.eye(3)).max() <= SHEAR:
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
        InputError: it is not NIfTI-1, or one that cannot be used.
    """
    start, compressed = _start(path)
    lengths = [int.from_bytes(start[:4], order) for order in ("little", "big")]
    if NIFTI_2_LENGTH in lengths:
        raise InputError(f"{path}: found NIfTI-2, expected NIfTI-1; convert it to NIfTI-1")
    if LENGTH not in lengths or len(start) < LENGTH:
        raise InputError(f"{path}: not a NIfTI file, or a damaged one; copy or export it again")
    if compressed and not path.name.lower().endswith(".gz"):
        raise InputError(f"{path}: is compressed NIfTI; rename it to {path.name}.gz")
    order: Literal["<", ">"] = "<" if lengths[0] == LENGTH else ">"
    fields = np.frombuffer(start, FIELDS.newbyteorder(order))[0]
    if fields["magic"] != b"n+1":
        raise _unusable(path, f"found magic {fields['magic']!r}, expected b'n+1', one file")
    sizes, components = _sizes(path, fields["dim"].tolist())
    dtype, values = _type(path, int(fields["datatype"]), int(fields["bitpix"]), order)
    offset = float(fields["vox_offset"])
    if not 0 <= offset < 2**31:
        raise _unusable(path, f"found vox_offset {offset:g}, expected where the voxels begin")
    unit = UNITS_MM.get(int(fields["xyzt_units"]) & 7, 1.0)
    ras_to_lps = np.array([[-1.0], [-1.0], [1.0]])
    has_sform, has_qform = int(fields["sform_code"]) > 0, int(fields["qform_code"]) > 0
    begin = max(LENGTH, int(offset))
    return NiftiHeader(
        path=path,
        sizes=sizes,
        components=components * values,
        dtype=dtype,
        scaling=_scaling(path, float(fields["slope"]), float(fields["inter"])),
        spacing=tuple(unit * float(size) for size in fields["pixdim"][1:4]),
        part=DataPart(path, DEFLATE, skip=begin) if compressed else DataPart(path, RAW, begin),
        oriented=has_sform or has_qform,
        sform=unit * ras_to_lps * fields["srow"].astype(np.float64) if has_sform else None,
        has_qform=has_qform,
    )


def _start(path: Path) -> tuple[bytes, bool]:
    """Return the header's bytes, fewer if the file is shorter, and whether it is compressed."""
    with path.open("rb") as file:
        start = file.read(HEADER_CHUNK)
    if not start.startswith(GZIP_MAGIC):
        return start[:LENGTH], False
    try:
        return zlib.decompressobj(ZLIB_OR_GZIP).decompress(start, LENGTH), True
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
