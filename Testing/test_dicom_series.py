from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading import read_volume

pytest.importorskip("pydicom", reason="the tests write their DICOM files with pydicom")

import pydicom
from dicom_writing import header_of, save, write_frames, write_slices
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

ROWS, COLUMNS = 24, 20


@pytest.fixture
def slices() -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-1000, 1000, (9, ROWS, COLUMNS)).astype(np.int16)


def axial(*heights: float) -> list[tuple[float, float, float]]:
    return [(-10.0, -20.0, z) for z in heights]


def even(count: int, step: float = 2.0) -> list[tuple[float, float, float]]:
    return axial(*(30 + step * index for index in range(count)))


def physical(volume: Volume) -> NDArray[np.float64]:
    """LPS positions (z, y, x, 3) of all voxels."""
    indices = np.moveaxis(np.indices(volume.grid.shape)[::-1], 0, -1)
    return indices @ volume.grid.affine[:3, :3].T + volume.grid.affine[:3, 3]


def refusal(folder: Path, **options: str) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert folder.name in message
    return message


def test_slices_are_ordered_by_position_and_spaced_by_it(tmp_path, slices):
    order = np.random.default_rng(1).permutation(len(slices))
    positions = even(len(slices))
    folder = tmp_path / "Kopf ü 頭"
    write_slices(
        folder,
        slices[order],
        [positions[i] for i in order],
        names=[f"IM{n}" for n in range(len(slices))],
        SliceThickness="3",
    )
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.voxels, slices)
    assert volume.voxels.dtype == np.int16
    assert volume.grid.spacing == pytest.approx((0.7, 0.8, 2.0), abs=1e-12)
    assert volume.grid.origin == (-10, -20, 30)
    assert volume.grid.direction == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert (volume.modality, volume.name) == ("CT", folder.name)
    assert volume.warnings == ("Kopf ü 頭: 1 file without content left out",)


def test_sagittal_slices_lie_where_their_header_says(tmp_path, slices):
    orientation = (0, 1, 0, 0, 0, -1)  # normal: (-1, 0, 0)
    positions = [(40.0 - 3 * index, -20.0, 60.0) for index in range(len(slices))]
    write_slices(tmp_path, slices, positions, orientation=orientation)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, slices)
    assert volume.grid.origin == (40, -20, 60)
    assert volume.grid.spacing == pytest.approx((0.7, 0.8, 3.0))
    np.testing.assert_allclose(physical(volume)[2, 5, 4], (34, -20 + 4 * 0.7, 60 - 5 * 0.8))


def test_rescaling_gives_hounsfield_units_in_the_smallest_type(tmp_path, slices):
    stored = (slices + 1024).astype(np.uint16)
    write_slices(tmp_path, stored, even(9), RescaleIntercept=-1024)
    volume = read_volume(tmp_path)
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, slices)


def test_fractional_rescaling_gives_floats(tmp_path, slices):
    write_slices(tmp_path, slices, even(9), RescaleSlope="0.5", RescaleIntercept="0.25")
    volume = read_volume(tmp_path)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels, slices * 0.5 + 0.25)


def test_a_slice_beyond_sixteen_bits_widens_the_volume(tmp_path, slices):
    stored = slices.astype(np.uint16)
    stored[:5] = 7
    write_slices(tmp_path, stored, even(9), RescaleIntercept=-1)
    volume = read_volume(tmp_path)
    assert volume.voxels.dtype == np.int32
    np.testing.assert_array_equal(volume.voxels, stored.astype(np.int32) - 1)


def test_rounded_positions_are_even_spacing(tmp_path, slices):
    heights = [round(0.625 * index, 1) for index in range(9)]
    write_slices(tmp_path, slices, axial(*heights))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, slices)
    assert volume.grid.spacing[2] == pytest.approx(0.625)
    assert volume.warnings == ()


