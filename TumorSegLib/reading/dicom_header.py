"""What the header of a DICOM file says, by pydicom, and where its pixels are.

pydicom takes what is missing at a file's end for its end, and GDCM, which decodes compressed pixels
from the same file, takes lengths at their word and ends the process where sequences lie too deep in
each other. Every length and depth is therefore compared with the file and a limit on the way.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset, read_sequence
from pydicom.valuerep import VR

MAGIC = b"DICM"
PREAMBLE = 128
UNDEFINED = 0xFFFFFFFF
ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = 0x7FE00010, 0x7FE00008, 0x7FE00009
TAGS_OF_PIXELS = frozenset((PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS))
REPRESENTATIONS = frozenset(vr.value for vr in VR if len(vr.value) == 2)

META = 2
"""Group of the elements that come before the data set."""
STANDARD_SYNTAX = "1.2.840.10008.1.2"
GE_SYNTAX = "1.2.840.113619.5.2"
"""Implicit as the standard's first, its pixels beginning with their largest byte."""
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
IMPLICIT = frozenset((STANDARD_SYNTAX, GE_SYNTAX))
UNCOMPRESSED = IMPLICIT | {"", f"{STANDARD_SYNTAX}.1", BIG_ENDIAN, DEFLATED}
MAXIMUM_INFLATED = 1 << 31
MAXIMUM_DEPTH = 32
MAXIMUM_TEXT = 256

READ: list[Any] = [
    tag_for_keyword(keyword)
    for keyword in (
        *("SpecificCharacterSet", "SOPClassUID", "SeriesInstanceUID", "SeriesDescription"),
        *("Modality", "ImageType", "PhotometricInterpretation", "SamplesPerPixel", "Rows"),
        *("Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation"),
        *("RescaleSlope", "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient"),
        *("PixelSpacing", "SliceThickness", "EchoTime", "RepetitionTime", "InversionTime"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    )
]
"""Tags of what is kept of a header."""


class DamagedError(Exception):
    """The elements do not fit into the file."""


@dataclass
class DicomHeader:
    """What a file says before its pixels, and where these are.

    Attributes:
        syntax: TransferSyntaxUID; "" if the file does not say.
        file_class: MediaStorageSOPClassUID, "" likewise.
        values: the elements in `READ`.
        pixels: tag, offset and length of the pixels; the length is `UNDEFINED` if they are in
            fragments, the offset is that in the inflated data set if the file is deflated.
        fragments: offsets and lengths of compressed pixels, without the table of offsets.
        start: where the data set begins.
    """

    syntax: str
    file_class: str
    values: pydicom.Dataset
    start: int
    pixels: tuple[int, int, int] | None = None
    fragments: list[tuple[int, int]] = field(default_factory=list)

    @property
    def bits(self) -> int:
        """Those that a pixel takes."""
        of_tag = {FLOAT_PIXELS: 32, DOUBLE_PIXELS: 64}
        return of_tag.get(self.pixels[0] if self.pixels else 0) or self.whole("BitsAllocated", 16)

    def text(self, keyword: str) -> str:
        """Return an element's text in one line, "" if it is missing or garbled."""
        return "\\".join(self.texts(keyword))

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the texts of an element of several, each in one line."""
        value = self._value(keyword)
        if value is None:
            return ()
        several = isinstance(value, Sequence) and not isinstance(value, str)
        parts = value if several else [value]
        if any(isinstance(part, pydicom.Dataset) for part in parts):
            return ()
        texts = [str(part).replace("\0", " ") for part in parts]
        return tuple(" ".join(text.split())[:MAXIMUM_TEXT] for text in texts)

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Return an element's numbers, `None` if they are not `count` numbers."""
        value = self._value(keyword)
        try:
            found = tuple(float(part) for part in (value if count > 1 else [value]))
        except (TypeError, ValueError, OverflowError):
            return None
        return found if len(found) == count else None

    def number(self, keyword: str) -> float | None:
        """Return an element's number, `None` if it is not one."""
        found = self.numbers(keyword, 1)
        return found[0] if found else None

    def whole(self, keyword: str, otherwise: int = 0) -> int:
        """Return an element's whole number, `otherwise` if it is missing, garbled or 0."""
        value = self._value(keyword)
        return value if isinstance(value, int) and value > 0 else otherwise

    def _value(self, keyword: str) -> Any:
        """Return a value; what pydicom cannot decode, for whatever reason, is missing."""
        try:
            return self.values.get(keyword)
        except Exception:
            return None


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep what pydicom thinks of odd values to itself."""
    logger = logging.getLogger("pydicom")
    silent, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = silent


def read_header(path: Path) -> DicomHeader | None:
    """Return the header of `path`; none if that is no DICOM file.

    Raises:
        DamagedError: it is one, but its elements do not fit into it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(PREAMBLE + len(MAGIC))
        has_preamble = start[PREAMBLE:] == MAGIC
        if not has_preamble and not _may_begin(start):
            return None
        file.seek(len(start) if has_preamble else 0)
        try:
            return _read(file)
        except Exception as error:  # pydicom raises whatever its parts raise
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
                raise
            if not has_preamble:
                return None
            raise DamagedError from None


def read_whole(path: Path) -> pydicom.Dataset:
    """Return all that is in a DICOM file, its pixels, too.

    Raises:
        Exception: of any kind where it is damaged.
    """
    with path.open("rb") as file:
        within: Any = _Within(file)
        return pydicom.dcmread(within)


def data_set(file: BinaryIO, syntax: str) -> BinaryIO:
    """Return the file that offsets of pixels count in: `file`, or what it holds if deflated.

    Args:
        file: at the beginning of the data set.
        syntax: its TransferSyntaxUID.
    """
    if syntax != DEFLATED:
        return file
    return io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MAXIMUM_INFLATED))


