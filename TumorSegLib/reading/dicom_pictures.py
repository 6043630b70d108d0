"""Are a DICOM file's compressed pictures whole, and of the size that its header says?

GDCM's decoders give grey or zeros for what is missing, and take memory for the size that a picture
says before they look at its pixels. What stands in a picture that is there in full is decoded as it
is: neither JPEG nor JPEG 2000 has a checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

JPEG, JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
END = b"\xff\xd9"
"""End of image in JPEG and JPEG-LS, end of codestream in JPEG 2000."""
FILLING = b"\0\xff"
"""Bytes that may follow the end, as fragments have even lengths."""
ZEROS = 4
"""Zeros with which the last tile may end; its end is not marked, and not always the picture's."""
NOT_SIZES = frozenset((0xC4, 0xC8, 0xCC))
"""JPEG's markers among those of pictures' sizes that are others."""
TILE_PART, DATA = 0xFF90, 0xFF93
SMALL_BYTES = 64 << 20
LARGEST_RATIO = 1000
"""Of unpacked to packed bytes, in files that are not small: smooth images reach 50."""


@dataclass(frozen=True)
class PictureSize:
    """What a compressed picture says of itself."""

    rows: int
    columns: int
    components: int
    bits: int

    def __str__(self) -> str:
        return (
            f"{self.rows} rows, {self.columns} columns and {self.components} values of"
            f" {self.bits} bits a pixel"
        )

    def fits(self, said: PictureSize) -> bool:
        """Tell whether it may be what a header said; a picture may use fewer bits than there are.

        GDCM chooses a decoder by the bits, without a look at whether there is one.
        """
        return 2 <= self.bits <= said.bits and replace(self, bits=said.bits) == said


def picture_fault(
    path: Path, fragments: list[tuple[int, int]], size: PictureSize, frames: int, unpacked: int
) -> str | None:
    """Return what is wrong with the compressed pictures of a file, none if nothing is.

    Args:
        path: of the file.
        fragments: offsets and lengths of its compressed pixels.
        size: that the header says, with all bits that it allows a pixel.
        frames: that it says.
        unpacked: bytes of all pixels.
    """
    packed = sum(length for _, length in fragments)
    if unpacked > SMALL_BYTES and unpacked > LARGEST_RATIO * packed:
        return f"{packed} bytes would become {unpacked} unpacked, more than images do"
    for picture in _pictures(path, fragments, frames):
        fault = _fault(picture, size)
        if fault is not None:
            return fault
    return None


def _pictures(path: Path, fragments: list[tuple[int, int]], frames: int) -> Iterator[bytes]:
    """Yield the pictures; none where frames are in several fragments that only GDCM tells apart."""
    if len(fragments) != frames and frames > 1:
        return
    with path.open("rb") as file:
        picture = b""
        for offset, length in fragments:
            file.seek(offset)
            picture += file.read(length)
            if frames > 1:
                yield picture
                picture = b""
    if picture:
        yield picture


def _fault(picture: bytes, size: PictureSize) -> str | None:
    try:
        if picture.startswith(JPEG_2000):
            found, whole = _jpeg_2000(picture)
        elif picture.startswith(JPEG):
            found, whole = _jpeg(picture)
        else:
            return None
    except (struct.error, ValueError, IndexError):
        return "the head of a compressed picture is garbled"
    if not found.fits(size):
        return f"its picture has {found}, its header says {size}"
    return None if whole else "a compressed picture ends too early"


def _jpeg(picture: bytes) -> tuple[PictureSize, bool]:
    """Return the size of a JPEG or JPEG-LS picture (ITU-T T.81, T.87), and whether it ends.

    Raises:
        struct.error, ValueError: it has no head.
    """
    at = 2
    while True:
        lead, marker, length = struct.unpack_from(">BBH", picture, at)
        if lead != 0xFF:
            raise ValueError
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in NOT_SIZES):
            bits, rows, columns, components = struct.unpack_from(">BHHB", picture, at + 4)
            size = PictureSize(rows, columns, components, bits)
            return size, picture.rstrip(FILLING).endswith(END)
        at += 2 + length


def _jpeg_2000(picture: bytes) -> tuple[PictureSize, bool]:
    """Return the size of a JPEG 2000 codestream (ITU-T T.800), and whether all its tiles are there.

    Raises:
        struct.error, ValueError: it has no head.
    """
    right, bottom, left, top, width, height, x, y, components = struct.unpack_from(
        ">8IH", picture, 8
    )
    bits = (picture[42] & 0x7F) + 1  # of the first component; the highest bit says signed
    size = PictureSize(bottom - top, right - left, components, bits)
    if not width or not height or x > left or y > top or size.rows < 1 or size.columns < 1:
        raise ValueError
    missing = ceil((right - x) / width) * ceil((bottom - y) / height)
    at = 2
    seen: set[int] = set()
    while at + 4 <= len(picture):
        marker, length = struct.unpack_from(">HH", picture, at)
        if marker == TILE_PART:
            _, tile, length, *_ = struct.unpack_from(">HHIBB", picture, at + 2)
            if length == 0:  # until the end
                return size, missing == len(seen | {tile}) and picture.rstrip(FILLING).endswith(END)
            if at + length > len(picture):
                return size, False
            seen.add(tile)
            at += max(length, 12)
        elif marker >> 8 == 0xFF and marker != DATA:
            at += 2 + length
        else:
            break
    zeroed = len(picture.rstrip(FILLING)) + ZEROS < at and not picture.startswith(END, at)
    return size, len(seen) == missing and not zeroed
