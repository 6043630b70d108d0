"""DICOM Segmentations and structured reports, read back by others."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="it reads what is written")

import highdicom
from dicom_writing import AXIAL, write_frames, write_slices
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from tiny_models import ct_specification, write_tiny_bundle

from TumorSegLib import cli
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.measurement.quantities import QUANTITIES
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.reading import read_volume
from TumorSegLib.writing import write_segmentation
from TumorSegLib.writing.dicom_content import content_of
from TumorSegLib.writing.dicom_file import write_dicom_file
from TumorSegLib.writing.dicom_output import source_images, write_dicom
from TumorSegLib.writing.dicom_report import write_dicom_report
from TumorSegLib.writing.dicom_segmentation import write_dicom_segmentation
from TumorSegLib.writing.dicom_source import find_source
from TumorSegLib.writing.shared_groups import share_groups

pytestmark = pytest.mark.slow

PATIENT = {
    "PatientName": "Müller^Jo",
    "PatientID": "1",
    "PatientBirthDate": "19700101",
    "PatientSex": "O",
    "StudyDate": "20200101",
    "StudyTime": "101010",
    "AccessionNumber": "A1",
    "StudyID": "1",
    "ReferringPhysicianName": "",
    "SeriesNumber": 2,
    "InstanceNumber": 1,
    "PositionReferenceIndicator": "",
    "Laterality": "",
    "PatientPosition": "HFS",
    "Manufacturer": "A",
    "KVP": 120,
    "AcquisitionNumber": 1,
}
VOLUME = codes.SCT.Volume
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
SHAPE = (9, 30, 40)
BOX = (slice(2, 7), slice(5, 21), slice(4, 31))


def ct(folder: Path, *, orientation=AXIAL, step=3.0, names=None, positions=None, **attributes):
    """A series of nine slices whose frame of reference, study and patient are given."""
    normal = np.cross(orientation[:3], orientation[3:])
    random = np.random.default_rng(1)
    slices = [random.integers(-100, 300, SHAPE[1:]).astype(np.int16) for _ in range(SHAPE[0])]
    if positions is None:
        positions = [
            tuple(np.array((10.0, -20.0, 5.0)) + k * step * normal) for k in range(SHAPE[0])
        ]
    given = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    write_slices(
        folder,
        slices,
        positions,
        series=generate_uid(),
        names=names,
        orientation=orientation,
        **{**PATIENT, **given, **attributes},
    )
    return read_volume(folder)


def liver_specification():
    return default_catalogue().find("liver-ct-unet").specification


def labelled(volume, **names) -> LabelledVolume:
    specification = liver_specification()
    labelmap = np.zeros(volume.voxels.shape, np.uint8)
    labelmap[BOX] = 1
    labelmap[3:5, 8:12, 8:14] = labelmap[5, 15:18, 20:22] = 2
    labels = [
        replace(label, name=names.get(label.name, label.name)) for label in specification.labels
    ]
    return LabelledVolume(
        volume, replace(specification, labels=tuple(labels), derived=()), labelmap
    )


def written(folder: Path, case: LabelledVolume):
    source = find_source(folder, case.volume.grid)
    out = folder.parent / "seg.dcm"
    content = content_of(case)
    segmentation = write_dicom_segmentation(content, source, out)
    report = folder.parent / "sr.dcm"
    write_dicom_report(content, segmentation, source, report)
    return out, report


def voxels_of(path: Path, case: LabelledVolume) -> np.ndarray:
    """The label map in a DICOM Segmentation, on the volume's grid, placed by positions alone."""
    dataset = highdicom.seg.segread(path)
    grid = case.volume.grid
    labelmap = np.zeros(grid.shape, np.uint8)
    normal = np.array(grid.direction)[:, 2]
    masks = dataset.pixel_array.reshape(-1, *grid.shape[1:])
    for frame, pixels in zip(dataset.PerFrameFunctionalGroupsSequence, masks, strict=True):
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float) - grid.origin
        plane = place @ normal / grid.spacing[2]
        np.testing.assert_allclose(place, plane * normal * grid.spacing[2], atol=1e-3)
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        label = case.specification.labels[number - 1]
        labelmap[round(plane)][pixels > 0] = label.value
    return labelmap