def _may_begin(start: bytes) -> bool:
    """Tell whether a file without preamble may begin so: with an element of group 2 or 8."""
    return len(start) >= 12 and start[:2] in (b"\x02\0", b"\x08\0") and start[3] == 0


class _Within:
    """A file as pydicom reads it; what lies beyond its end is an error, not the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell
        here = file.tell()
        self.size = file.seek(0, os.SEEK_END)
        file.seek(here)

    def read(self, size: int = -1) -> bytes:
        left = self.size - self.tell()
        if 0 < left < size:  # Python would take memory for all of `size` first
            raise DamagedError
        return self._file.read(min(size, left))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset + (self.tell() if whence == os.SEEK_CUR else 0)
        if place > self.size:
            raise DamagedError
        return self._file.seek(place)


class _Watch:
    """Looks at every element that is in no sequence before pydicom does, and stops at the pixels.

    Of an element that is there twice, which the standard forbids, GDCM takes the other one.

    Attributes:
        pixels: tag, offset and length of the pixels.
        seen: tags of elements.
    """

    def __init__(self, file: _Within, *, only_group: int | None = None) -> None:
        self._file, self._only_group = file, only_group
        self._implicit: bool | None = None
        self.pixels: tuple[int, int, int] | None = None
        self.seen: set[int] = set()

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        tag = int(tag)
        if self._only_group not in (None, tag >> 16) or tag == 0:  # zeros fill a file up
            return True
        if self._implicit is None:
            self._implicit = vr is None
        beyond = length != UNDEFINED and self._file.tell() + length > self._file.size
        if beyond or self._implicit != (vr is None) or (vr and vr not in REPRESENTATIONS):
            raise DamagedError
        if self.seen == {tag} - TAGS_OF_PIXELS:  # pydicom looks at the first one twice
            return False
        if tag in self.seen or (tag >> 16 == META and self._only_group != META):
            raise DamagedError
        self.seen.add(tag)
        if tag not in TAGS_OF_PIXELS:
            return False
        self.pixels = (tag, self._file.tell(), length)
        return True


def _read(file: BinaryIO) -> DicomHeader:
    """Read a file's meta information, then its data set up to the pixels.

    Raises:
        Exception: of any kind where it is damaged.
    """
    within: Any = _Within(file)
    meta = read_dataset(within, False, True, stop_when=_Watch(within, only_group=META))
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if meta and not (syntax in IMPLICIT or f"{syntax}.".startswith(f"{STANDARD_SYNTAX}.")):
        raise DamagedError
    start = file.tell()
    within = _Within(data_set(file, syntax))
    watch = _Watch(within)
    values = read_dataset(
        within,
        syntax in IMPLICIT or not syntax,
        syntax != BIG_ENDIAN,
        stop_when=watch,
        specific_tags=READ if syntax in UNCOMPRESSED else None,
    )
    if not watch.seen:
        raise DamagedError
    if syntax not in UNCOMPRESSED:
        _check_depth(values)
    header = DicomHeader(
        syntax,
        str(meta.get("MediaStorageSOPClassUID", "")),
        values,
        start,
        watch.pixels,
    )
    if watch.pixels and watch.pixels[2] == UNDEFINED:
        within.seek(watch.pixels[1])
        header.fragments = _fragments(within)[1:]
    return header


def _check_depth(values: pydicom.Dataset, depth: int = 0) -> None:
    """Refuse sequences that lie too deep in each other.

    Raises:
        DamagedError: they do, or do not end where they say.
    """
    if depth > MAXIMUM_DEPTH:
        raise DamagedError
    for element in values.elements():
        if element.VR != VR.SQ:
            continue
        items: Any = element.value
        if isinstance(element, RawDataElement):
            within: Any = _Within(io.BytesIO(items or b""))
            items = read_sequence(within, element.is_implicit_VR, True, element.length, "latin-1")
        for item in items:
            _check_depth(item, depth + 1)


def _fragments(file: _Within) -> list[tuple[int, int]]:
    """Return where compressed pixels are; the end of their sequence may be missing at the file's.

    Raises:
        DamagedError: they are not in items.
    """
    found = []
    while head := file.read(8):
        tag, length = head[:4], int.from_bytes(head[4:], "little")
        if tag == SEQUENCE_END:
            break
        if tag != ITEM or length == UNDEFINED:
            raise DamagedError
        found.append((file.tell(), length))
        file.seek(length, os.SEEK_CUR)
    return found