def test_single_missing_slices_are_interpolated_with_a_warning(tmp_path, slices):
    kept = [0, 1, 3, 4, 5, 7, 8]
    positions = even(9)
    write_slices(tmp_path, slices[kept], [positions[i] for i in kept])
    volume = read_volume(tmp_path)
    assert volume.grid.shape == slices.shape
    assert volume.grid.spacing[2] == pytest.approx(2)
    np.testing.assert_array_equal(volume.voxels[kept], slices[kept])
    between = (slices[1].astype(float) + slices[3]) / 2
    np.testing.assert_allclose(volume.voxels[2], between, atol=0.5)
    (warning,) = volume.warnings
    assert "2 of 9 slices are missing (number 3, 7)" in warning


@pytest.mark.parametrize("kept", [[0, 1, 4, 5, 6, 7, 8], [0, 1, 2, 3, 8]])
def test_neighbouring_missing_slices_are_refused(tmp_path, slices, kept):
    positions = even(9)
    write_slices(tmp_path, slices[kept], [positions[i] for i in kept])
    assert "invented" in refusal(tmp_path)


def test_thick_slices_are_not_bridged(tmp_path, slices):
    write_slices(tmp_path, slices[:4], axial(0, 6.5, 13, 26), SliceThickness="5")
    assert "no slices for 13.0 mm after slice 3 of 4" in refusal(tmp_path)


def test_variable_spacing_is_interpolated_with_a_warning(tmp_path):
    heights = [0, 3, 6, 9, 12, 13, 18.5, 24, 29.5]
    fine = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    write_slices(tmp_path, [(fine + 20 * z).astype(np.int16) for z in heights], axial(*heights))
    volume = read_volume(tmp_path)
    (warning,) = volume.warnings
    assert "between 1.00 and 5.50 mm apart" in warning
    steps = np.arange(volume.grid.shape[0]) * volume.grid.spacing[2]
    assert steps[-1] == pytest.approx(29.5)
    assert 2.5 < volume.grid.spacing[2] < 3.5
    np.testing.assert_allclose(volume.voxels, fine + 20 * steps[:, None, None], atol=2)


def test_slices_of_growing_thickness_leave_no_gap(tmp_path, slices):
    """Thin slices of the skull's base, thick ones above it, as many scanners were set."""
    heights, thickness = [0, 2.5, 5, 7.5, 10, 16.25, 26.25, 36.25, 46.25], [2.5] * 5 + [10] * 4
    for index, z in enumerate(heights):
        write_slices(
            tmp_path,
            slices[index : index + 1],
            axial(z),
            names=[f"{index}"],
            SliceThickness=str(thickness[index]),
        )
    assert "between 2.50 and 10.00 mm apart" in read_volume(tmp_path).warnings[0]


def test_thick_slices_do_not_hide_a_gap(tmp_path, slices):
    heights = [0, 1, 2, 3, 4, 12, 13, 14, 15]
    write_slices(tmp_path, slices, axial(*heights), SliceThickness="5")
    assert "no slices for 8.0 mm after slice 5 of 9" in refusal(tmp_path)


def test_slices_in_no_order_are_refused(tmp_path, slices):
    heights = [0, 0.1, 0.2, 0.3, 5, 5.1, 5.2, 9, 13]
    write_slices(tmp_path, slices, axial(*heights), SliceThickness="5")
    assert "in no order" in refusal(tmp_path)


def blob(lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth off-centre body in air."""
    distance = np.linalg.norm((lps - (2.0, -4.0, 42.0)) / (6.0, 7.0, 9.0), axis=-1)
    return 2000 / (1 + np.exp(4 * (distance - 1))) - 1000


@pytest.mark.parametrize("degrees", [18.5, -12.0])
def test_gantry_tilt_is_undone(tmp_path, degrees):
    """Slices of a tilted gantry: the table moves along z, not along the slices' normal."""
    angle = np.radians(degrees)
    row, column = np.array([1, 0, 0]), np.array([0, np.cos(angle), -np.sin(angle)])
    pixel = 0.5
    y, x = np.mgrid[:60, :50] * pixel
    positions = [np.array([-10.0, -18.0, 25.0 + 1.5 * index]) for index in range(24)]
    images = [
        np.rint(blob(p + x[..., None] * row + y[..., None] * column)).astype(np.int16)
        for p in positions
    ]
    write_slices(tmp_path, images, positions, orientation=(*row, *column), spacing=(pixel, pixel))
    volume = read_volume(tmp_path)
    (warning,) = volume.warnings
    assert f"gantry tilt of {abs(degrees):.1f} degrees" in warning
    assert volume.voxels.dtype == np.int16
    assert volume.grid.spacing == pytest.approx((pixel, pixel, 1.5 * np.cos(angle)))
    direction = np.array(volume.grid.direction)
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-9)

    where = physical(volume)
    table = (where - positions[0]) @ np.cross(row, column) / np.cos(angle)
    within_slice = (where - positions[0] - table[..., None] * (0, 0, 1)) @ column
    inside = (within_slice >= 0) & (within_slice <= y.max())
    assert inside.sum() == pytest.approx(24 * 60 * 50, rel=0.05)
    error = np.abs(volume.voxels - blob(where))
    assert error[inside].max() < 40
    assert error[inside].mean() < 1
    assert (volume.voxels[~inside] < -900).all()


