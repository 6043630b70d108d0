"""Headers that cannot be are refused in a line, before memory is taken."""

from __future__ import annotations

import gzip
import re
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from written_headers import (
    LITTLE,
    META,
    NRRD,
    RAW,
    VOXELS,
    refusal,
    write,
)

from TumorSegLib.errors import InputError
from TumorSegLib.reading import read_volume
from TumorSegLib.reading.image_file import read_array
from TumorSegLib.slicer_io.segmentation_file import read_segments


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
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # ITK 5.3 rounds otherwise than 5.4
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
