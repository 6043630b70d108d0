"""What the header of an NRRD file says; see teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from TumorSegLib.reading.header_text import HeaderFields, header_lines
from TumorSegLib.reading.stored_image import MAXIMUM_AXES, StoredImage
from TumorSegLib.reading.voxel_data import BZIP2, DEFLATE, HEX, RAW, TEXT, DataPart

KIND = "NRRD"
TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(
        ("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"
    ),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long"), "i8"),
    **dict.fromkeys(("signed long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int"), "u8"),
    **dict.fromkeys(("uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
ENCODINGS = {
    "raw": RAW,
    "hex": HEX,
    **dict.fromkeys(("gzip", "gz"), DEFLATE),
    **dict.fromkeys(("bzip2", "bz2"), BZIP2),
    **dict.fromkeys(("ascii", "text", "txt"), TEXT),
}
TO_LPS = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1, 1, 1)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1, -1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1, -1, 1)),
}
"""By space: signs that turn its coordinates into LPS."""
UNITS_MM = {
    **dict.fromkeys(("", "???", "none", "mm", "millimeter", "millimetre"), 1.0),
    **dict.fromkeys(("millimeters", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1000.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns"), 0.001),
    **dict.fromkeys(("micrometer", "micrometre", "micrometers", "micrometres"), 0.001),
}
"""Millimetres for units of length; what does not name one is in mm, as everywhere."""
SPATIAL = ("domain", "space", "time", "???", "none")
"""Kinds of axes along which voxels lie; others count the values in a voxel."""
MAXIMUM_FILES = 65536
MAXIMUM_NAME = 255
N = r"(-?[0-9]{1,9})"
"""A number in a pattern of names."""


@dataclass(frozen=True)
class _Axes:
    """Axes by the number under which they are stored, the fastest being 0."""

    spatial: list[int]
    components: list[int]

    @property
    def before_components(self) -> int:
        """How many axes in space are faster than the one that counts the values in a voxel."""
        return sum(axis < self.components[0] for axis in self.spatial) if self.components else 0


def read_nrrd(path: Path) -> StoredImage:
    """Read the header in `path`.

    Raises:
        InputError: it is no NRRD header, or one that cannot be used.
    """
    fields, listed, length = _fields(path)
    sizes = fields.sizes("dimension", "sizes", MAXIMUM_AXES)
    axes_count = len(sizes)
    kind = fields.needed("type").lower()
    if kind not in TYPES:
        raise fields.unexpected("type", kind, "a type of numbers")
    encoding = fields.needed("encoding").lower()
    if encoding not in ENCODINGS:
        raise fields.unexpected("encoding", encoding, "raw, gzip, bzip2, text or hex")
    dtype = np.dtype(TYPES[kind])
    if dtype.itemsize > 1 and ENCODINGS[encoding] != TEXT:
        dtype = dtype.newbyteorder(_byte_order(fields))
    axes = _axes(fields, axes_count)
    units = _units_mm(fields, axes, axes_count)
    spacing, directions, has_spacing = _axes_in_space(fields, axes, axes_count, units)
    space = (fields.text("space") or "").lower()
    signs = np.array(TO_LPS.get(space, (1, 1, 1)))
    origin = signs * _origin(fields, axes, axes_count, units, spacing)
    return StoredImage(
        path=path,
        sizes=tuple(sizes[axis] for axis in axes.spatial),
        components=prod(sizes[axis] for axis in axes.components),
        components_axis=axes.before_components,
        dtype=dtype,
        spacing=spacing,
        origin=tuple(origin.tolist()),
        directions=tuple(tuple((signs * row).tolist()) for row in directions),
        parts=_parts(fields, listed, length, ENCODINGS[encoding], sizes),
        has_spacing=has_spacing,
        has_directions=space in TO_LPS,
        fields=fields.values,
    )


def _fields(path: Path) -> tuple[HeaderFields, list[str], int]:
    """Return the fields, the data files that are listed, and the header's length."""
    values: dict[str, str] = {}
    listed: list[str] = []
    fields = HeaderFields(path, KIND, values)
    lines = header_lines(path)
    first, length = next(lines, ("", 0))
    if re.fullmatch(r"NRRD000[1-6]", first.strip()) is None:
        raise fields.error("its first line is not NRRD's")
    for line, so_far in lines:
        length = so_far
        if _is_list(values):
            listed += [line.strip()] if line.strip() else []
        elif not line.strip():
            break
        elif not line.startswith("#"):
            _take(fields, values, line)
    return fields, listed, length