def test_slices_that_run_off_sideways_are_refused(tmp_path, slices):
    positions = [(-10.0 + 5 * index, -20.0, 2.0 * index) for index in range(9)]
    write_slices(tmp_path, slices, positions)
    assert "shift in plane by 40.0 mm" in refusal(tmp_path)


def test_copies_are_left_out(tmp_path, slices):
    write_slices(tmp_path, slices, even(9))
    write_slices(tmp_path, slices[3:5], even(9)[3:5], names=["copy1", "copy2"])
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, slices)
    assert "left out a second copy of 2 slices" in volume.warnings[0]


def test_values_in_other_bits_are_refused(tmp_path, slices):
    """They were read 16 times as large, or without the highest bits."""
    high = [(np.clip(part + 1024, 0, 4095) << 4).astype(np.uint16) for part in slices]
    write_slices(tmp_path, high, even(9), BitsStored=12, HighBit=15, PixelRepresentation=0)
    expected = "found HighBit 15 of 12 bits stored, expected 11; convert the series to NRRD first"
    assert expected in refusal(tmp_path)


def test_values_by_a_table_are_refused(tmp_path, slices):
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4, 0, 16], "HU"
    table.LUTData = np.arange(4, dtype="<u2").tobytes()
    rescaling = {"RescaleSlope": None, "RescaleIntercept": None}
    write_slices(tmp_path, slices, even(9), ModalityLUTSequence=[table], **rescaling)
    assert "found a ModalityLUTSequence, a table of values" in refusal(tmp_path)
    write_slices(tmp_path, slices, even(9), ModalityLUTSequence=[])
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, slices)


def test_slices_of_several_patients_are_refused(tmp_path, slices):
    """Two scans whose series got the same UID interleaved, and were segmented as one."""
    half = len(slices) // 2
    write_slices(tmp_path, slices[:half], even(9)[:half], PatientID="Anna-1", names="abcd")
    write_slices(tmp_path, slices[half:], even(9)[half:], PatientID="Bert-2", names="efghi")
    message = refusal(tmp_path)
    assert "its series has images of 2 patients, expected one" in message
    assert "Anna" not in message
    for path in map(tmp_path.joinpath, "abcd"):
        path.unlink()
    assert read_volume(tmp_path).grid.shape[0] == len(slices) - half


def test_slices_that_do_not_all_say_whose_they_are_are_one_patients(tmp_path, slices):
    write_slices(tmp_path, slices[:4], even(9)[:4], PatientID="1 ", names="abcd")
    write_slices(tmp_path, slices[4:7], even(9)[4:7], PatientID="", names="efg")
    write_slices(tmp_path, slices[7:], even(9)[7:], names="hi")
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, slices)
    assert volume.warnings == ()


