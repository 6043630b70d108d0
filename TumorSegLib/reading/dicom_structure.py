"""Do the elements of a DICOM file fit into it, and lie where every reader looks for them?

pydicom takes what is missing at a file's end for its end, and Python takes memory for what it is
asked for before it looks whether that is there: every length is compared with the file on the way.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from pydicom.valuerep import VR

UNDEFINED = 0xFFFFFFFF
HEAD = 8
"""Bytes that an element takes at the least."""
ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = 0x7FE00010, 0x7FE00008, 0x7FE00009
TAGS_OF_PIXELS = frozenset((PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS))
REPRESENTATIONS = frozenset(vr.value for vr in VR if len(vr.value) == 2)
META = 2
"""Group of the elements that come before the data set."""


class DamagedError(Exception):
    """The elements do not fit into the file."""


class Within:
    """A file as pydicom reads it; what lies beyond its end is an error, not the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell
        here = file.tell()
        self.size = file.seek(0, os.SEEK_END)
        file.seek(here)

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, all if it is negative; none at the end.

        Raises:
            DamagedError: there are fewer.
        """
        left = self.size - self.tell()
        if 0 < left < size:  # Python would take memory for all of `size` first
            raise DamagedError
        return self._file.read(left if size < 0 else min(size, left))

    def holds_more(self) -> bool:
        """Tell whether more elements can follow; a few zeros are none.

        Raises:
            DamagedError: something else follows.
        """
        left = self.size - self.tell()
        if left < HEAD and self.read(left).strip(b"\0"):
            raise DamagedError
        return left >= HEAD

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, from the beginning or from here.

        Raises:
            DamagedError: it lies beyond the end.
        """
        place = offset + (self.tell() if whence == os.SEEK_CUR else 0)
        if place > self.size:
            raise DamagedError
        return self._file.seek(place)


class Watch:
    """Looks at every element that is in no sequence before pydicom does, and stops at the pixels.

    Of an element that is there twice, which the standard forbids, readers take either. Behind
    the pixels there may be what comes after them in the standard's order, as a signature, but
    nothing of what is read here.

    Attributes:
        pixels: tag, offset and length of the pixels.
        seen: tags of elements.
    """

    def __init__(self, file: Within, *, only_group: int | None = None) -> None:
        self._file, self._only_group = file, only_group
        self._implicit: bool | None = None
        self.pixels: tuple[int, int, int] | None = None
        self.seen: set[int] = set()

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        """Tell whether to stop before this element, at whose value the file is.

        Raises:
            DamagedError: it cannot be.
        """
        tag = int(tag)
        if self._only_group not in (None, tag >> 16) or tag == 0:  # zeros fill a file up
            return True
        if self._implicit is None:
            self._implicit = vr is None
        beyond = length != UNDEFINED and self._file.tell() + length > self._file.size
        if beyond or self._implicit != (vr is None) or (vr and vr not in REPRESENTATIONS):
            raise DamagedError
        if self.seen and self.seen == {tag} - TAGS_OF_PIXELS:
            return False  # pydicom looks at the first one twice
        if tag in self.seen or (tag >> 16 == META and self._only_group != META):
            raise DamagedError
        self.seen.add(tag)
        if self.pixels is not None:
            if tag < max(TAGS_OF_PIXELS):
                raise DamagedError
            return False
        if tag not in TAGS_OF_PIXELS:
            return False
        self.pixels = (tag, self._file.tell(), length)
        return True


def fragments_in(file: Within) -> list[tuple[int, int]]:
    """Return where compressed pixels are; the end of their sequence may be missing at the file's.

    Raises:
        DamagedError: they are not in items.
    """
    found = []
    while head := file.read(HEAD):
        tag, length = head[:4], int.from_bytes(head[4:], "little")
        if tag == SEQUENCE_END:
            break
        if tag != ITEM or length == UNDEFINED:
            raise DamagedError
        found.append((file.tell(), length))
        file.seek(length, os.SEEK_CUR)
    return found