def _take(fields: HeaderFields, values: dict[str, str], line: str) -> None:
    """Take a line into `values`: a field, or a key and its value."""
    if found := re.match(r"([^:]+?)\s*:=(.*)", line):
        values.setdefault(found[1], re.sub(r"\\([\\n])", _unescaped, found[2]))
        return
    found = re.match(r"([^:]+?)\s*:\s*(.*)", line)
    if found is None:
        raise fields.unexpected("line", line, "a field")
    name = found[1].lower()
    if name in values:
        raise fields.error(f"the field {name} stands there twice")
    values[name] = found[2].strip()


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def _is_list(values: dict[str, str]) -> bool:
    return values.get("data file", values.get("datafile", "")).split()[:1] == ["LIST"]


def _byte_order(fields: HeaderFields) -> Literal["<", ">"]:
    order = fields.needed("endian").lower()
    if order not in ("little", "big"):
        raise fields.unexpected("endian", order, "little or big")
    return "<" if order == "little" else ">"


def _axes(fields: HeaderFields, count: int) -> _Axes:
    """Return which axes lie in space: by their kinds, and by whether they have a direction."""
    kinds = (fields.text("kinds") or "").lower().split() or ["???"] * count
    vectors = _vectors(fields, count)
    if len(kinds) != count:
        raise fields.unexpected("kinds", " ".join(kinds), f"{count} of them")
    components = [axis for axis in range(count) if kinds[axis] not in SPATIAL]
    rest = [axis for axis in range(count) if axis not in components]
    without = [axis for axis in rest if vectors and vectors[axis] is None]
    return _Axes([axis for axis in rest if axis not in without] + without, components)


def _vectors(fields: HeaderFields, count: int) -> list[tuple[float, ...] | None]:
    """Return the space directions of all axes, `None` for one that has none; nothing if none is."""
    text = fields.text("space directions")
    if text is None:
        return []
    words = re.findall(r"none|\([^()]*\)", text.lower())
    if len(words) != count or re.sub(r"none|\([^()]*\)|\s", "", text.lower()):
        raise fields.unexpected("space directions", text, f"{count} vectors or none")
    return [
        None if word == "none" else fields.numbers("space directions", word.strip("()"))
        for word in words
    ]


def _units_mm(fields: HeaderFields, axes: _Axes, count: int) -> tuple[float, float, float]:
    """Return the millimetres of a unit along each of three axes: of space, or else of the voxels.

    Raises:
        InputError: one is no unit of length, or they are fewer than axes.
    """
    if (text := fields.text("space units")) is not None:
        name, units = "space units", _quoted(text)[:3]
    elif (text := fields.text("units")) and fields.text("space directions") is None:
        every = _quoted(text)
        name, units = "units", [every[axis] for axis in axes.spatial[:3] if len(every) == count]
    else:
        return 1.0, 1.0, 1.0
    if len(units) < min(3, len(axes.spatial)) or any(unit not in UNITS_MM for unit in units):
        raise fields.unexpected(name, text, 'one of "mm", "cm", "m" and "um" for each axis')
    first, second, third = [*(UNITS_MM[unit] for unit in units), 1.0, 1.0, 1.0][:3]
    return first, second, third


def _quoted(text: str) -> list[str]:
    """Return the words between quotation marks, in small letters; without such marks all words."""
    lower = text.lower()
    return [word.strip() for word in re.findall(r'"([^"]*)"', lower)] or lower.split()


def _axes_in_space(
    fields: HeaderFields, axes: _Axes, count: int, units: tuple[float, float, float]
) -> tuple[tuple[float, ...], list[tuple[float, ...]], bool]:
    """Return the spacing and directions of the first three axes in space, in NRRD's own space.

    Both are in millimetres, of which a unit along each axis has `units`.
    """
    first = axes.spatial[:3]
    identity: list[tuple[float, ...]] = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
    if vectors := _vectors(fields, count):
        chosen = [vectors[axis] for axis in first]
        if len(first) < 3:
            return (1.0, 1.0, 1.0), identity, True  # refused for its axes
        if any(vector is None or len(vector) < 3 for vector in chosen):
            raise fields.error("an axis of the volume has no space direction of three numbers")
        matrix = np.array([vector[:3] for vector in chosen if vector is not None]) * units
        lengths = np.sqrt(matrix[:, 0] ** 2 + matrix[:, 1] ** 2 + matrix[:, 2] ** 2)
        with np.errstate(all="ignore"):  # what is no direction is refused with its spacing
            directions = (matrix * (1 / lengths[:, None])).tolist()
        return tuple(lengths.tolist()), [tuple(row) for row in directions], True
    text = fields.text("spacings")
    if text is None:
        return (1.0, 1.0, 1.0), identity, False
    spacings = fields.numbers("spacings", text, count)
    along = [spacings[axis] for axis in first]
    return tuple(mm * size for mm, size in zip(units, along, strict=False)), identity, True