ANNA = {"PatientName": "Muster^Anna", "PatientBirthDate": "19500101", "StudyInstanceUID": "1.2"}


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"PatientName": "Other^One"}, "2 patients"),
        ({"PatientBirthDate": "19400101"}, "2 patients"),
        ({"StudyInstanceUID": "1.3"}, "2 studies"),
    ],
)
def test_slices_without_a_number_may_still_be_of_several_patients(tmp_path, slices, other, found):
    """The result went to the patient of the first one, whose number was as empty as the other's."""
    write_slices(tmp_path, slices[:4], even(9)[:4], **ANNA, PatientID="", names="abcd")
    second = ANNA | {"PatientID": ""} | other
    write_slices(tmp_path, slices[4:], even(9)[4:], **second, names="efghi")
    message = refusal(tmp_path)
    assert f"its series has images of {found}, expected one; put those of each into" in message
    assert "Anna" not in message


@pytest.mark.parametrize(
    "other",
    [
        {"PatientName": "MUSTER^ANNA^^ ", "PatientBirthDate": "1950.01.01"},
        {"PatientName": "Muster^Anna=木^安"},
        {"PatientName": "", "PatientBirthDate": "", "StudyInstanceUID": ""},
        {"PatientName": None, "PatientBirthDate": "??", "StudyInstanceUID": None},
    ],
)
def test_what_says_the_same_or_nothing_contradicts_no_patient(tmp_path, slices, other):
    given = ANNA | {"SpecificCharacterSet": "ISO_IR 192"}
    write_slices(tmp_path, slices[:4], even(9)[:4], **given, names="abcd")
    write_slices(tmp_path, slices[4:], even(9)[4:], **(given | other), names="efghi")
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, slices)


def test_slices_of_several_frames_of_reference_are_warned_of(tmp_path, slices):
    write_slices(tmp_path, slices[:4], even(9)[:4], FrameOfReferenceUID="1.5", names="abcd")
    write_slices(tmp_path, slices[4:], even(9)[4:], FrameOfReferenceUID="1.6", names="efghi")
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, slices)
    (warning,) = volume.warnings
    assert "its slices have 2 frames of reference" in warning


def test_several_images_at_one_position_are_refused(tmp_path, slices):
    write_slices(tmp_path, slices, even(9))
    write_slices(tmp_path, slices + 1, even(9), names=[f"phase2_{n}" for n in range(9)])
    message = refusal(tmp_path)
    assert "000.dcm and phase2_0" in message


def test_several_series_are_listed_and_one_can_be_chosen(tmp_path, slices):
    write_slices(tmp_path, slices, even(9))
    write_slices(
        tmp_path,
        slices[:4] + 5,
        even(4),
        series="1.2.4",
        names=list("abcd"),
        Modality="MR",
        SeriesDescription="t2",
    )
    message = refusal(tmp_path)
    assert "found 2 series" in message
    assert "FOLDER#UID, or --series UID for the volume itself" in message
    assert "1.2.3 (Schädel 2 mm, CT, 9 slices)" in message
    assert "1.2.4 (t2, MR, 4 slices)" in message
    chosen = read_volume(tmp_path, series="1.2.4")
    np.testing.assert_array_equal(chosen.voxels, slices[:4] + 5)
    assert chosen.modality == "MR"
    assert "found no series 1.2.5" in refusal(tmp_path, series="1.2.5")


def test_localizers_are_left_out(tmp_path, slices):
    write_slices(tmp_path, slices, even(9))
    scout = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_slices(
        tmp_path,
        slices[:1],
        [(0.0, 0.0, 0.0)],
        names=["scout"],
        orientation=(1, 0, 0, 0, 0, -1),
        ImageType=scout,
    )
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, slices)
    assert "1 localizer" in volume.warnings[0]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 1, 0]}, "ImageOrientationPatient"),
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"PixelSpacing": [0, 0.7]}, "PixelSpacing"),
        ({"PixelSpacing": [-1, 0.7]}, "PixelSpacing"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME1"),
    ],
)
def test_unusable_headers_are_refused(tmp_path, slices, attributes, expected):
    write_slices(tmp_path, slices, even(9), **attributes)
    assert expected in refusal(tmp_path)


def test_a_constant_series_is_refused(tmp_path, slices):
    write_slices(tmp_path, np.full_like(slices, 7), even(9))
    assert "every voxel is 7" in refusal(tmp_path)


