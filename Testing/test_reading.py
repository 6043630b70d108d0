from __future__ import annotations

import gzip
import os
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import grid_of_image, to_sitk
from TumorSegLib.reading import read_volume
from TumorSegLib.support.silence import silenced_stderr

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
PIXDIM, VOX_OFFSET, QFORM_CODE, SROW = 76, 108, 252, 280


def rotation(x: float, y: float, z: float) -> NDArray[np.float64]:
    cx, cy, cz = np.cos([x, y, z])
    sx, sy, sz = np.sin([x, y, z])
    return (
        np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    )


OBLIQUE = rotation(0.3, -0.2, 0.5)[:, [2, 0, 1]] * (1, -1, 1)
GRID = Grid((5, 7, 6), (0.7, 0.85, 2.5), (-91.5, 12.25, 33.0), tuple(map(tuple, OBLIQUE.tolist())))


@pytest.fixture
def voxels() -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-1000, 1000, GRID.shape).astype(np.int16)


@pytest.fixture
def write(tmp_path, voxels) -> Callable[..., Path]:
    def write(name: str, array: NDArray | None = None, *, compress: bool = False) -> Path:
        path = tmp_path / name
        image = to_sitk(voxels if array is None else array, GRID)
        sitk.WriteImage(image, str(path), useCompression=compress)
        return path

    return write


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def patched(path: Path, offset: int, content: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("ending", ENDINGS)
def test_files_come_back_as_they_were_written(write, voxels, ending, dtype):
    array = (voxels % 200).astype(dtype)
    volume = read_volume(write(f"head.t1{ending}", array))
    np.testing.assert_array_equal(volume.voxels, array)
    assert volume.voxels.dtype == dtype
    assert (volume.name, volume.modality, volume.warnings) == ("head.t1", None, ())
    single = 1e-6 if ending.startswith(".nii") else 1e-13  # NIfTI stores single precision
    assert volume.grid.shape == GRID.shape
    np.testing.assert_allclose(volume.grid.spacing, GRID.spacing, rtol=single)
    np.testing.assert_allclose(volume.grid.origin, GRID.origin, rtol=single)
    np.testing.assert_allclose(volume.grid.direction, GRID.direction, atol=single)


@pytest.mark.parametrize("ending", ENDINGS)
def test_reading_changes_nothing_that_the_image_says(write, ending):
    path = write(f"head{ending}")
    assert read_volume(path).grid == grid_of_image(sitk.ReadImage(str(path)))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_lies_where_nibabel_puts_it(tmp_path, voxels, ending):
    nibabel = pytest.importorskip("nibabel")
    affine = np.eye(4)
    affine[:3] = np.column_stack([OBLIQUE * (0.7, 0.85, 2.5), (1.0, -2.0, 3.0)])
    path = tmp_path / f"head{ending}"
    nibabel.save(nibabel.Nifti1Image(voxels.T, affine), path)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(
        np.diag([-1, -1, 1, 1]) @ volume.grid.affine, nibabel.load(path).affine, atol=1e-5
    )


def test_nifti_scaling_and_units_are_applied(tmp_path, voxels):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(voxels.T, np.diag([0.001, 0.001, 0.002, 1]))
    image.header.set_slope_inter(2.0, 5.0)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "head.nii")
    volume = read_volume(tmp_path / "head.nii")
    np.testing.assert_array_equal(volume.voxels, voxels * 2.0 + 5)
    assert volume.grid.spacing == pytest.approx((1, 1, 2))
    assert volume.warnings == ()


@pytest.mark.parametrize("folder", ["mit Leerzeichen", "患者 Ø é", "/".join(["long" * 40] * 12)])
@pytest.mark.parametrize("ending", ENDINGS)
def test_odd_paths_are_read(tmp_path, write, voxels, folder, ending):
    place = tmp_path / folder
    place.mkdir(parents=True)
    volume = read_volume(write(f"{folder}/Schädel 頭 (1){ending}"))
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.name == "Schädel 頭 (1)"