def checked(tool: str, *paths: Path) -> list[str]:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool} of the Debian package dicom3tools")
    done = subprocess.run(
        [tool, *map(str, paths)], capture_output=True, text=True, errors="replace"
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line]


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("step", [3.0, -3.0], ids=["upwards", "downwards"])
def test_voxels_and_places_are_read_back(tmp_path, orientation, step):
    case = labelled(ct(tmp_path / "ct", orientation=orientation, step=step))
    out, _ = written(tmp_path / "ct", case)
    np.testing.assert_array_equal(voxels_of(out, case), case.labelmap)
    dataset = pydicom.dcmread(out)
    source = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert dataset[keyword].value == source[keyword].value
    referred = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert len(referred) == SHAPE[0]
    described = dataset.SegmentSequence
    assert [segment.SegmentLabel for segment in described] == ["Liver", "Liver tumour"]
    for segment, label in zip(described, case.specification.labels, strict=True):
        code = segment.SegmentedPropertyTypeCodeSequence[0]
        assert (code.CodeValue, code.CodingSchemeDesignator) == (label.type.value, "SCT")
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmVersion == case.specification.version


def test_each_frame_refers_to_the_image_under_it(tmp_path):
    names = [f"{(7 * k) % SHAPE[0]}.dcm" for k in range(SHAPE[0])]  # no order of files
    case = labelled(ct(tmp_path / "ct", names=names))
    out, _ = written(tmp_path / "ct", case)
    sources = {}
    for path in (tmp_path / "ct").iterdir():
        dataset = pydicom.dcmread(path)
        sources[dataset.SOPInstanceUID] = dataset
    for frame in pydicom.dcmread(out).PerFrameFunctionalGroupsSequence:
        derivation = frame.DerivationImageSequence[0].SourceImageSequence[0]
        image = sources[derivation.ReferencedSOPInstanceUID]
        assert image.ImagePositionPatient == frame.PlanePositionSequence[0].ImagePositionPatient