def test_colour_is_refused(tmp_path):
    for index in range(3):
        header = header_of(np.zeros((8, 8), np.uint8), "1.2.840.10008.5.1.4.1.1.7", "1.2.3")
        header.SamplesPerPixel, header.PhotometricInterpretation = 3, "RGB"
        header.PlanarConfiguration = 0
        header.PixelData = bytes(8 * 8 * 3)
        save(header, tmp_path / f"{index}.dcm")
    assert "found RGB pixels" in refusal(tmp_path)


def test_one_slice_is_refused(tmp_path, slices):
    write_slices(tmp_path, slices[:1], even(1))
    assert "found one slice" in refusal(tmp_path)


def test_differing_slices_are_refused(tmp_path, slices):
    write_slices(tmp_path, slices, even(9))
    write_slices(tmp_path, slices[:1, :10], axial(48), names=["other"])
    assert "000.dcm and other" in refusal(tmp_path)


@pytest.mark.parametrize("part", [0.2, 0.6, 0.99])
def test_a_truncated_slice_is_refused(tmp_path, slices, part, capfd):
    paths = write_slices(tmp_path, slices, even(9))
    content = paths[4].read_bytes()
    paths[4].write_bytes(content[: int(len(content) * part)])
    message = refusal(tmp_path)
    assert paths[4].name in message
    assert "truncated" in message
    assert capfd.readouterr() == ("", "")


def test_folders_without_dicom_are_refused(tmp_path):
    assert "found no DICOM images" in refusal(tmp_path)
    (tmp_path / "notes.txt").write_text("hello\n" * 1000)
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    assert "found no DICOM images" in refusal(tmp_path)


def test_frames_of_one_file_are_sorted(tmp_path):
    frames = np.random.default_rng(0).integers(0, 2000, (6, ROWS, COLUMNS)).astype(np.int16)
    order = [3, 0, 5, 1, 2, 4]
    positions = even(6)
    write_frames(tmp_path / "enhanced.dcm", frames[order], [positions[i] for i in order])
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, frames - 1024)
    assert volume.grid.spacing == pytest.approx((0.7, 0.8, 2))
    assert volume.grid.origin == (-10, -20, 30)


def frames_of_different_rescaling(path, frames):
    write_frames(path, frames, even(len(frames)))
    header = pydicom.dcmread(path)
    rescaling = pydicom.Dataset()
    rescaling.RescaleSlope, rescaling.RescaleIntercept = 2, 5
    header.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence = [rescaling]
    return header


def test_frames_are_rescaled_each_by_its_own_numbers(tmp_path, slices):
    header = frames_of_different_rescaling(tmp_path / "enhanced.dcm", slices[:3])
    header.save_as(tmp_path / "enhanced.dcm")
    expected = np.stack([slices[0] - 1024, slices[1] * 2 + 5, slices[2] - 1024])
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, expected)


def test_compressed_frames_have_rescaling_of_their_own(tmp_path, slices):
    header = frames_of_different_rescaling(tmp_path / "enhanced.dcm", slices[:3])
    header.compress(RLELossless, encoding_plugin="pydicom")
    header.save_as(tmp_path / "enhanced.dcm")
    expected = np.stack([slices[0] - 1024, slices[1] * 2 + 5, slices[2] - 1024])
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, expected)


@pytest.mark.parametrize(
    ("character_set", "description"),
    [
        ("ISO_IR 192", "Schädel 頭"),
        (["", "ISO 2022 IR 87"], "頭部 CT"),
        ("ISO_IR 100", "Schädel"),
        ("ISO_IR 144", "Череп"),
        ("GB18030", "头颅"),
    ],
)
def test_descriptions_of_any_character_set_are_listed(tmp_path, slices, character_set, description):
    text = {"SpecificCharacterSet": character_set, "SeriesDescription": description}
    write_slices(tmp_path, slices[:2], even(2), **text)
    write_slices(tmp_path, slices[:2], even(2), series="1.2.4", names=["a", "b"])
    assert f"1.2.3 ({description}, CT, 2 slices)" in refusal(tmp_path)