def _origin(
    fields: HeaderFields,
    axes: _Axes,
    count: int,
    units: tuple[float, float, float],
    spacing: tuple[float, ...],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    text = fields.text("space origin")
    if text is not None:
        position = fields.numbers("space origin", text.strip().strip("()"))
        if not min(3, len(axes.spatial)) <= len(position) <= MAXIMUM_AXES:
            raise fields.unexpected("space origin", text, "a position")
        return np.array([*position, 0.0, 0.0, 0.0][:3]) * units
    text = fields.text("axis mins", "axismins")
    if text is None or fields.text("space directions") is not None:
        return np.zeros(3)
    mins = np.array(fields.numbers("axis mins", text, count))[axes.spatial[:3]]
    mins = mins * units[: len(mins)]
    if len(mins) < 3 or not np.isfinite(mins).all():
        return np.zeros(3)
    centers = (fields.text("centers", "centerings") or "").lower().split()
    cells = [len(centers) != count or centers[axis] != "node" for axis in axes.spatial[:3]]
    return mins + np.where(cells, np.array(spacing) / 2, 0)


def _parts(
    fields: HeaderFields, listed: list[str], length: int, encoding: str, sizes: tuple[int, ...]
) -> tuple[DataPart, ...]:
    """Return where the voxels are."""
    lines = fields.whole_numbers("line skip", fields.text("line skip", "lineskip") or "0", 1)[0]
    skipped = fields.whole_numbers("byte skip", fields.text("byte skip", "byteskip") or "0", 1)[0]
    if lines < 0 or skipped < -1 or (skipped == -1 and encoding != RAW):
        raise fields.unexpected("byte skip", str(skipped), "0 or more")
    named = fields.text("data file", "datafile")
    numbers = rf"{N}\s+{N}\s+{N}(?:\s+\d+)?"
    names = [""] if named is None else data_files(fields, named, listed, numbers)
    check_shares(fields, sizes, len(names))
    offset = length if named is None else 0
    return tuple(
        DataPart(
            path=data_path(fields, name) if name else fields.path,
            encoding=encoding,
            offset=-1 if skipped == -1 else offset,
            lines=0 if skipped == -1 else lines,
            skip=max(0, skipped),
        )
        for name in names
    )


def data_files(fields: HeaderFields, named: str, listed: list[str], numbers: str) -> list[str]:
    """Return the names of the data files beside a header: one, a list, or a pattern's.

    Args:
        fields: for messages.
        named: what the header says.
        listed: lines after it.
        numbers: what follows a pattern such as `slice%03d.raw`: the first number, the last, and
            the step, which is 1 if it is left out.

    Raises:
        InputError: none is listed, or the numbers lead nowhere, or to too many files.
    """
    if named.split()[:1] == ["LIST"]:
        if not listed:
            raise fields.error("it lists no data files")
        return listed
    found = re.fullmatch(rf"(.*%0?\d{{0,2}}d\S*)\s+{numbers}", named)
    if found is None:
        return [named]
    pattern, first, last, step = found[1], *(int(found[index] or 1) for index in (2, 3, 4))
    count = (last - first) // step + 1 if step else 0
    if not 1 <= count <= MAXIMUM_FILES or len(re.findall("%", pattern)) != 1:
        raise fields.unexpected("data file", pattern, "a pattern and its first and last number")
    return [pattern % number for number in range(first, first + count * step, step)]


def data_path(fields: HeaderFields, name: str) -> Path:
    """Return the path of a data file, which is named as seen from its header.

    Raises:
        InputError: no file can have that name.
    """
    if len(name) > MAXIMUM_NAME or "\0" in name:
        raise fields.unexpected("data file", name, "the name of a file")
    return fields.path.parent / name


def check_shares(fields: HeaderFields, sizes: tuple[int, ...], files: int) -> None:
    """Refuse a number of data files that an image cannot be divided into.

    Raises:
        InputError: they would not be slices, rows, or equal parts of the last axis.
    """
    pieces = [prod(sizes[axis:]) for axis in range(len(sizes))]
    if sizes[-1] % files and files not in pieces:
        raise fields.error(f"its voxels cannot be in {files} files of one size")