def test_capital_endings_are_read(write, voxels):
    path = write("head.nii.gz")
    volume = read_volume(path.rename(path.with_name("HEAD.NII.GZ")))
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.name == "HEAD"


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_fourth_axis_of_one_is_dropped(tmp_path, voxels, ending):
    image = sitk.JoinSeries([to_sitk(voxels, GRID)])
    assert image.GetDimension() == 4
    sitk.WriteImage(image, str(tmp_path / f"head{ending}"))
    volume = read_volume(tmp_path / f"head{ending}")
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.grid.geometry_equal(GRID)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_single_slice_is_a_volume(tmp_path, voxels, ending):
    path = tmp_path / f"slice{ending}"
    sitk.WriteImage(to_sitk(voxels, GRID)[:, :, 2:3], str(path))
    np.testing.assert_array_equal(read_volume(path).voxels, voxels[2:3])


def test_uncompressed_nifti_under_a_compressed_name_is_read(write, voxels):
    path = write("head.nii")
    volume = read_volume(path.rename(path.with_suffix(".nii.gz")))
    np.testing.assert_array_equal(volume.voxels, voxels)


def test_several_gzip_members_are_read(write, voxels):
    content = write("head.nii").read_bytes()
    path = write("head.nii.gz")
    path.write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]))
    np.testing.assert_array_equal(read_volume(path).voxels, voxels)


def test_missing_orientation_is_assumed_with_a_warning(write, tmp_path, voxels):
    path = patched(write("head.nii"), QFORM_CODE, struct.pack("<2h", 0, 0))
    (warning,) = read_volume(path).warnings
    assert "no orientation" in warning
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 7 5\nendian: little\nencoding: raw\n\n"
    (tmp_path / "bare.nrrd").write_bytes(header.encode() + voxels.tobytes())
    volume = read_volume(tmp_path / "bare.nrrd")
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert ["no spacing" in line or "no orientation" in line for line in volume.warnings] == [1, 1]


def test_right_anterior_superior_nrrd_is_turned(tmp_path, voxels):
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: RAS\nsizes: 6 7 5\nendian: little\n"
        "space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)\nspace origin: (1,2,3)\nencoding: raw\n\n"
    )
    (tmp_path / "ras.nrrd").write_bytes(header.encode() + voxels.tobytes())
    volume = read_volume(tmp_path / "ras.nrrd")
    assert volume.grid.origin == (-1, -2, 3)
    np.testing.assert_array_equal(volume.grid.direction, np.diag([-1, -1, 1]))
    assert volume.warnings == ()


CENTIMETRES = {
    "space": "space: RAS\nspace directions: (0.07,0,0) (0,0.08,0) (0,0,0.25)\n"
    'space origin: (0.1,0.2,0.3)\nspace units: "cm" "cm" "cm"\n',
    "axes": 'spacings: 70 80 250\nunits: "um" "\u00b5m" "micron"\naxis mins: 100 200 300\n'
    "centers: node node node\n",
    "metres": "space: LPS\nspace directions: (0.0007,0,0) (0,0.0008,0) (0,0,0.0025)\n"
    'space origin: (0.001,0.002,0.003)\nspace units: "m" "m" "m"\n',
}


@pytest.mark.parametrize(("fields", "factor"), [("space", 1), ("axes", 0.1), ("metres", 1)])
def test_units_of_nrrd_are_obeyed(tmp_path, voxels, fields, factor):
    (tmp_path / "units.nrrd").write_bytes(nrrd_with(CENTIMETRES[fields]) + voxels.tobytes())
    grid = read_volume(tmp_path / "units.nrrd").grid
    assert grid.spacing == pytest.approx((0.7 * factor, 0.8 * factor, 2.5 * factor))
    assert np.abs(grid.origin) == pytest.approx((factor, 2 * factor, 3 * factor))


@pytest.mark.parametrize("units", ['"inch" "mm" "mm"', '"mm" "mm"', "parsec mm mm"])
def test_units_that_are_unknown_are_refused(tmp_path, voxels, units):
    fields = CENTIMETRES["space"].replace('"cm" "cm" "cm"', units)
    (tmp_path / "odd.nrrd").write_bytes(nrrd_with(fields) + voxels.tobytes())
    with pytest.raises(InputError, match=r'found space units .*, expected one of "mm", "cm", "m"'):
        read_volume(tmp_path / "odd.nrrd")