@pytest.mark.parametrize("character_set", ["ISO_IR 999", "\\\\", "utf8 please"])
def test_character_sets_that_are_none_do_no_harm(tmp_path, slices, character_set, capfd, recwarn):
    paths = write_slices(tmp_path, slices, even(9))
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content.replace(b"ISO_IR 100", character_set.encode().ljust(10)[:10]))
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, slices)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_pydicom_is_quiet_about_odd_values_and_heard_again_afterwards(
    tmp_path, slices, capfd, recwarn, caplog
):
    write_slices(tmp_path, slices, even(9), StudyDate="20260101", EchoTime="5")
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes().replace(b"20260101", b"1.1.2026")
        path.write_bytes(content.replace(b"1.2.3\0", b"1.2.x\0"))
    mode = pydicom.config.settings.reading_validation_mode
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, slices)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert not caplog.records
    assert pydicom.config.settings.reading_validation_mode == mode
    assert not logging.getLogger("pydicom").disabled


@pytest.mark.parametrize(("kind", "bytes_of_one"), [("Float", 4), ("Double", 8)])
def test_pixels_of_fractions_are_read(tmp_path, slices, kind, bytes_of_one):
    values = slices / np.float32(8)
    for path, pixels in zip(write_slices(tmp_path, slices, even(9)), values, strict=True):
        header = pydicom.dcmread(path)
        for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(header, keyword)
        header.BitsAllocated = 8 * bytes_of_one
        keyword = "DoubleFloatPixelData" if kind == "Double" else "FloatPixelData"
        setattr(header, keyword, pixels.astype(f"f{bytes_of_one}").tobytes())
        header.save_as(path)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, values)
    assert volume.voxels.dtype == np.float32


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (1, -10), (3, 5), (-1, 0), (0.5, 0.25)])
def test_uncompressed_pixels_are_as_gdcm_reads_them(tmp_path, slices, dtype, slope, intercept):
    stored = (slices % 100).astype(dtype)
    numbers = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    paths = write_slices(tmp_path, stored, even(9), **numbers)
    decoded = [sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0] for path in paths]
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, decoded)


@pytest.mark.parametrize("signed", [0, 1])
def test_bits_above_those_stored_are_left_out(tmp_path, slices, signed):
    values = slices.clip(-2048, 2047) if signed else slices & 0xFFF
    stored = (values.astype(int) & 0xFFF | 0xA000).astype(np.uint16)
    write_slices(tmp_path, stored, even(9), BitsStored=12, HighBit=11, PixelRepresentation=signed)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, values)


def test_one_bit_a_pixel_is_refused(tmp_path, slices):
    write_slices(tmp_path, slices, even(9), BitsAllocated=1, BitsStored=1, HighBit=0)
    assert "found 1 bits in each pixel, expected 8, 16 or 32" in refusal(tmp_path)


def test_pixels_of_ge_begin_with_the_largest_byte(tmp_path, slices):
    pytest.importorskip("pydicom", "3", reason="pydicom 2 writes no private encoding")
    for path in write_slices(tmp_path, slices, even(9)):
        header = pydicom.dcmread(path)
        header.PixelData = np.frombuffer(header.PixelData, "<i2").astype(">i2").tobytes()
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        implicit = pydicom.Dataset(header)
        implicit.file_meta = header.file_meta
        save(implicit, path, implicit=True)
        content = path.read_bytes()
        path.write_bytes(content.replace(b"1.2.840.10008.1.2\0", b"1.2.840.113619.5.2", 1))
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, slices)


def test_jpeg_2000_is_decoded_and_spaced_by_position(shared):
    volume = read_volume(shared / "data" / "volumes" / "jpeg2000_ct")
    assert volume.grid.shape == (20, 512, 512)
    assert volume.grid.spacing == pytest.approx((0.9765625, 0.9765625, 2.0))
    assert volume.voxels.dtype == np.int16
    assert volume.warnings == ()
    labels = read_volume(shared / "data" / "volumes" / "jpeg2000_ct_labels.nii.gz")
    assert volume.voxels.min() == -1024
    for place in (np.min, np.max):
        ends = [place(physical(each), axis=(0, 1, 2)) for each in (volume, labels)]
        np.testing.assert_allclose(*ends, atol=1e-3)


