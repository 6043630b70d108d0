"""Headers of NRRD and MetaImage files, written out, and small voxels to follow them."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest

from TumorSegLib.errors import InputError
from TumorSegLib.reading.image_file import read_array

VOXELS = np.random.default_rng(0).integers(-900, 900, (5, 7, 6)).astype(np.int16)
LITTLE, BIG = VOXELS.astype("<i2").tobytes(), VOXELS.astype(">i2").tobytes()
WORDS = " ".join(map(str, VOXELS.ravel())).encode()
LIST = "".join(f"s{index:02}.raw\n" for index in range(5))

NRRD = (
    "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 7 5\n"
    "space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)\nkinds: domain domain domain\n"
    "space origin: (1,2,3)\n"
)
BARE = "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 7 5\nendian: little\nencoding: raw\n"
META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    "CompressedData = False\nTransformMatrix = 0 1 0 1 0 0 0 0 -1\nOffset = 1 2 3\n"
    "ElementSpacing = 0.7 0.8 2.5\nDimSize = 6 7 5\nElementType = MET_SHORT\n"
)
PACKED = META.replace("CompressedData = False", "CompressedData = True")
PACKED_SIZE = PACKED + f"CompressedDataSize = {len(zlib.compress(LITTLE))}\n"
RAW = NRRD + "endian: little\nencoding: raw\n"
ZIPPED = NRRD + "endian: little\nencoding: gzip\n"


def with_data_files(folder):
    """Write voxels to files of their own, whole and a slice a file; return the folder."""
    for name, content in {
        "d.raw": LITTLE,
        "d.gz": gzip.compress(LITTLE),
        "d.zraw": zlib.compress(LITTLE),
        "h.raw": b"12345" + LITTLE,
        "t.txt": WORDS,
    }.items():
        (folder / name).write_bytes(content)
    for index, plane in enumerate(VOXELS):
        (folder / f"s{index:02}.raw").write_bytes(plane.tobytes())
        (folder / f"g{index:02}.gz").write_bytes(gzip.compress(plane.tobytes()))
    return folder


def write(folder, header, content=b""):
    """Write a header and what follows it; its first line says which format."""
    nrrd = header.startswith("NRRD")
    path = folder / ("image.nhdr" if nrrd else "image.mhd")
    path.write_bytes(header.encode() + (b"\n" if nrrd else b"") + content)
    return path


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_array(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))
    return message
