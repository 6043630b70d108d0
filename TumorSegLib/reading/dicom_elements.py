"""The elements of a DICOM file and where their values are (DICOM PS3.5 section 7, PS3.10).

GDCM takes the lengths in a file at their word: damaged ones make it take gigabytes, and pixels that
are not there come back as what lay in memory. Every length is compared with the file first.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

MAGIC = b"DICM"
PREAMBLE = 128
UNDEFINED = 0xFFFFFFFF
LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))
LONG |= {b"SV", b"UV"}
"""Value representations whose length takes four bytes."""
SHORT = frozenset((b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO"))
SHORT |= {b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
"""Those whose length takes two."""
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
"""Tags of pixels: real, of double precision, or whole numbers."""
TRANSFER_SYNTAX = 0x00020010
STANDARD_SYNTAX = "1.2.840.10008.1.2"
IMPLICIT = frozenset((STANDARD_SYNTAX, "1.2.840.113619.5.2"))
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
MAXIMUM_DEPTH = 32
MAXIMUM_KEPT = 256
"""Values longer than this are not kept."""
MAXIMUM_INFLATED = 1 << 31


class DamagedError(Exception):
    """The elements do not fit into the file."""


@dataclass
class DicomElements:
    """What a file holds.

    Attributes:
        size: of the file, or of what is in it if it is deflated.
        syntax: TransferSyntaxUID; "" if the file does not say.
        big_endian: whether numbers begin with their largest byte.
        values: of elements that are in no sequence, by tag, if they are short.
        tags: of all elements that are in no sequence.
        pixels: offset and length of the pixels; the length is undefined if they are in fragments.
        fragments: offsets and lengths of compressed pixels; the first is the table of offsets.
    """

    size: int
    syntax: str = ""
    big_endian: bool = False
    values: dict[int, bytes] = field(default_factory=dict)
    tags: set[int] = field(default_factory=set)
    pixels: tuple[int, int] | None = None
    fragments: list[tuple[int, int]] = field(default_factory=list)

    def text(self, tag: int) -> str | None:
        """Return an element's text without padding, `None` if it is not there."""
        value = self.values.get(tag)
        return None if value is None else value.decode("latin-1").strip(" \0")

    def whole(self, tag: int, otherwise: int = 0) -> int:
        """Return an element's unsigned number of two bytes."""
        value = self.values.get(tag, b"")
        return int.from_bytes(value[:2], "big" if self.big_endian else "little") or otherwise


