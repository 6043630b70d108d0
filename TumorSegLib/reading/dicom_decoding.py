"""Decodes the slices of DICOM files: uncompressed pixels by NumPy, compressed ones by GDCM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.reading.dicom_files import DicomFile
from TumorSegLib.reading.dicom_header import (
    BIG_ENDIAN,
    GE_SYNTAX,
    UNCOMPRESSED,
    data_set,
)
from TumorSegLib.reading.dicom_structure import PIXEL_DATA
from TumorSegLib.reading.gdcm import WHOLE_BITS, Gdcm, undecodable
from TumorSegLib.reading.slice_stack import SliceGeometry


@dataclass(frozen=True)
class DicomSlice:
    """One image of a series: a whole file, or one frame of a file.

    Attributes:
        file: that has it.
        frame: its place in the file.
        geometry: where it lies.
        slope: by which stored values are multiplied.
        intercept: that is then added, for Hounsfield units of CT.
    """

    file: DicomFile
    frame: int
    geometry: SliceGeometry
    slope: float = 1.0
    intercept: float = 0.0


class PixelReader:
    """Decodes slices; keeps the last file decoded, for its next frame."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames: NDArray[Any] = np.empty((0, 0, 0))
        self._gdcm = Gdcm()

    def __enter__(self) -> PixelReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._gdcm.close()

    def __call__(self, part: DicomSlice) -> NDArray[Any]:
        """Return the rescaled pixels (rows, columns) of a slice in the smallest type that fits.

        Raises:
            InputError: the pixels cannot be decoded.
        """
        file = part.file
        if file.path != self._path:
            compressed = file.header.syntax not in UNCOMPRESSED
            self._frames = self._gdcm.decode(file) if compressed else _stored(file)
            self._path = file.path
        return _smallest(_rescaled(self._frames[part.frame], part.slope, part.intercept))


def _stored(file: DicomFile) -> NDArray[Any]:
    """Return the values (frame, rows, columns) that a file stores uncompressed.

    Bits above those stored, in which some scanners keep an overlay, are left out.

    Raises:
        InputError: a pixel takes a number of bits that no scanner's does, or the file has changed.
    """
    header, shape = file.header, (file.frames, *file.shape)
    assert header.pixels is not None
    tag, offset, _ = header.pixels
    bits = header.bits
    if tag == PIXEL_DATA and bits not in WHOLE_BITS:
        raise InputError(
            f"{file.path}: found {bits} bits in each pixel, expected 8, 16 or 32; convert the"
            " series to NRRD first"
        )
    kind = "f" if tag != PIXEL_DATA else "i" if header.whole("PixelRepresentation") else "u"
    order = ">" if header.syntax in (BIG_ENDIAN, GE_SYNTAX) else "<"
    dtype = np.dtype(f"{order}{kind}{bits // 8}")
    with file.path.open("rb") as opened:
        opened.seek(header.start)
        data = data_set(opened, header.syntax)
        data.seek(offset)
        content = data.read(math.prod(shape) * dtype.itemsize)
    if len(content) < math.prod(shape) * dtype.itemsize:
        raise undecodable(file.path)
    stored = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False)
    unused = bits - header.whole("BitsStored", bits)
    if tag == PIXEL_DATA and unused > 0:
        stored = stored << unused >> unused
    return stored.reshape(shape)


def _rescaled(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Return what stored values mean, integers where neither number has a fraction."""
    if (slope, intercept) == (1, 0):
        return stored
    most = float(np.iinfo(np.int32).max)
    whole = slope.is_integer() and intercept.is_integer() and stored.dtype.kind != "f"
    if whole and abs(slope) * 2.0 ** (8 * stored.dtype.itemsize) + abs(intercept) <= most:
        return stored.astype(np.int32) * int(slope) + int(intercept)
    return stored * np.float64(slope) + intercept


def _smallest(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return pixels in the smallest type that fits."""
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return pixels.astype(np.float32, copy=False)
    limits = np.iinfo(np.int16)
    fits = limits.min <= pixels.min() and pixels.max() <= limits.max
    return pixels.astype(np.int16) if pixels.dtype.itemsize > 2 and fits else pixels
