"""Every byte of voxels comes from the file that is read, or the file is refused."""

from __future__ import annotations

import bz2
import errno
import gzip
import os
import re
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from TumorSegLib.errors import InputError
from TumorSegLib.itk import grid_of_image
from TumorSegLib.reading import read_volume
from TumorSegLib.reading.image_file import read_array
from TumorSegLib.reading.segmentation_file import read_segments

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
WRITTEN_OUT = META.replace("BinaryData = True", "BinaryData = False")
RAW = NRRD + "endian: little\nencoding: raw\n"
ZIPPED = NRRD + "endian: little\nencoding: gzip\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with voxels in files of their own, whole and a slice a file."""
    for name, content in {
        "d.raw": LITTLE,
        "d.gz": gzip.compress(LITTLE),
        "d.zraw": zlib.compress(LITTLE),
        "h.raw": b"12345" + LITTLE,
        "t.txt": WORDS,
    }.items():
        (tmp_path / name).write_bytes(content)
    for index, plane in enumerate(VOXELS):
        (tmp_path / f"s{index:02}.raw").write_bytes(plane.tobytes())
        (tmp_path / f"g{index:02}.gz").write_bytes(gzip.compress(plane.tobytes()))
    return tmp_path


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


NRRD_WAYS = {
    "little endian": (RAW, LITTLE),
    "big endian": (RAW.replace("little", "big"), BIG),
    "lines of Windows": (RAW.replace("\n", "\r\n") + "\r", LITTLE),
    "gzip": (ZIPPED, gzip.compress(LITTLE)),
    "text": (NRRD + "encoding: text\n", WORDS),
    "hex": (RAW.replace("raw", "hex"), LITTLE.hex().encode()),
    "byte skip": (RAW + "byte skip: 10\n", b"x" * 10 + LITTLE),
    "byte skip to the end": (RAW + "byte skip: -1\n", b"x" * 10 + LITTLE),
    "line skip": (RAW + "line skip: 2\n", b"abc\nde\n" + LITTLE),
    "gzip and byte skip": (ZIPPED + "byte skip: 4\n", gzip.compress(b"xxxx" + LITTLE)),
    "gzip and line skip": (ZIPPED + "line skip: 1\n", b"hello\n" + gzip.compress(LITTLE)),
    "detached": (RAW + "data file: d.raw\n", b""),
    "detached gzip": (ZIPPED + "data file: ./d.gz\n", b""),
    "pattern": (RAW + "data file: s%02d.raw 0 4 1\n", b""),
    "pattern of gzip": (ZIPPED + "data file: g%02d.gz 0 4 1 2\n", b""),
    "pattern backwards": (RAW + "data file: s%02d.raw 4 0 -1\n", b""),
    "RAS": (RAW.replace("left-posterior-superior", "RAS"), LITTLE),
    "LAS": (RAW.replace("left-posterior-superior", "left-anterior-superior"), LITTLE),
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
    assert grid.same_as(grid_of_image(image), 1e-9)


@pytest.mark.parametrize(
    ("header", "content"),
    [
        (PACKED + "ElementDataFile = LOCAL\n", zlib.compress(LITTLE)),
        (PACKED + "ElementDataFile = LOCAL\n", gzip.compress(LITTLE)),
        (PACKED + "ElementDataFile = d.zraw\n", b""),
        (PACKED + "ElementDataFile = d.gz\n", b""),
        (ZIPPED, zlib.compress(LITTLE)),
        (ZIPPED.replace("gzip", "bzip2"), bz2.compress(LITTLE)),
        (ZIPPED.replace("gzip", "bzip2"), bz2.compress(LITTLE[:99]) + bz2.compress(LITTLE[99:])),
        (ZIPPED, gzip.compress(LITTLE[:99]) + gzip.compress(LITTLE[99:])),
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


@pytest.mark.parametrize("count", ["-1", "0", "100", "2147483647", "99999999999999999999", "x", ""])
@pytest.mark.parametrize("header", [RAW + "data file: d.raw\n", META + "ElementDataFile = d.raw\n"])
def test_numbers_of_axes_that_cannot_be_are_refused(folder, header, count):
    path = write(folder, re.sub("(dimension: |NDims = )3", rf"\g<1>{count}", header))
    assert "found" in refusal(path)


LONG = ["x" * 1000, "(" * 1000, "1 " * 1000, "9" * 1000, "%n" * 500, "\x00" * 1000, "1e" * 500]


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize(
    "field",
    [
        *("type", "dimension", "sizes", "space", "space directions", "kinds", "space origin"),
        *("endian", "encoding", "data file"),
    ],
)
def test_fields_of_a_thousand_characters_are_refused(folder, field, text):
    header = re.sub(rf"(?m)^{field}: .*$", f"{field}: {text}", RAW + "data file: d.raw\n")
    path = write(folder, header)
    if field == "space":  # any space but three is taken for LPS
        np.testing.assert_array_equal(read_array(path)[0], VOXELS)
    else:
        refusal(path)


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize(
    "field",
    [
        *("NDims", "BinaryDataByteOrderMSB", "CompressedData", "TransformMatrix", "Offset"),
        *("ElementSpacing", "DimSize", "ElementType", "ElementDataFile"),
        *("ElementNumberOfChannels", "HeaderSize"),
    ],
)
def test_metaimage_fields_of_a_thousand_characters_are_refused(folder, field, text):
    header = META + "HeaderSize = 0\nElementNumberOfChannels = 1\nElementDataFile = d.raw\n"
    header = re.sub(rf"(?m)^{field} = .*$", f"{field} = {text}", header)
    path = write(folder, header)
    refusal(path)


def test_a_damaged_segmentation_file_is_refused(tmp_path):
    header = NRRD + "endian: little\nencoding: raw\nSegment0_ID:=a\nSegment0_LabelValue:={}\n"
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(header.format("1.0").encode() + b"\n" + LITTLE)
    (mask,) = read_segments(path)
    assert mask.value == 1
    np.testing.assert_array_equal(mask.labelmap, VOXELS)
    for value in ("", "1.5", "one", "-1", "9" * 5000, "nan"):
        path.write_bytes(header.format(value).encode() + b"\n" + LITTLE)
        with pytest.raises(InputError, match="found Segment0_LabelValue"):
            read_segments(path)
    path.write_bytes(header.replace("sizes: 6", "sizes: " + "6" * 900).encode() + b"\n" + LITTLE)
    with pytest.raises(InputError, match="found sizes"):
        read_segments(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("offset", "content"),
    [
        (108, struct.pack("<f", float("nan"))),
        (108, struct.pack("<f", float("inf"))),
        (108, struct.pack("<f", -5)),
        (108, struct.pack("<f", 1e9)),
        (40, struct.pack("<h", 0)),
        (40, struct.pack("<h", -3)),
        (40, struct.pack("<h", 30000)),
        (42, struct.pack("<h", -6)),
        (46, struct.pack("<h", 0)),
        (46, struct.pack("<h", 32000)),
        (70, struct.pack("<h", 1)),
        (70, struct.pack("<h", 999)),
        (72, struct.pack("<h", 8)),
        (112, struct.pack("<f", float("inf"))),
        (112, struct.pack("<2f", 1, float("nan"))),
        (344, b"ni1\0"),
        (344, b"\0\0\0\0"),
    ],
)
def test_nifti_headers_that_cannot_be_are_refused(tmp_path, ending, offset, content):
    path = tmp_path / "head.nii"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content
    path = tmp_path / f"head{ending}"
    path.write_bytes(gzip.compress(data) if ending == ".nii.gz" else data)
    refusal(path)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_scaled_nifti_is_as_itk_scales_it(tmp_path, dtype):
    path = tmp_path / "head.nii"
    sitk.WriteImage(sitk.GetImageFromArray((VOXELS % 100).astype(dtype)), str(path))
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", 0.37, -12.25)
    path.write_bytes(data)
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    found, _ = read_array(path)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_a_qform_and_an_sform_that_differ_are_told_apart(tmp_path):
    path = tmp_path / "head.nii"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    data = bytearray(path.read_bytes())
    data[254:256] = struct.pack("<h", 2)
    data[280:328] = struct.pack("<12f", 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 30)
    path.write_bytes(data)
    (warning,) = read_volume(path).warnings
    assert "qform and sform differ by" in warning
    assert "the qform was used" in warning
    assert "sheared" not in warning


def test_compressed_nifti_under_a_plain_name_is_told(tmp_path):
    path = tmp_path / "head.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    assert "rename it to head.nii.gz" in refusal(path.rename(tmp_path / "head.nii"))


def test_more_voxels_than_the_header_says_are_told(folder):
    for header in (RAW, META + "ElementDataFile = LOCAL\n"):
        (warning,) = read_volume(write(folder, header, LITTLE + b"xx")).warnings
        assert "more voxels than its header says" in warning


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_small_file_of_zeros_takes_no_memory(tmp_path, ending):
    """A megabyte that unpacks to a gigabyte of zeros is refused before its pages are there."""
    shape = (256, 1024, 1024)
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    planes = [packer.compress(bytes(2 * 1024 * 1024)) for _ in range(shape[0])]
    content = b"".join(planes) + packer.flush()
    if ending == ".nii.gz":
        small = tmp_path / "small.nii"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(small))
        header = bytearray(small.read_bytes()[:352])
        header[42:48] = struct.pack("<3h", *shape[::-1])
        content = gzip.compress(header) + content
    elif ending == ".nrrd":
        content = ZIPPED.replace("6 7 5", "1024 1024 256").encode() + b"\n" + content
    else:
        head = PACKED.replace("6 7 5", "1024 1024 256") + "ElementDataFile = LOCAL\n"
        content = head.encode() + content
    path = tmp_path / f"zeros{ending}"
    path.write_bytes(content)
    before = resident()
    with pytest.raises(InputError, match="every voxel is 0"):
        read_volume(path)
    assert resident() - before < 128 * 2**20


def resident() -> int:
    """The most bytes of memory that this process has had at once since this was last asked."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells")
    Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s*(\d+)", status.read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_short_file_of_a_large_volume_takes_no_memory(tmp_path, ending):
    head = {
        ".nrrd": ZIPPED.replace("6 7 5", "1024 1024 1024").encode() + b"\n",
        ".mha": (PACKED.replace("6 7 5", "1024 1024 1024") + "ElementDataFile = LOCAL\n").encode(),
        ".nii.gz": b"",
    }[ending]
    content = head + gzip.compress(LITTLE)
    if ending == ".nii.gz":
        small = tmp_path / "small.nii"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(small))
        header = bytearray(small.read_bytes())
        header[42:48] = struct.pack("<3h", 1024, 1024, 1024)
        content = gzip.compress(header)
    path = tmp_path / f"short{ending}"
    path.write_bytes(content)
    tracemalloc.start()
    assert "damaged or truncated" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("name", ["head.nii.gz", "head.nrrd", "head.mha"])
def test_pipes_and_devices_are_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is no file but a device or a pipe"):
        read_volume(tmp_path / name)
    for header in (RAW + "data file: pipe\n", META + "ElementDataFile = pipe\n"):
        (tmp_path / "pipe").unlink(missing_ok=True)
        (tmp_path / "pipe").symlink_to(tmp_path / name)
        assert "is no file but a device or a pipe" in refusal(write(tmp_path, header))
        if sys.platform == "linux":
            (tmp_path / "pipe").unlink()
            (tmp_path / "pipe").symlink_to("/dev/zero")
            assert "is no file but a device or a pipe" in refusal(write(tmp_path, header))


def test_a_dead_link_is_told(tmp_path):
    (tmp_path / "head.nrrd").symlink_to(tmp_path / "annex" / "content")
    with pytest.raises(InputError, match=r"head\.nrrd: a link to a file that is not there"):
        read_volume(tmp_path / "head.nrrd")


@pytest.mark.parametrize("name", ["image.nhdr", "d.raw", "head.nii", "a.seg.nrrd"])
@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOENT, errno.ESTALE])
def test_files_that_fail_or_vanish_while_they_are_read_are_told(
    folder, monkeypatch, name, after, code
):
    """The first openings go well, then the disk fails, or another program removes the file."""
    write(folder, RAW + "data file: d.raw\n")
    header = NRRD + "endian: little\nencoding: raw\nSegment0_ID:=a\n"
    (folder / "a.seg.nrrd").write_bytes(header.encode() + b"\n" + LITTLE)
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(folder / "head.nii"))
    path = folder / ("image.nhdr" if name == "d.raw" else name)
    read = read_segments if name == "a.seg.nrrd" else read_volume
    whole = Path.open
    opened = 0

    def failing(self, *args, **options):
        nonlocal opened
        opened += self.name == name
        if self.name == name and opened > after:
            raise OSError(code, os.strerror(code), str(self))
        return whole(self, *args, **options)

    monkeypatch.setattr(Path, "open", failing)
    try:
        read(path)
    except InputError as error:
        message = str(error)
        assert re.search(f"{name}: .*{os.strerror(code)}|{name}: no such file", message)
    else:
        assert opened <= after