def read_elements(path: Path) -> DicomElements | None:
    """Return the elements in `path`; none if that is no DICOM file.

    Raises:
        DamagedError: it is one, but its elements do not fit into it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        start = file.read(PREAMBLE + 4)
        has_preamble = start[PREAMBLE:] == MAGIC
        if not has_preamble and not _may_begin(start):
            return None
        file.seek(PREAMBLE + 4 if has_preamble else 0)
        found = DicomElements(size)
        try:
            _walk_file(file, found)
        except (struct.error, EOFError, zlib.error, RecursionError):
            if not has_preamble:
                return None
            raise DamagedError from None
    if not found.tags:
        raise DamagedError
    return found


def _may_begin(start: bytes) -> bool:
    """Tell whether a file without preamble may begin so: with an element of group 2 or 8."""
    return len(start) >= 12 and start[:2] in (b"\x02\0", b"\x08\0") and start[3] == 0


@dataclass(frozen=True)
class _Encoding:
    explicit: bool
    big: bool

    @property
    def order(self) -> str:
        return ">" if self.big else "<"


def _walk_file(file: BinaryIO, found: DicomElements) -> None:
    """Take the elements of a file: its meta information, then its data set."""
    encoding = _Encoding(explicit=True, big=False)
    while _peek_group(file) == 2:
        tag, offset, length, _ = _header(file, encoding, found.size, strict=True)
        found.values[tag] = file.read(min(length, MAXIMUM_KEPT))
        file.seek(offset + length)
    found.syntax = found.text(TRANSFER_SYNTAX) or ""
    if found.values and not (
        found.syntax in IMPLICIT or f"{found.syntax}.".startswith(f"{STANDARD_SYNTAX}.")
    ):
        raise EOFError
    if found.syntax == DEFLATED:
        content = zlib.decompressobj(-15).decompress(file.read(), MAXIMUM_INFLATED)
        file, found.size = io.BytesIO(content), len(content)
    found.big_endian = found.syntax == BIG_ENDIAN
    explicit = found.syntax not in IMPLICIT if found.syntax else _is_explicit(file)
    for tag, offset, length in _elements(file, _Encoding(explicit, found.big_endian), found):
        found.tags.add(tag)
        if tag in PIXEL_DATA:
            found.pixels = (offset, length)
        elif length <= MAXIMUM_KEPT:
            here = file.tell()
            file.seek(offset)
            found.values[tag] = file.read(length)
            file.seek(here)


def _elements(
    file: BinaryIO, encoding: _Encoding, found: DicomElements
) -> Iterator[tuple[int, int, int]]:
    """Yield tag, offset and length of the elements in no sequence; walk through the sequences."""
    while file.tell() < found.size:
        if _only_zeros(file):
            return
        tag, offset, length, nested = _header(file, encoding, found.size, strict=True)
        yield tag, offset, length
        file.seek(offset)
        if tag in PIXEL_DATA and length == UNDEFINED:
            _fragments(file, encoding, found)
        elif nested is not None:
            _sequence(file, nested, length, found.size, 0)
        else:
            file.seek(offset + length)


def _sequence(file: BinaryIO, encoding: _Encoding, length: int, size: int, depth: int) -> None:
    """Walk through a sequence's items.

    Raises:
        EOFError: it has no end within the file, or sequences lie too deep in each other.
    """
    if depth > MAXIMUM_DEPTH:
        raise EOFError
    end = None if length == UNDEFINED else file.tell() + length
    while end is None or file.tell() < end:
        tag, size_of_item = _item(file, encoding, size)
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise EOFError
        _walk_item(file, encoding, size_of_item, size, depth)


def _walk_item(file: BinaryIO, encoding: _Encoding, length: int, size: int, depth: int) -> None:
    end = None if length == UNDEFINED else file.tell() + length
    while end is None or file.tell() < end:
        here = file.tell()
        if _item_tag(file, encoding) == ITEM_END:
            file.seek(here + 8)
            return
        file.seek(here)
        _, offset, inner, nested = _header(file, encoding, size)
        if nested is not None:
            _sequence(file, nested, inner, size, depth + 1)
        else:
            file.seek(offset + inner)


def _header(
    file: BinaryIO, encoding: _Encoding, size: int, *, strict: bool = False
) -> tuple[int, int, int, _Encoding | None]:
    """Read an element's tag, the offset and length of its value, and how items in it are encoded.

    Args:
        file: at the element.
        encoding: of the data set.
        size: of the file.
        strict: if not, elements without value representation may be among those with one, as some
            scanners write them in sequences.

    Raises:
        EOFError: the value reaches beyond the file, or has no representation.
    """
    group, element = struct.unpack(f"{encoding.order}HH", file.read(4))
    head = file.read(4)
    vr = head[:2]
    if encoding.explicit and vr in LONG:
        (length,) = struct.unpack(f"{encoding.order}I", file.read(4))
    elif encoding.explicit and vr in SHORT:
        (length,) = struct.unpack(f"{encoding.order}H", head[2:])
    elif encoding.explicit and strict:
        raise EOFError
    else:
        vr = b""
        (length,) = struct.unpack(f"{encoding.order}I", head)
    tag = group << 16 | element
    offset = file.tell()
    nested = None
    if vr == b"SQ":
        nested = encoding
    elif length == UNDEFINED and tag not in PIXEL_DATA:
        nested = _Encoding(explicit=False, big=encoding.big) if vr == b"UN" else encoding
    if length != UNDEFINED and offset + length > size:
        raise EOFError
    return tag, offset, length, nested


def _item(file: BinaryIO, encoding: _Encoding, size: int) -> tuple[int, int]:
    """Read the tag and the length of an item or of a sequence's end."""
    group, element, length = struct.unpack(f"{encoding.order}HHI", file.read(8))
    if length != UNDEFINED and file.tell() + length > size:
        raise EOFError
    return group << 16 | element, length


def _item_tag(file: BinaryIO, encoding: _Encoding) -> int:
    group, element = struct.unpack(f"{encoding.order}HH", file.read(4))
    return int(group << 16 | element)


def _fragments(file: BinaryIO, encoding: _Encoding, found: DicomElements) -> None:
    """Take where compressed pixels are; the end of their sequence may be missing at the file's."""
    while file.tell() < found.size:
        tag, length = _item(file, encoding, found.size)
        if tag == SEQUENCE_END:
            return
        if tag != ITEM or length == UNDEFINED:
            raise EOFError
        found.fragments.append((file.tell(), length))
        file.seek(length, os.SEEK_CUR)


def _peek_group(file: BinaryIO) -> int:
    start = file.read(2)
    file.seek(-len(start), os.SEEK_CUR)
    return int.from_bytes(start, "little")


def _is_explicit(file: BinaryIO) -> bool:
    start = file.read(6)
    file.seek(-len(start), os.SEEK_CUR)
    return start[4:6].isalpha() and start[4:6].isupper()


def _only_zeros(file: BinaryIO) -> bool:
    """Tell whether nothing but zeros is left, with which some programs fill files up."""
    here = file.tell()
    start = file.read(8)
    rest = b"\1" if start.strip(b"\0") else file.read()
    file.seek(here)
    return not rest.strip(b"\0")
