"""Are the voxels that a reader returned in the file that they should be from?

Looked up by other means than the reader's: the stored bytes are searched for in the file, or
pydicom decodes the slice.
"""

from __future__ import annotations

import bz2
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzz.outcome import OthersVoxels
from TumorSegLib.reading.dicom_header import read_whole
from TumorSegLib.reading.image_file import FORMATS
from TumorSegLib.reading.voxel_data import BZIP2, DEFLATE, RAW, DataPart

DECODED_BY_PYDICOM = (
    *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"),
)


def check_in_file(path: Path, voxels: NDArray[Any]) -> None:
    """Check that the voxels (z, y, x) of an image file stand in it, or in its data files.

    Raises:
        OthersVoxels: they do not.
    """
    ending = next(ending for ending in FORMATS if path.name.endswith(ending))
    image: Any = FORMATS[ending](path)
    if getattr(image, "scaling", None) is not None:
        return
    parts = getattr(image, "parts", None) or (image.part,)
    shares = np.array_split(voxels.ravel(), len(parts))
    for part, share in zip(parts, shares, strict=True):
        if part.encoding not in (RAW, DEFLATE, BZIP2):
            continue
        content = _content(part)
        if share.tobytes() not in content and share.byteswap().tobytes() not in content:
            raise OthersVoxels(f"voxels that are not in {part.path.name}")


def _content(part: DataPart) -> bytes:
    stored = part.path.read_bytes()
    if part.encoding == RAW:
        return stored
    stored = stored[max(0, part.offset) :]
    for _ in range(part.lines):
        stored = stored.partition(b"\n")[2]
    found = b""
    while stored:
        stream: Any = bz2.BZ2Decompressor() if part.encoding == BZIP2 else zlib.decompressobj(47)
        try:
            found += stream.decompress(stored)
        except (OSError, zlib.error):
            break
        stored = stream.unused_data
    return found


def check_in_series(folder: Path, voxels: NDArray[Any]) -> None:
    """Check that each slice is one that pydicom finds in a file of `folder`.

    Raises:
        OthersVoxels: one is not.
    """
    planes = []
    for path in folder.iterdir():
        try:
            header = read_whole(path)
            if header.file_meta.TransferSyntaxUID not in DECODED_BY_PYDICOM:
                return
            pixels = header.pixel_array.astype(np.float64)
            pixels = pixels.reshape(-1, *pixels.shape[-2:])
            frames = header.get("PerFrameFunctionalGroupsSequence") or [{}] * len(pixels)
            for plane, groups in zip(pixels, frames, strict=True):
                slope = _rescaling(header, groups, "RescaleSlope", 1.0)
                plane[:] = plane * slope + _rescaling(header, groups, "RescaleIntercept", 0.0)
        except Exception:  # what pydicom does not read tells nothing
            return
        planes += list(pixels)
    for index, plane in enumerate(voxels):
        like = (other for other in planes if other.shape == plane.shape)
        if not any(np.allclose(plane, other, rtol=1e-5, atol=1e-3) for other in like):
            raise OthersVoxels(f"slice {index} is in no file, as pydicom reads them")


def _rescaling(header: Any, frame: Any, keyword: str, otherwise: float) -> float:
    """Return a number of a frame's groups, else of those of all frames, else of the file."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    for groups in (frame, shared):
        for item in groups.get("PixelValueTransformationSequence") or ():
            if keyword in item:
                return float(item.get(keyword))
    return float(header.get(keyword, otherwise))
