"""What the header of a DICOM file says, by pydicom, and where its pixels are."""

from __future__ import annotations

import io
import logging
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.filereader import read_dataset

from TumorSegLib.reading.dicom_structure import (
    DOUBLE_PIXELS,
    FLOAT_PIXELS,
    META,
    UNDEFINED,
    DamagedError,
    Watch,
    Within,
    fragments_in,
)

MAGIC = b"DICM"
PREAMBLE = 128
STANDARD_SYNTAX = "1.2.840.10008.1.2"
GE_SYNTAX = "1.2.840.113619.5.2"
"""Implicit as the standard's first, its pixels beginning with their largest byte."""
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
IMPLICIT = frozenset((STANDARD_SYNTAX, GE_SYNTAX))
UNCOMPRESSED = IMPLICIT | {"", f"{STANDARD_SYNTAX}.1", BIG_ENDIAN, DEFLATED}
ALWAYS_INFLATED, MAXIMUM_INFLATED = 1 << 28, 1 << 31
INFLATED_RATIO = 32
"""By which a deflated data set grows at most beyond `ALWAYS_INFLATED`; images do by 2 to 4."""
MAXIMUM_TEXT = 256

READ: list[Any] = [
    tag_for_keyword(keyword)
    for keyword in (
        *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"),
        *("SeriesDescription", "SeriesNumber", "StudyInstanceUID"),
        *(
            "BodyPartExamined",
            "Modality",
            "ImageType",
            "PhotometricInterpretation",
            "SamplesPerPixel",
            "Rows",
        ),
        *("Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "ModalityLUTSequence"),
        *("RescaleSlope", "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient"),
        *("PixelSpacing", "SliceThickness", "EchoTime", "RepetitionTime", "InversionTime"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
        *("PatientID", "PatientName", "PatientBirthDate", "FrameOfReferenceUID"),
    )
]
"""Tags of what is kept of a header."""


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

    def has_items(self, keyword: str) -> bool:
        """Tell whether a sequence is there and not empty."""
        return bool(self._value(keyword))

    def _value(self, keyword: str) -> Any:
        """Return a value; what pydicom cannot decode, for whatever reason, is missing."""
        try:
            return self.values.get(keyword)
        except Exception:
            return None


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep what pydicom and highdicom think of odd values, which they quote, to themselves."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def read_header(path: Path) -> DicomHeader | None:
    """Return the header of `path`; none if that is no DICOM file.

    Raises:
        DamagedError: it is one, but its elements do not fit into it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return header_in(file)


def header_in(file: BinaryIO) -> DicomHeader | None:
    """Return the header of a file that is open, at its beginning; see `read_header`.

    Raises:
        DamagedError: its elements do not fit into it.
        OSError: it cannot be read.
    """
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
        if file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC:
            data_set(file, str(_meta(file).get("TransferSyntaxUID", "")))
        file.seek(0)
        within: Any = Within(file)
        return pydicom.dcmread(within)


def data_set(file: BinaryIO, syntax: str) -> BinaryIO:
    """Return the file that offsets of pixels count in: `file`, or what it holds if deflated.

    Args:
        file: at the beginning of the data set.
        syntax: its TransferSyntaxUID.

    Raises:
        DamagedError: it holds more than an image does that was deflated to its size.
    """
    if syntax != DEFLATED:
        return file
    packed, unpacker = file.read(), zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(max(ALWAYS_INFLATED, INFLATED_RATIO * len(packed)), MAXIMUM_INFLATED)
    content = unpacker.decompress(packed, most)
    if unpacker.unconsumed_tail:
        raise DamagedError
    return io.BytesIO(content)


def _may_begin(start: bytes) -> bool:
    """Tell whether a file without preamble may begin so: with an element of group 2 or 8."""
    return len(start) >= 12 and start[:2] in (b"\x02\0", b"\x08\0") and start[3] == 0


def _meta(file: BinaryIO) -> pydicom.Dataset:
    """Return the meta information that a file goes on with.

    Raises:
        Exception: of any kind where it is damaged.
    """
    within: Any = Within(file)
    return read_dataset(within, False, True, stop_when=Watch(within, only_group=META))


def _read(file: BinaryIO) -> DicomHeader:
    """Read a file's meta information, then its data set up to the pixels.

    Raises:
        Exception: of any kind where it is damaged.
    """
    meta = _meta(file)
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if meta and not (syntax in IMPLICIT or f"{syntax}.".startswith(f"{STANDARD_SYNTAX}.")):
        raise DamagedError
    start = file.tell()
    within: Any = Within(data_set(file, syntax))
    watch = Watch(within)

    def next_elements() -> pydicom.Dataset:
        implicit, little = syntax in IMPLICIT or not syntax, syntax != BIG_ENDIAN
        return read_dataset(within, implicit, little, stop_when=watch, specific_tags=READ)

    header = DicomHeader(
        syntax, str(meta.get("MediaStorageSOPClassUID", "")), next_elements(), start, watch.pixels
    )
    if not watch.seen:
        raise DamagedError
    if watch.pixels:
        _, offset, length = watch.pixels
        within.seek(offset if length == UNDEFINED else offset + length)
        if length == UNDEFINED:
            header.fragments = fragments_in(within)[1:]
        if within.holds_more():
            next_elements()
    return header
