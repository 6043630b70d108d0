"""Every byte of voxels comes from the file that is read, or the file is refused."""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from written_headers import (
    BARE,
    BIG,
    LIST,
    LITTLE,
    META,
    NRRD,
    PACKED,
    PACKED_SIZE,
    RAW,
    VOXELS,
    WORDS,
    ZIPPED,
    refusal,
    write,
)

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import grid_of_image
from TumorSegLib.reading import read_volume
from TumorSegLib.reading.image_file import read_array

gzipped = partial(gzip.compress, mtime=0)
"""The time would be part of a test's name, by which processes that share tests know them."""

NRRD_WAYS = {
    "little endian": (RAW, LITTLE),
    "big endian": (RAW.replace("little", "big"), BIG),
    "lines of Windows": (RAW.replace("\n", "\r\n") + "\r", LITTLE),
    "gzip": (ZIPPED, gzipped(LITTLE)),
    "text": (NRRD + "encoding: text\n", WORDS),
    "hex": (RAW.replace("raw", "hex"), LITTLE.hex().encode()),
    "byte skip": (RAW + "byte skip: 10\n", b"x" * 10 + LITTLE),
    "byte skip to the end": (RAW + "byte skip: -1\n", b"x" * 10 + LITTLE),
    "line skip": (RAW + "line skip: 2\n", b"abc\nde\n" + LITTLE),
    "gzip and byte skip": (ZIPPED + "byte skip: 4\n", gzipped(b"xxxx" + LITTLE)),
    "gzip and line skip": (ZIPPED + "line skip: 1\n", b"hello\n" + gzipped(LITTLE)),
    "detached": (RAW + "data file: d.raw\n", b""),
    "detached gzip": (ZIPPED + "data file: ./d.gz\n", b""),
    "pattern": (RAW + "data file: s%02d.raw 0 4 1\n", b""),
    "pattern of gzip": (ZIPPED + "data file: g%02d.gz 0 4 1 2\n", b""),
    "pattern backwards": (RAW + "data file: s%02d.raw 4 0 -1\n", b""),
    "RAS": (RAW.replace("left-posterior-superior", "RAS"), LITTLE),
    "another space": (RAW.replace("left-posterior-superior", "scanner-xyz"), LITTLE),
    "space dimension": (
        RAW.replace("space: left-posterior-superior", "space dimension: 3"),
        LITTLE,
    ),
    "no origin": (RAW.replace("space origin: (1,2,3)\n", ""), LITTLE),
    "blanks in vectors": (RAW.replace("(0.7,0,0)", "(0.7, 0, 0)"), LITTLE),
    "spacings": (BARE + "spacings: 0.7 0.8 2\n", LITTLE),
    "axis mins": (BARE + "spacings: 0.7 0.8 2\naxis mins: 1 2 3\n", LITTLE),
    "nodes": (BARE + "spacings: 0.7 0.8 2\naxis mins: 1 2 3\ncenters: node node node\n", LITTLE),
    "fourth axis of one": (
        BARE.replace("dimension: 3", "dimension: 4").replace("6 7 5", "6 7 5 1"),
        LITTLE,
    ),
    "list of one": (
        RAW.replace("dimension: 3", "dimension: 4")
        .replace("6 7 5", "1 6 7 5")
        .replace("directions: ", "directions: none ")
        .replace("kinds: ", "kinds: list "),
        LITTLE,
    ),
}
META_WAYS = {
    "little endian": (META + "ElementDataFile = LOCAL\n", LITTLE),
    "big endian": (META.replace("MSB = False", "MSB = True") + "ElementDataFile = LOCAL\n", BIG),
    "compressed": (PACKED_SIZE + "ElementDataFile = LOCAL\n", zlib.compress(LITTLE)),
    "compressed and detached": (PACKED_SIZE + "ElementDataFile = d.zraw\n", b""),
    "detached": (META + "ElementDataFile = d.raw\n", b""),
    "header to pass over": (META + "HeaderSize = 5\nElementDataFile = h.raw\n", b""),
    "voxels at the end": (META + "HeaderSize = -1\nElementDataFile = h.raw\n", b""),
    "list": (META + "ElementDataFile = LIST\n" + LIST, b""),
    "list of slices": (META + "ElementDataFile = LIST 2\n" + LIST, b""),
    "pattern": (META + "ElementDataFile = s%02d.raw 0 4 1\n", b""),
    "rotation": (
        META.replace("0 1 0 1 0 0 0 0 -1", "0.6 0.8 0 -0.8 0.6 0 0 0 1")
        + "ElementDataFile = d.raw\n",
        b"",
    ),
    "other words": (
        META.replace("Offset", "Position").replace("TransformMatrix", "Orientation")
        + "ElementDataFile = d.raw\n",
        b"",
    ),
    "size for spacing": (
        META.replace("ElementSpacing", "ElementSize") + "ElementDataFile = d.raw\n",
        b"",
    ),
    "colons": (META.replace(" = ", " : ") + "ElementDataFile : d.raw\n", b""),
    "no spacing": (re.sub("ElementSpacing.*\n", "", META) + "ElementDataFile = d.raw\n", b""),
}


@pytest.mark.parametrize(
    ("header", "content"),
    [*NRRD_WAYS.values(), *META_WAYS.values()],
    ids=[*(f"NRRD {name}" for name in NRRD_WAYS), *(f"MetaImage {name}" for name in META_WAYS)],
)
def test_what_itk_reads_rightly_is_read_alike(folder, header, content):
    path = write(folder, header, content)
    voxels, grid = read_array(path)
    image = sitk.ReadImage(str(path))
    expected = sitk.GetArrayFromImage(image)
    while image.GetDimension() > 3:
        image = image[..., 0]
    np.testing.assert_array_equal(voxels, expected.reshape(voxels.shape))
    assert voxels.dtype == expected.dtype
    assert grid.geometry_equal(grid_of_image(image), 1e-9)