def test_a_real_gantry_tilt_is_undone(shared):
    volume = read_volume(shared / "data" / "volumes" / "gantry_tilt_ct")
    assert any("gantry tilt of 18.5 degrees" in warning for warning in volume.warnings)
    assert any("between 1.08 and 7.00 mm" in warning for warning in volume.warnings)
    assert volume.grid.shape[2] == 512
    assert volume.voxels.dtype == np.int16


@pytest.mark.parametrize(("patient", "count", "pixel"), [("1", 129, 0.57), ("17", 119, 0.743)])
def test_jpeg_ls_series_are_read(shared, patient, count, pixel):
    folder = shared / "data" / "ircad" / f"3Dircadb1.{patient}" / "PATIENT_DICOM"
    volume = read_volume(folder)
    assert volume.grid.shape == (count, 512, 512)
    assert volume.grid.spacing == pytest.approx((pixel, pixel, 1.6), abs=1e-4)
    assert (volume.voxels.min(), volume.voxels.max()) == (-1024, 1023)
    assert volume.voxels.dtype == np.int16


@pytest.mark.parametrize(
    ("attributes", "sequence"),
    [
        ({"SeriesDescription": "t2_tirm_dark-fluid", "EchoTime": 100}, "flair"),
        ({"SeriesDescription": "Ax T1 FLAIR", "EchoTime": 10, "InversionTime": 860}, "t1"),
        ({"SeriesDescription": "Sag FLAIR", "EchoTime": 10, "InversionTime": 860}, "t1"),
        ({"EchoTime": "125", "RepetitionTime": "11000", "InversionTime": "2800"}, "flair"),
        ({"EchoTime": "95", "RepetitionTime": "4500"}, "t2"),
        ({"EchoTime": "14", "RepetitionTime": "550"}, "t1"),
        ({"EchoTime": "3.2", "RepetitionTime": "2300", "InversionTime": "900"}, "t1"),
        ({"EchoTime": "14", "RepetitionTime": "3000"}, None),
        ({}, None),
    ],
)
def test_mri_sequences_are_told_by_description_or_timing(tmp_path, slices, attributes, sequence):
    header = {"Modality": "MR", "SeriesDescription": "Kopf", **attributes}
    write_slices(tmp_path / "mr", slices, even(len(slices)), **header)
    assert read_volume(tmp_path / "mr").sequence == sequence


def test_ct_has_no_sequence(tmp_path, slices):
    write_slices(tmp_path / "ct", slices, even(len(slices)), SeriesDescription="T2")
    assert read_volume(tmp_path / "ct").sequence is None


def test_one_file_stands_for_its_series(tmp_path, slices):
    first = write_slices(tmp_path / "study", slices, even(len(slices)), series="1.2.1")
    names = [f"other{number}" for number in range(4)]
    write_slices(tmp_path / "study", slices[:4], even(4), series="1.2.2", names=names)
    volume = read_volume(first[3])
    assert volume.voxels.shape == (len(slices), ROWS, COLUMNS)
    assert volume.name == "study"
    (tmp_path / "broken.dcm").write_bytes(first[0].read_bytes()[:140] + b"\xff" * 40)
    assert "is damaged" in refusal(tmp_path / "broken.dcm")


def test_a_folder_of_folders_says_which_to_name(tmp_path, slices):
    for name in ("T1", "FLAIR"):
        write_slices(tmp_path / "study" / name, slices, even(len(slices)))
    message = refusal(tmp_path / "study")
    assert message.endswith("sub-folders are not searched, name one of them: FLAIR, T1")
    (tmp_path / "empty").mkdir()
    assert "sub-folders" not in refusal(tmp_path / "empty")


def test_a_series_without_uid_can_be_chosen(tmp_path, slices):
    folder = tmp_path / "study"
    write_slices(folder, slices, even(len(slices)), SeriesInstanceUID=None)
    names = [f"other{number}" for number in range(4)]
    write_slices(folder, slices[:4], even(4), series="1.2.2", names=names)
    assert "no-uid (" in refusal(folder)
    assert read_volume(folder, series="no-uid").voxels.shape[0] == len(slices)