def test_numbers_are_read_back(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    out, report = written(tmp_path / "ct", case)
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    names = [group.tracking_identifier for group in groups]
    assert names[-2:] == ["Liver tumour 1", "Liver tumour 2"]
    assert len(groups) == 4
    assert len({group.tracking_uid for group in groups}) == 4
    segments = [group.referenced_segment for group in groups]
    dataset = pydicom.dcmread(out)
    assert {one.referenced_sop_instance_uid for one in segments} == {dataset.SOPInstanceUID}
    assert [one.referenced_segment_numbers for one in segments] == [[1], [2], [2], [2]]
    ml = case.volume.grid.voxel_ml
    counts = [int((case.labelmap == 1).sum()), 54, 48, 6]
    for group, count in zip(groups, counts, strict=True):
        volume = group.get_measurements(VOLUME)[0]
        assert volume.value == pytest.approx(count * ml, rel=1e-5)
        assert volume.unit == codes.UCUM.CubicCentimeter  # of CID 7462, which has no millilitre
    images = segments[2].source_images_for_segmentation
    assert len(images) == 2  # those that show the first tumour
    long = groups[2].get_measurements(codes.SCT.LongAxis)[0]
    assert long.value == pytest.approx(np.hypot(4 * 0.8, 6 * 0.7), abs=0.8)


@pytest.mark.parametrize("empty", [False, True])
def test_all_groups_begin_with_the_first_groups_figures(tmp_path, empty):
    """3D Slicer shows the groups in a table whose headings are the first one's, by position."""
    case = labelled(ct(tmp_path / "ct"))
    case.labelmap[case.labelmap == 1] = 0 if empty else 1
    _out, report = written(tmp_path / "ct", case)
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    figures = [
        [(one.name.meaning, one.derivation and one.derivation.meaning) for one in found]
        for found in (group.get_measurements() for group in groups)
    ]
    assert len(figures[0]) == (1 if empty else 5)
    assert len(figures[-1]) == 7
    assert all(found[: len(figures[0])] == figures[0] for found in figures)


def test_codes_of_the_report_are_those_of_the_figures(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    _out, report = written(tmp_path / "ct", case)
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    found = {
        ((one.derivation or one.name).value, one.derivation is None and one.unit.value)
        for group in groups
        for one in group.get_measurements()
    }
    known = {
        (one.code.value, False if one.unit_code is None else one.unit_code.value)
        for one in QUANTITIES.values()
    }
    assert found == known


def test_what_is_saved_again_keeps_its_tracking_uids(tmp_path):
    """Whoever compares two reports of an image follows a lesion by them; an edited one is new."""
    case = labelled(ct(tmp_path / "ct"))

    def tracked():
        report = written(tmp_path / "ct", case)[1]
        groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
        return [group.tracking_uid for group in groups]

    first = tracked()
    assert len(set(first)) == 4
    assert tracked() == first
    case.labelmap[3, 8, 8] = 1  # of the larger lesion
    second = tracked()
    assert (second[:2], second[3]) == (first[:2], first[3])
    assert second[2] not in first
    case.labelmap[3:5, 8:12, 8:14] = 1  # gone: the other one is number 1 now
    assert tracked() == [*first[:2], first[3]]
    others = written(tmp_path / "other", labelled(ct(tmp_path / "other")))[0]
    uids = [segment.TrackingUID for segment in highdicom.seg.segread(others).SegmentSequence]
    assert not set(uids) & set(first)


GROUPS = ("PixelMeasuresSequence", "PlaneOrientationSequence")


def enhanced(folder: Path, *, of_frames=()):
    """An enhanced CT, whose frames need not be stored in their order.

    Args:
        folder: for the file.
        of_frames: groups that stand with every frame, not once for all.
    """
    random = np.random.default_rng(1)
    frames = random.integers(-100, 300, SHAPE).astype(np.int16)
    order = [(4 * k) % SHAPE[0] for k in range(SHAPE[0])]
    folder.mkdir()
    write_frames(folder / "all.dcm", frames[order], [(0, 0, 2.5 * k) for k in order])
    dataset = pydicom.dcmread(folder / "all.dcm")
    for keyword, value in {**PATIENT, "FrameOfReferenceUID": generate_uid()}.items():
        setattr(dataset, keyword, value)
    (shared,) = dataset.SharedFunctionalGroupsSequence
    for frame, index in zip(dataset.PerFrameFunctionalGroupsSequence, order, strict=True):
        frame.FrameContentSequence = [pydicom.Dataset()]
        frame.FrameContentSequence[0].DimensionIndexValues = [index + 1]
        for group in of_frames:
            setattr(frame, group, shared[group].value)
    for group in of_frames:
        delattr(shared, group)
    dataset.save_as(folder / "all.dcm")
    return order


def test_frames_of_one_file(tmp_path):
    folder = tmp_path / "ct"
    order = enhanced(folder)
    case = labelled(read_volume(folder))
    out, report = written(folder, case)
    np.testing.assert_array_equal(voxels_of(out, case), case.labelmap)
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    images = groups[2].referenced_segment.source_images_for_segmentation
    numbers = [image.referenced_frame_numbers for image in images]
    assert numbers == [[order.index(3) + 1], [order.index(4) + 1]]


@pytest.mark.parametrize("groups", [GROUPS, GROUPS[:1], GROUPS[1:]])
def test_frames_that_say_each_what_all_share(tmp_path, groups):
    """They were refused after the run, though the standard leaves the place to the writer."""
    enhanced(tmp_path / "ct", of_frames=groups)
    case = labelled(read_volume(tmp_path / "ct"))
    out, _ = written(tmp_path / "ct", case)
    np.testing.assert_array_equal(voxels_of(out, case), case.labelmap)
    (shared,) = pydicom.dcmread(out).SharedFunctionalGroupsSequence
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.8, 0.7]


def test_frames_that_cannot_be_referred_to_are_told_before_the_run(tmp_path):
    enhanced(tmp_path / "ct", of_frames=GROUPS)
    volume = read_volume(tmp_path / "ct")
    assert source_images(volume).is_multi_frame
    path = tmp_path / "ct" / "all.dcm"
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"  # that of images with one frame
    dataset.save_as(path)
    with pytest.raises(OutputError, match="say what a segmentation cannot repeat"):
        source_images(volume)
    turned = pydicom.Dataset()
    turned.ImageOrientationPatient = [1, 0, 0, 0, 0.8, 0.6]
    dataset.PerFrameFunctionalGroupsSequence[4].PlaneOrientationSequence = [turned]
    with pytest.raises(OutputError, match="ct: its frames differ in ImageOrientationPatient"):
        share_groups(dataset, "ct")


def test_an_empty_segmentation_and_one_without_tumour(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    for labelmap in (np.zeros_like(case.labelmap), np.minimum(case.labelmap, 1)):
        out, report = written(tmp_path / "ct", replace(case, labelmap=labelmap))
        np.testing.assert_array_equal(voxels_of(out, case), labelmap)
        groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
        volumes = [group.get_measurements(VOLUME)[0].value for group in groups]
        liver = float((labelmap == 1).sum() * case.volume.grid.voxel_ml)
        assert volumes == [pytest.approx(liver, rel=1e-5), 0]


def test_many_specks(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    case.labelmap[:] = 0
    case.labelmap[::2, ::6, ::4] = 2
    _, report = written(tmp_path / "ct", case)
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 2 + 5 * 5 * 10


@pytest.mark.parametrize(
    ("name", "written_as"),
    [
        ("肝肿瘤", "肝肿瘤"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("a \"b\" 'c'", "a \"b\" 'c'"),
        ("x" * 80, "x" * 64),
        ("left\\right\tlobe\n", "left right lobe"),
        ("\\", "Segment 2"),
    ],
)
def test_any_name(tmp_path, name, written_as):
    """A backslash would make two values of a name, which a label cannot be."""
    case = labelled(ct(tmp_path / "ct"), **{"Liver tumour": name})
    out, report = written(tmp_path / "ct", case)
    dataset = pydicom.dcmread(out)
    assert dataset.SegmentSequence[1].SegmentLabel == written_as
    assert dataset.PatientName == "Müller^Jo"
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    identifiers = [group.tracking_identifier for group in groups[2:4]]
    assert identifiers == [f"{written_as[:62]} {number}" for number in (1, 2)]
    assert checked("dciodvfy", out) == checked("dciodvfy", report) == []


def test_validators_find_nothing(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    out, report = written(tmp_path / "ct", case)
    assert checked("dciodvfy", out) == checked("dciodvfy", report) == []
    assert checked("dcentvfy", *(tmp_path / "ct").iterdir(), out, report) == []


def test_what_was_resampled_is_refused(tmp_path):
    """A tilted gantry: the slices were moved, none is an image of the volume any more."""
    tilted = [(10.0, -20.0 + 1.2 * k, 3.0 * k) for k in range(SHAPE[0])]
    case = labelled_like(ct(tmp_path / "tilted", positions=tilted))
    with pytest.raises(OutputError, match="resampled while the series was read"):
        find_source(tmp_path / "tilted", case.volume.grid)
    uneven = [(10.0, -20.0, 3.0 * k + (1.3 if k > 4 else 0)) for k in range(SHAPE[0])]
    volume = ct(tmp_path / "uneven", positions=uneven)
    with pytest.raises(OutputError, match=r"\d of \d+ planes were resampled"):
        find_source(tmp_path / "uneven", volume.grid)


def labelled_like(volume) -> LabelledVolume:
    return LabelledVolume(volume, liver_specification(), np.zeros(volume.voxels.shape, np.uint8))


def test_results_beside_the_images_are_no_second_series(tmp_path):
    """Whoever saved seg.dcm into the folder could not read it again without --series."""
    case = labelled(ct(tmp_path / "ct"))
    for path in written(tmp_path / "ct", case):
        path.rename(tmp_path / "ct" / path.name)
    again = read_volume(tmp_path / "ct")
    np.testing.assert_array_equal(again.voxels, case.volume.voxels)
    assert len(find_source(tmp_path / "ct", again.grid).datasets) == SHAPE[0]
    for path in (tmp_path / "ct").glob("0*.dcm"):
        path.unlink()
    with pytest.raises(InputError, match="found no DICOM images"):
        read_volume(tmp_path / "ct")


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("PixelSpacing", [0.8]),
        ("ImagePositionPatient", [0.0, 0.0]),
        ("ImageOrientationPatient", [1.0, 0.0, 0.0, 0.0, 1.0]),
    ],
)
def test_an_image_that_says_too_little_is_not_of_the_volume(tmp_path, keyword, values):
    """It ended the writing of a result with a TypeError, an IndexError or a ValueError."""
    volume = ct(tmp_path / "ct")
    image = pydicom.dcmread(tmp_path / "ct" / "000.dcm")
    image[keyword].value = values
    image.save_as(tmp_path / "ct" / "other.dcm")
    assert len(find_source(tmp_path / "ct", volume.grid).datasets) == SHAPE[0]


def test_frames_of_several_files_are_told(tmp_path):
    """They were said to be resampled, which they are not."""
    for part in range(2):
        frames = np.arange(4 * 20 * 24, dtype=np.int16).reshape(4, 20, 24)
        places = [(0, 0, 3.0 * (index + 4 * part)) for index in range(4)]
        write_frames(tmp_path / f"{part}.dcm", frames, places)
    grid = read_volume(tmp_path).grid
    with pytest.raises(OutputError, match="its images are frames of 2 files"):
        find_source(tmp_path, grid)


def test_no_dicom_is_told(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("none")
    with pytest.raises(OutputError, match="found no DICOM images"):
        find_source(tmp_path / "other", case.volume.grid)


def test_a_full_disk_is_told_in_a_line(tmp_path):
    """Of a file's size there is a limit, as a full disk has."""
    resource = pytest.importorskip("resource")
    write_slices(tmp_path, np.ones((1, 128, 128), np.int16), [(0, 0, 0)])
    dataset = pydicom.dcmread(next(tmp_path.iterdir()))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OutputError) as refused:
            write_dicom_file(dataset, tmp_path / "out.dcm")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(refused.value) == f"{tmp_path / 'out.dcm'}: cannot be written: File too large"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_result_is_written_by_its_ending(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    write_segmentation(case, tmp_path / "out.dcm")
    np.testing.assert_array_equal(voxels_of(tmp_path / "out.dcm", case), case.labelmap)
    with pytest.raises(OutputError, match="is there already"):
        write_segmentation(case, tmp_path / "out.dcm")
    elsewhere = replace(case, volume=replace(case.volume, origin=None))
    with pytest.raises(OutputError, match="was not read from DICOM"):
        write_segmentation(elsewhere, tmp_path / "other.dcm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct", "out.dcm"]


def test_both_are_written_where_strings_say(tmp_path):
    case = labelled(ct(tmp_path / "ct"))
    out, report = tmp_path / "seg.dcm", tmp_path / "sr.dcm"
    write_dicom(case, source_images(case.volume), str(out), str(report))
    np.testing.assert_array_equal(voxels_of(out, case), case.labelmap)
    assert highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()


def test_the_command_writes_both(tmp_path, monkeypatch, capsys):
    write_tiny_bundle(tmp_path / "models", ct_specification())
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    ct(tmp_path / "ct")
    out, report = tmp_path / "seg.dcm", tmp_path / "sr.dcm"
    words = ["segment", str(tmp_path / "ct"), "--model", "tiny-ct", "--json"]
    assert cli.main([*words, "-o", str(out), "--sr", str(report)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["output"], printed["structured_report"]) == (str(out), str(report))
    content = highdicom.sr.srread(report).content
    tumour = next(s for s in printed["segments"] if s["name"] == "Liver tumour")
    group = content.get_volumetric_roi_measurement_groups()[1]
    assert group.get_measurements(VOLUME)[0].value == pytest.approx(tumour["volume_ml"], rel=1e-5)
    for more, line in (
        (["-o", str(tmp_path / "x.nrrd"), "--sr", str(tmp_path / "y.dcm")], "found 0; give -o"),
        (["-o", str(tmp_path / "x.dcm"), "--sr", str(tmp_path / "y.nrrd")], "ends in .dcm"),
        (["-o", str(tmp_path / "x.dcm"), "--sr", str(tmp_path / "x.dcm")], "name another"),
        (["-o", str(out)], "is there already"),
        (["-o", str(tmp_path / "x.dcm"), "--sr", str(report)], "is there already"),
    ):
        assert cli.main([*words, *more]) == 2
        assert line in capsys.readouterr().err
    image = next((tmp_path / "ct").iterdir())
    assert cli.main([*words, "-o", str(image), "--overwrite"]) == 2  # never an input
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct", "models", "seg.dcm", "sr.dcm"]
