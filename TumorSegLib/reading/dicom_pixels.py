"""Are a DICOM file's pixels all there, and do they mean what the decoder will make of them?"""

from __future__ import annotations

from math import isfinite, prod
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.image.volume import MAXIMUM_VOXELS
from TumorSegLib.reading.dicom_header import UNCOMPRESSED, DicomHeader
from TumorSegLib.reading.dicom_pictures import PictureSize, picture_fault
from TumorSegLib.reading.dicom_structure import PIXEL_DATA, UNDEFINED

RESCALING = ("RescaleIntercept", "RescaleSlope")
MAXIMUM_FRAMES = 1 << 20

RLE = "1.2.840.10008.1.2.5"
RLE_RATIO = 64
"""Run lengths pack at most 128 bytes into two."""


def check_pixels(path: Path, header: DicomHeader) -> None:
    """Refuse pixels that are not all there, before memory is taken for them.

    Raises:
        InputError: they are fewer than rows, columns and frames want, or absurdly many, or their
            rescaling is no number.
    """
    for name in RESCALING:
        if (text := header.text(name)) and not is_rescaling(name, text):
            raise rescaling_error(path, name, text)
    if header.pixels is None:
        return
    shape = (header.whole("Rows"), header.whole("Columns"), _frames(path, header))
    if not 0 < prod(shape) <= MAXIMUM_VOXELS:
        raise InputError(
            f"{path}: found {shape[1]}x{shape[0]}x{shape[2]} pixels, expected 1 to"
            f" {MAXIMUM_VOXELS}; export the series again"
        )
    bits = prod(shape) * header.whole("SamplesPerPixel", 1) * header.bits
    needed = (bits + 7) // 8
    _, _, length = header.pixels
    if length == UNDEFINED:
        _check_fragments(path, header, shape, needed)
    elif header.syntax not in UNCOMPRESSED:
        raise _cut(path, "uncompressed pixels, its header says compressed pictures")
    elif length < needed:
        raise _cut(path, f"PixelData has {length} bytes, its header says {needed}")


def check_values(path: Path, header: DicomHeader) -> None:
    """Refuse stored values that are to be turned into others in a way that is not done here.

    Raises:
        InputError: they do not end at the highest bit of those stored, or a table is to be used in
            place of a slope and an intercept.
    """
    if header.has_items("ModalityLUTSequence"):
        raise InputError(
            f"{path}: found a ModalityLUTSequence, a table of values, expected RescaleSlope and"
            " RescaleIntercept; convert the series to NRRD first"
        )
    if header.pixels is None or header.pixels[0] != PIXEL_DATA:
        return
    stored = header.whole("BitsStored", header.bits)
    high = header.number("HighBit")
    if high is not None and high != stored - 1:
        raise InputError(
            f"{path}: found HighBit {high:g} of {stored} bits stored, expected {stored - 1};"
            " convert the series to NRRD first"
        )


def _check_fragments(
    path: Path, header: DicomHeader, shape: tuple[int, int, int], needed: int
) -> None:
    """Refuse compressed pictures that are too few, cut, or of another size than the header says.

    Args:
        path: of the file.
        header: of it.
        shape: rows, columns and frames.
        needed: bytes of the decompressed pixels.

    Raises:
        InputError: they are.
    """
    fragments = header.fragments
    if header.syntax in UNCOMPRESSED:
        raise _cut(path, "compressed pictures, its header says uncompressed pixels")
    if len(fragments) < shape[2]:
        raise _cut(path, f"{len(fragments)} compressed pictures, its header says {shape[2]}")
    if header.syntax == RLE:
        if sum(size for _, size in fragments) * RLE_RATIO < needed:
            raise _cut(path, f"its header says {needed} bytes of pixels")
        _check_segments(path, fragments, header.whole("SamplesPerPixel", 1) * header.bits // 8)
    size = PictureSize(*shape[:2], header.whole("SamplesPerPixel", 1), header.bits)
    if (fault := picture_fault(path, fragments, size, shape[2], needed)) is not None:
        raise _cut(path, fault)


def _check_segments(path: Path, fragments: list[tuple[int, int]], segments: int) -> None:
    """Refuse run lengths in another number of segments than a pixel has bytes (PS3.5 annex G.5).

    GDCM divides by the number that they say.

    Raises:
        InputError: they are.
    """
    with path.open("rb") as file:
        for offset, _ in fragments:
            file.seek(offset)
            found = int.from_bytes(file.read(4), "little")
            if found != segments:
                raise _cut(path, f"{found} segments of run lengths, expected {segments}")


def is_rescaling(name: str, text: str) -> bool:
    """Tell whether a slope or an intercept is one finite number, a slope not 0."""
    try:
        number = float(text)
    except ValueError:
        return False
    return isfinite(number) and (number != 0 or name != "RescaleSlope")


def rescaling_error(path: Path, name: str, text: str) -> InputError:
    """Return the error for a slope or an intercept that is none."""
    return InputError(
        f"{path}: found {name} {text[:40]!r}, expected a number; export the series again"
    )


def _frames(path: Path, header: DicomHeader) -> int:
    text = header.text("NumberOfFrames") or "1"
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:10]) < MAXIMUM_FRAMES):
        raise InputError(
            f"{path}: found NumberOfFrames {text[:40]!r}, expected how many; export the series"
            " again"
        )
    return int(text)


def _cut(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: its pixels are damaged or truncated ({reason}); copy or export the series again"
    )