def test_axes_without_a_unit_are_millimetres(tmp_path, voxels):
    for units in ('"mm" "millimeters" ""', "mm mm mm"):
        fields = CENTIMETRES["space"].replace('"cm" "cm" "cm"', units)
        (tmp_path / "plain.nrrd").write_bytes(nrrd_with(fields) + voxels.tobytes())
        grid = read_volume(tmp_path / "plain.nrrd").grid
        assert grid.spacing == pytest.approx((0.07, 0.08, 0.25))


def nrrd_with(fields):
    """Return the header of an NRRD file of 6x7x5 shorts with further fields."""
    first = "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 7 5\nendian: little\n"
    return f"{first}{fields}encoding: raw\n\n".encode()


def test_sheared_sform_beside_a_qform_is_warned_of(write):
    path = write("head.nii")
    skew = np.frombuffer(path.read_bytes(), "<f4", 12, SROW).reshape(3, 4).copy()
    skew[0, 2] += 1
    (warning,) = read_volume(patched(path, SROW, skew.tobytes())).warnings
    assert "sform" in warning


def test_sheared_axes_are_refused(write, tmp_path, voxels):
    path = patched(write("head.nii"), QFORM_CODE, struct.pack("<2h", 0, 1))
    skew = np.frombuffer(path.read_bytes(), "<f4", 12, SROW).reshape(3, 4).copy()
    skew[0, 2] += 1
    assert "sheared" in refusal(patched(path, SROW, skew.tobytes()))
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 6 7 5\nendian: little\n"
        "space directions: (1,0,0) (0,1,0) (0,0.1,2)\nspace origin: (1,2,3)\nencoding: raw\n\n"
    )
    (tmp_path / "skew.nrrd").write_bytes(header.encode() + voxels.tobytes())
    assert "sheared" in refusal(tmp_path / "skew.nrrd")