def test_left_anterior_superior_is_what_its_name_says(folder):
    """ITK turned the first two axes of it by 180 degrees at least up to SimpleITK 2.5.0."""
    header = RAW.replace("left-posterior-superior", "left-anterior-superior")
    voxels, grid = read_array(write(folder, header, LITTLE))
    np.testing.assert_array_equal(voxels, VOXELS)
    directions = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
    assert grid.geometry_equal(Grid(VOXELS.shape, (0.7, 0.8, 2.5), (1, -2, 3), directions), 1e-9)


@pytest.mark.parametrize(
    ("header", "content"),
    [
        (PACKED + "ElementDataFile = LOCAL\n", zlib.compress(LITTLE)),
        (PACKED + "ElementDataFile = LOCAL\n", gzipped(LITTLE)),
        (PACKED + "ElementDataFile = d.zraw\n", b""),
        (PACKED + "ElementDataFile = d.gz\n", b""),
        (ZIPPED, zlib.compress(LITTLE)),
        (ZIPPED.replace("gzip", "bzip2"), bz2.compress(LITTLE)),
        (ZIPPED.replace("gzip", "bzip2"), bz2.compress(LITTLE[:99]) + bz2.compress(LITTLE[99:])),
        (ZIPPED, gzipped(LITTLE[:99]) + gzipped(LITTLE[99:])),
        (RAW + "data file: LIST\n" + LIST.rstrip(), b""),
    ],
)
def test_what_itk_misreads_or_refuses_is_read(folder, header, content):
    voxels, grid = read_array(write(folder, header, content))
    np.testing.assert_array_equal(voxels, VOXELS)
    assert grid.origin == (1, 2, 3)


@pytest.mark.parametrize("encoding", [zlib.compress, gzip.compress])
@pytest.mark.parametrize(
    "header", [ZIPPED + "data file: x.gz\n", PACKED + "ElementDataFile = x.gz\n"]
)
def test_detached_compressed_voxels_are_refused_when_damaged(folder, header, encoding):
    """Each bit that is turned is found by the stream's format or by its checksum."""
    path = write(folder, header)
    whole = encoding(LITTLE)
    for byte in range(10 if encoding is gzip.compress else 0, len(whole), 7):
        content = bytearray(whole)
        content[byte] ^= 1 << byte % 8
        (folder / "x.gz").write_bytes(content)
        assert "x.gz: its voxels are damaged" in refusal(path)


@pytest.mark.parametrize("cut", [0, 1, 50, -1])
@pytest.mark.parametrize(
    ("header", "name"),
    [
        (RAW + "data file: d.raw\n", "d.raw"),
        (RAW + "data file: LIST\n" + LIST, "s03.raw"),
        (RAW + "data file: s%02d.raw 0 4 1\n", "s00.raw"),
        (ZIPPED + "data file: g%02d.gz 0 4 1\n", "g04.gz"),
        (ZIPPED + "data file: d.gz\n", "d.gz"),
        (META + "ElementDataFile = d.raw\n", "d.raw"),
        (META + "ElementDataFile = LIST\n" + LIST, "s04.raw"),
        (META + "HeaderSize = -1\nElementDataFile = h.raw\n", "d.raw"),
        (
            META.replace("BinaryData = True", "BinaryData = False") + "ElementDataFile = t.txt\n",
            "t.txt",
        ),
        (PACKED + "ElementDataFile = d.zraw\n", "d.zraw"),
    ],
)
def test_voxels_in_other_files_are_refused_when_cut_short(folder, header, name, cut):
    header = header.replace("h.raw", "d.raw")
    target = folder / name
    content = target.read_bytes()
    target.write_bytes(content[:cut] if cut >= 0 else content[: -(len(content) // 8)])
    assert f"{name}: its voxels are damaged or truncated" in refusal(write(folder, header))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (RAW + "data file: none.raw\n", "its data file none.raw is missing"),
        (RAW + "data file: LIST\n", "lists no data files"),
        (RAW + "data file: LIST\n" + LIST[:14], "in 2 files of one size"),
        (META + "ElementDataFile = none.raw\n", "its data file none.raw is missing"),
        (META + "ElementDataFile = LIST\n" + LIST + "s05.raw\n", "in 6 files of one size"),
        (META + "ElementDataFile = s%02d.raw 0 999999999 1\n", "a pattern"),
        (META + "ElementDataFile = s%02d%s.raw 0 4 1\n", "a pattern"),
        (META + "HeaderSize = -5\nElementDataFile = d.raw\n", "found HeaderSize"),
        (RAW + "byte skip: -7\ndata file: d.raw\n", "found byte skip"),
    ],
)
def test_data_files_that_cannot_be_are_refused(folder, header, reason):
    assert reason in refusal(write(folder, header))


@pytest.mark.parametrize("word", ["32768", "-32769", "9" * 30, "1.5", "x", "nan"])
def test_numbers_written_out_must_fit(folder, word):
    content = WORDS.replace(WORDS.split()[0], word.encode(), 1)
    assert "damaged" in refusal(write(folder, NRRD + "encoding: text\n", content))


def test_more_voxels_than_the_header_says_are_told(folder):
    for header in (RAW, META + "ElementDataFile = LOCAL\n"):
        (warning,) = read_volume(write(folder, header, LITTLE + b"xx")).warnings
        assert "more voxels than its header says" in warning
