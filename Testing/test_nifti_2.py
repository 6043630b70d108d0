"""NIfTI-2, written by nibabel, is read as NIfTI-1 is, and refused where that would be."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from written_headers import refusal

from TumorSegLib.reading import read_volume
from TumorSegLib.reading.image_file import read_array, read_grid

nibabel = pytest.importorskip("nibabel")

VOXELS = np.random.default_rng(0).integers(0, 120, (4, 5, 6)).astype(np.int16)
RAS = np.diag([-1.0, -1, 1, 1])


def affine(angle=0.0, shift=(4.0, 5.0, -60.5), spacing=(0.7, 0.85, 2.5), flip=1):
    """RAS, turned about the patient's axis."""
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned[:3, :3] *= (spacing[0], spacing[1], flip * spacing[2])
    turned[:3, 3] = shift
    return turned


def written(path, array=VOXELS, qform=(None, 0), sform=(None, 0), kind=nibabel.Nifti2Image):
    image = kind(array.T, None)
    image.header.set_zooms((0.7, 0.85, 2.5))
    if qform[1]:
        image.header.set_qform(*qform)
    if sform[1]:
        image.header["sform_code"] = sform[1]
        image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = sform[0][:3]
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_type_is_read_in_either_byte_order(tmp_path, dtype, order, ending):
    header = nibabel.Nifti2Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    image = nibabel.Nifti2Image(VOXELS.T.astype(dtype), affine(0.3), header)
    path = tmp_path / "head.nii.gz" if ending == ".nii.gz" else tmp_path / "head.nii"
    nibabel.save(image, path)
    path = path.rename(tmp_path / f"head{ending}")
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.voxels.dtype == np.dtype(dtype)
    np.testing.assert_allclose(RAS @ volume.grid.affine, affine(0.3), atol=1e-12)
    assert volume.warnings == ()


@pytest.mark.parametrize("codes", list(itertools.product(range(3), range(3))))
@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("angle", [0.2, 0.7])
def test_forms_count_as_in_nifti_1(tmp_path, codes, flip, angle):
    forms = {
        "qform": (affine(0.2, flip=flip), codes[0]),
        "sform": (affine(angle, flip=flip), codes[1]),
    }
    one = read_volume(written(tmp_path / "one.nii", kind=nibabel.Nifti1Image, **forms))
    two = read_volume(written(tmp_path / "two.nii", **forms))
    np.testing.assert_allclose(two.grid.affine, one.grid.affine, atol=1e-5)
    assert two.grid.shape == one.grid.shape
    assert [text[3:] for text in two.warnings] == [text[3:] for text in one.warnings]
    ignored = codes[0] > 0 and codes[1] == 2 and angle != 0.2  # what ITK and 3D Slicer ignore
    assert bool(two.warnings) == (codes == (0, 0) or ignored)


def test_a_sheared_sform_gives_way_to_the_qform_or_is_refused(tmp_path):
    sheared = affine() @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    path = written(tmp_path / "both.nii", qform=(affine(0.2), 1), sform=(sheared, 1))
    volume = read_volume(path)
    np.testing.assert_allclose(RAS @ volume.grid.affine, affine(0.2), atol=1e-6)
    (warning,) = volume.warnings
    assert "sheared or contradicts its spacing" in warning
    assert "sheared" in refusal(written(tmp_path / "one.nii", sform=(sheared, 1)))


def test_scaling_and_units_are_applied(tmp_path):
    image = nibabel.Nifti2Image(VOXELS.T, np.diag([0.001, 0.001, 0.002, 1]))
    image.header.set_slope_inter(0.37, -12.25)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "head.nii.gz")
    volume = read_volume(tmp_path / "head.nii.gz")
    expected = (VOXELS * 0.37 - 12.25).astype(np.float32)
    np.testing.assert_array_equal(volume.voxels, expected)
    assert volume.grid.spacing == pytest.approx((1, 1, 2))


def test_positions_keep_double_precision(tmp_path):
    far = affine(0.1, shift=(100000.0001, -2.0, 3.0))
    grid = read_grid(written(tmp_path / "far.nii", qform=(far, 1), sform=(far, 1)))
    assert grid.origin[0] == pytest.approx(-100000.0001, abs=1e-9)


def test_an_axis_longer_than_nifti_1_allows_is_read(tmp_path):
    array = np.zeros((2, 1, 40000), np.uint8)
    array[1, 0, -1] = 7
    found, grid = read_array(written(tmp_path / "long.nii", array))
    assert grid.shape == (2, 1, 40000)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("offset", "content"),
    [
        (4, b"n+1"),
        (4, b"ni2"),
        (8, b"\n\n"),
        (12, struct.pack("<h", 999)),
        (14, struct.pack("<h", 8)),
        (16, struct.pack("<q", -1)),
        (16, struct.pack("<q", 2**62)),
        (24, struct.pack("<q", 0)),
        (24, struct.pack("<q", -6)),
        (24, struct.pack("<q", 2**62)),
        (24, struct.pack("<q", 7)),
        (112, struct.pack("<d", float("nan"))),
        (112, struct.pack("<d", -1)),
        (168, struct.pack("<q", -1)),
        (168, struct.pack("<q", 2**62)),
        (168, struct.pack("<q", 10000)),
        (176, struct.pack("<d", float("inf"))),
        (176, struct.pack("<2d", 1, float("nan"))),
        (352, struct.pack("<d", float("nan"))),
        (376, struct.pack("<d", float("inf"))),
        (376, struct.pack("<d", float("nan"))),
    ],
)
def test_headers_that_cannot_be_are_refused(tmp_path, ending, offset, content):
    path = written(tmp_path / f"head{ending}", qform=(affine(), 1))
    data = bytearray(nibabel.openers.Opener(path).read())
    data[offset : offset + len(content)] = content
    with nibabel.openers.Opener(path, "wb") as file:
        file.write(bytes(data))
    refusal(path)


@pytest.mark.parametrize("length", [0, 4, 347, 348, 400, 539, 540, 543, 600])
def test_cut_files_are_refused(tmp_path, length):
    path = written(tmp_path / "head.nii", qform=(affine(), 1))
    path.write_bytes(path.read_bytes()[:length])
    refusal(path)


def test_several_volumes_are_refused(tmp_path):
    path = tmp_path / "four.nii"
    nibabel.save(nibabel.Nifti2Image(np.zeros((3, 3, 3, 2), np.uint8), np.eye(4)), path)
    assert "found 4 axes (3x3x3x2), expected a 3-D volume" in refusal(path)