@pytest.mark.parametrize("spacing", [0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf")])
def test_impossible_spacing_is_refused(write, spacing):
    nifti = patched(write("head.nii"), PIXDIM + 4, struct.pack("<f", spacing))
    assert f"found spacing ({spacing:g}, 0.85, 2.5) mm" in refusal(nifti)
    meta = write("head.mha")
    line = b"ElementSpacing = %g 0.85 2.5\n" % spacing
    meta.write_bytes(re.sub(rb"ElementSpacing = .*\n", line, meta.read_bytes()))
    assert f"found spacing ({spacing:g}, 0.85, 2.5) mm" in refusal(meta)


@pytest.mark.parametrize("spacing", ["0", "1e-300", "1e300", "nan", "inf"])
def test_impossible_nrrd_spacing_is_refused(tmp_path, voxels, spacing):
    for field in (
        f"spacings: 0.7 {spacing} 2",
        f"space directions: (1,0,0) (0,{spacing},0) (0,0,2)",
    ):
        header = f"NRRD0004\ntype: short\ndimension: 3\nsizes: 6 7 5\nendian: little\n{field}\n"
        header = header.replace("space d", "space: LPS\nspace d") + "encoding: raw\n\n"
        (tmp_path / "head.nrrd").write_bytes(header.encode() + voxels.tobytes())
        assert "found spacing" in refusal(tmp_path / "head.nrrd")


@pytest.mark.parametrize("part", [0.01, 0.5, 0.98])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_truncated_files_are_refused(write, ending, compress, part, capfd):
    path = write(f"head{ending}", compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    message = refusal(path)
    assert path.name in message
    assert "damaged" in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_corrupted_compressed_voxels_are_refused(write, ending, capfd):
    noise = np.random.default_rng(0).integers(-1000, 1000, GRID.shape).astype(np.int16)
    path = write(f"head{ending}", noise, compress=True)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert "damaged" in refusal(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", ["", "hello\n", "this is a text, not an image\n" * 100])
def test_text_under_an_image_name_is_refused(tmp_path, ending, content, capfd):
    path = tmp_path / f"text{ending}"
    path.write_text(content)
    assert path.name in refusal(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_other_than_three_axes_are_refused(tmp_path, voxels, ending):
    volume = to_sitk(voxels, GRID)
    flat, series, colour = (tmp_path / f"{kind}{ending}" for kind in ("flat", "series", "colour"))
    sitk.WriteImage(sitk.GetImageFromArray(voxels[0]), str(flat))
    assert "found 2 axes" in refusal(flat)
    sitk.WriteImage(sitk.JoinSeries([volume, volume]), str(series))
    assert "found 4 axes (6x7x5x2)" in refusal(series)
    sitk.WriteImage(sitk.Compose([volume] * 3), str(colour))
    assert "found 3 values in each voxel" in refusal(colour)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_voxels_that_are_no_numbers_are_refused(write, voxels, ending, value):
    array = voxels.astype(np.float32)
    array[2, 3, 4] = value
    assert "NaN or infinite" in refusal(write(f"head{ending}", array))


@pytest.mark.parametrize("value", [1e39, -1e300])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_voxels_beyond_32_bit_floats_are_refused(write, voxels, ending, value):
    array = voxels.astype(np.float64)
    array[2, 3, 4] = value
    line = refusal(write(f"head{ending}", array))
    assert f"{value:g}" in line
    assert "expected what 32-bit floats hold; replace" in line


def test_a_constant_volume_is_refused(write, voxels):
    assert "every voxel is 3" in refusal(write("head.nii.gz", np.full_like(voxels, 3)))


def test_absurd_sizes_are_refused_before_memory_is_taken(tmp_path):
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 90000 90000 90000\n"
        "space directions: (1,0,0) (0,1,0) (0,0,2)\nendian: little\nencoding: raw\n\n"
    )
    (tmp_path / "huge.nrrd").write_text(header)
    assert "90000x90000x90000 voxels" in refusal(tmp_path / "huge.nrrd")


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_missing_data_files_are_refused(write, ending, capfd):
    path = write(f"head{ending}")
    next(file for file in path.parent.iterdir() if file != path).unlink()
    assert "data file" in refusal(path)
    assert capfd.readouterr() == ("", "")


def test_paths_that_lead_nowhere_are_refused(tmp_path, write):
    assert "no such file" in refusal(tmp_path / "missing.nii.gz")
    assert "no such file" in refusal(tmp_path / "missing")
    assert "cannot be opened" in refusal(tmp_path / ("long" * 100 + ".nii"))
    assert "unknown ending" in refusal(write("head.nrrd").rename(tmp_path / "head.png"))
    assert "DICOM folder only" in refusal(write("head.nrrd"), series="1.2.3")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_unicode_are_refused(tmp_path, write):
    path = write("head.nrrd").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.nrrd"))
    assert "not valid Unicode" in refusal(Path(path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_forbidden_files_are_refused(write):
    path = write("head.nrrd")
    path.chmod(0)
    assert "Permission denied" in refusal(path)


def test_only_the_block_is_quiet(capfd):
    os.write(2, b"before ")
    with silenced_stderr():
        os.write(2, b"within ")
        with pytest.raises(RuntimeError):
            sitk.ReadImage("no such file.mha", imageIO="MetaImageIO")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


@pytest.mark.parametrize(
    ("name", "shape", "spacing", "dtype"),
    [
        ("CTChest4.nrrd", (34, 128, 128), (3.046876, 3.046876, 10.0), np.int32),
        ("brain1_image.nrrd", (25, 256, 256), (0.78125, 0.78125, 6.5), np.int16),
        ("abdomen_ct_3mm.nii.gz", (112, 101, 122), (3.0, 3.0, 3.0), np.int32),
        ("abdomen_ct_small.nii.gz", (30, 101, 122), (3.0, 3.0, 3.0), np.int16),
    ],
)
def test_real_volumes_are_read(shared, name, shape, spacing, dtype):
    path = shared / "data" / "volumes" / name
    volume = read_volume(path)
    assert volume.grid.shape == shape
    assert volume.grid.spacing == pytest.approx(spacing)
    assert volume.voxels.dtype == dtype
    assert volume.warnings == ()
    assert volume.grid == grid_of_image(sitk.ReadImage(str(path)))


@pytest.mark.parametrize("name", ["Segmentation.seg.nrrd", "SegmentationOverlapping.seg.nrrd"])
def test_segmentations_of_slicer_are_refused(shared, name):
    assert "segmentation made by 3D Slicer" in refusal(shared / "data" / "volumes" / name)
