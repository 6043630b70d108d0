"""What the header of a MetaImage file says; see itk.org/Wiki/ITK/MetaIO/Documentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from TumorSegLib.reading.header_text import HeaderFields, header_lines
from TumorSegLib.reading.nrrd_header import N, check_shares, data_files, data_path
from TumorSegLib.reading.stored_image import MAXIMUM_AXES, StoredImage
from TumorSegLib.reading.voxel_data import DEFLATE, RAW, TEXT, DataPart

KIND = "MetaImage"
DATA_FILE = "ElementDataFile"
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
"""A long has four bytes on every machine, in MetaIO."""


def read_meta_image(path: Path) -> StoredImage:
    """Read the header in `path`.

    Raises:
        InputError: it is no MetaImage header, or one that cannot be used.
    """
    fields, listed, length = _fields(path)
    sizes = fields.sizes("NDims", "DimSize", MAXIMUM_AXES)
    axes = len(sizes)
    kind = fields.needed("ElementType")
    if kind not in TYPES:
        raise fields.unexpected("ElementType", kind, "a type of numbers such as MET_SHORT")
    channels = fields.text("ElementNumberOfChannels") or "1"
    components = fields.whole_numbers("ElementNumberOfChannels", channels, 1)[0]
    if components < 1:
        raise fields.unexpected("ElementNumberOfChannels", channels, "a positive number")
    spacing = fields.text("ElementSpacing", "ElementSize")
    matrix = fields.text("TransformMatrix", "Rotation", "Orientation")
    position = fields.text("Offset", "Position", "Origin") or " ".join(["0"] * axes)
    directions = np.eye(axes)
    if matrix is not None:
        directions = np.reshape(fields.numbers("TransformMatrix", matrix, axes**2), (axes, axes))
    largest_first = _is_true(fields, "ElementByteOrderMSB", "BinaryDataByteOrderMSB")
    return StoredImage(
        path=path,
        sizes=sizes,
        components=components,
        components_axis=0,
        dtype=np.dtype(TYPES[kind]).newbyteorder(">" if largest_first else "<"),
        spacing=(1.0, 1.0, 1.0) if spacing is None else _spacing(fields, spacing, axes),
        origin=fields.numbers("Offset", position, axes)[:3],
        directions=tuple(tuple(row[:3]) for row in directions.tolist()[:3]),
        parts=_parts(fields, listed, length, sizes),
        has_spacing=spacing is not None,
        has_directions=matrix is not None,
        fields=fields.values,
    )


def _spacing(fields: HeaderFields, text: str, axes: int) -> tuple[float, ...]:
    return fields.numbers("ElementSpacing", text, axes)[:3]


def _fields(path: Path) -> tuple[HeaderFields, list[str], int]:
    """Return the fields, the data files that are listed, and the header's length."""
    values: dict[str, str] = {}
    listed: list[str] = []
    fields = HeaderFields(path, KIND, values)
    length = 0
    for line, so_far in header_lines(path):
        if DATA_FILE in values:
            listed += [line.strip()] if line.strip() else []
            continue
        if not line.strip():
            continue
        name, separator, value = line.partition("=" if "=" in line else ":")
        if not separator:
            raise fields.unexpected("line", line, "a field")
        if name.strip() in values:
            raise fields.error(f"the field {name.strip()} stands there twice")
        values[name.strip()] = value.strip()
        length = so_far
        if name.strip() == DATA_FILE and not value.strip().startswith("LIST"):
            break
    if not values.get(DATA_FILE):
        raise fields.error(f"the field {DATA_FILE} is missing")
    return fields, listed, length


def _is_true(fields: HeaderFields, *names: str) -> bool:
    """Return a field that is true or false; false where it is missing."""
    text = fields.text(*names) or "False"
    if text.lower() not in ("true", "t", "1", "false", "f", "0"):
        raise fields.unexpected(names[0], text, "True or False")
    return text.lower() in ("true", "t", "1")


def _parts(
    fields: HeaderFields, listed: list[str], length: int, sizes: tuple[int, ...]
) -> tuple[DataPart, ...]:
    """Return where the voxels are."""
    compressed = _is_true(fields, "CompressedData")
    encoding = DEFLATE if compressed else RAW
    if not _is_true(fields, "BinaryData") and fields.text("BinaryData") is not None:
        encoding = TEXT
    skipped = fields.whole_numbers("HeaderSize", fields.text("HeaderSize") or "0", 1)[0]
    if skipped < -1 or (skipped == -1 and encoding != RAW):
        raise fields.unexpected("HeaderSize", str(skipped), "0 or more")
    packed = fields.text("CompressedDataSize")
    size = None if packed is None else fields.whole_numbers("CompressedDataSize", packed, 1)[0]
    if size is not None and size < 0:
        raise fields.unexpected("CompressedDataSize", str(size), "a positive number")
    named = fields.needed(DATA_FILE)
    if named.lower() == "local":
        parts = [DataPart(fields.path, encoding, length, length=size or None)]
    else:
        names = data_files(fields, named, listed, rf"{N}\s+{N}(?:\s+{N})?")
        limit = (size or None) if len(names) == 1 and not listed else None
        parts = [
            DataPart(data_path(fields, name), encoding, skipped, length=limit) for name in names
        ]
    check_shares(fields, sizes, len(parts))
    return tuple(parts)
