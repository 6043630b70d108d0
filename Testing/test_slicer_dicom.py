"""Segments of the scene as DICOM objects in Slicer's database, by the panel, on the stand-in."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="it writes and reads DICOM objects")

import highdicom
from bright_models import write_ct_model
from dicom_writing import AXIAL, write_slices
from panel_bench import descendants, shared_blocks
from pydicom.uid import generate_uid
from results import names_in
from scenes import edit_by_hand, segment_mask
from short_turns import short_turns
from test_dicom_objects import PATIENT, checked
from test_grid import rotation_about
from test_slicer_export import add_segmentation

from TumorSegLib.image.grid import LPS_FROM_RAS
from TumorSegLib.reading import read_volume
from TumorSegLib.slicer_io.segments import tag_of

SHAPE = (12, 64, 64)
UNEVEN = [3.0 * k + (1.2 if k > 5 else 0) for k in range(SHAPE[0])]


def body():
    voxels = np.full(SHAPE, -1000, np.int16)
    voxels[:, 8:-8, 8:-8] = -100
    voxels[4:8, 16:40, 16:40] = 100
    voxels[5:7, 20:28, 20:28] = 300
    return voxels


def add_series(bench, *, patient="Müller^Jo", heights=None, orientation=AXIAL):
    """Import a CT into Slicer's database, load it, and return its node."""
    import ctk

    heights = heights or [3.0 * k for k in range(SHAPE[0])]
    normal = np.cross(orientation[:3], orientation[3:])
    folder = bench.folder / f"series {patient}"
    said = {**PATIENT, "PatientName": patient, "PatientID": patient, "StudyDescription": "Abdomen"}
    write_slices(
        folder,
        list(body()),
        [tuple(np.array((10.0, -20.0, 5.0)) + height * normal) for height in heights],
        series=generate_uid(),
        orientation=orientation,
        StudyInstanceUID=generate_uid(),
        FrameOfReferenceUID=generate_uid(),
        **said,
    )
    ctk.ctkDICOMIndexer().addDirectory(bench.slicer.dicomDatabase, str(folder), False)
    volume = read_volume(folder)
    node = bench.slicer.util.addVolumeFromArray(
        np.asarray(volume.voxels), LPS_FROM_RAS @ volume.grid.affine, f"CT {patient}"
    )
    paths = sorted(folder.iterdir())
    instances = [str(pydicom.dcmread(path).SOPInstanceUID) for path in paths]
    node.SetAttribute("DICOM.instanceUIDs", " ".join(instances))
    node.SetAttribute("DICOM.Modality", "CT")
    bench.images = paths
    return node


def open_database(bench, monkeypatch):
    """Give the stand-in a DICOM database, and a temporary folder of its own."""
    import ctk

    monkeypatch.setenv("XDG_DATA_HOME", str(bench.folder / "home"))
    database = ctk.ctkDICOMDatabase()
    (bench.folder / "database").mkdir()
    database.openDatabase(str(bench.folder / "database" / "ctkDICOM.sql"))
    monkeypatch.setattr(bench.slicer, "dicomDatabase", database, raising=False)
    monkeypatch.setattr(bench.slicer.app, "temporaryPath", str(bench.folder / "temporary"))
    (bench.folder / "temporary").mkdir()
    bench.database = database


@pytest.fixture
def ready(bench, monkeypatch):
    """A panel whose DICOM section is open, and a CT from a database of its own."""
    open_database(bench, monkeypatch)
    write_ct_model(bench.models, "tiny-ct")
    bench.open()
    bench.ui = bench.panel.ui
    bench.volume = add_series(bench)
    bench.parameters.volume = bench.volume
    bench.ui.dicomSection.collapsed = False
    bench.turn()
    return bench


def looked(bench):
    """Let the section look for the images, and return what it says."""
    bench.panel.selection_changed()
    bench.until(lambda: not bench.panel.dicom._looking.busy)
    return bench.ui.dicomNote.text


def choose(bench, segmentation):
    bench.parameters.target = segmentation
    return looked(bench)


def save(bench, button="dicomSaveButton"):
    """Click, wait for the end and return the line that is shown."""
    looked(bench)
    assert getattr(bench.ui, button).enabled, bench.ui.dicomNote.text
    getattr(bench.ui, button).click()
    bench.until(lambda: not bench.panel.dicom.busy)
    bench.turn()
    return bench.ui.dicomResult.text


def saved(bench):
    """The files that the database has of its own: segmentation and report."""
    files = sorted(Path(bench.database.databaseDirectory).rglob("*.dcm"))
    objects = [(pydicom.dcmread(file).Modality, file) for file in files]
    assert sorted(modality for modality, _ in objects) == ["SEG", "SR"]
    return dict(objects)["SEG"], dict(objects)["SR"]


def masks_in(path, volume):
    """The masks of a DICOM Segmentation by label, on a node's voxels, placed by position."""
    dataset = highdicom.seg.segread(path)
    shape = volume.GetImageData().GetDimensions()[::-1]
    names = [item.SegmentLabel for item in dataset.SegmentSequence]
    masks = {name: np.zeros(shape, bool) for name in names}
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(matrix)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    pixels = dataset.pixel_array.reshape(-1, *shape[1:])
    for frame, values in zip(dataset.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        ijk = matrix.MultiplyPoint([-x, -y, z, 1])
        np.testing.assert_allclose(ijk[:2], 0, atol=1e-3)
        said = frame if "SegmentIdentificationSequence" in frame else shared
        number = said.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        masks[names[number - 1]][round(ijk[2])] = values > 0
    return masks


def segmentation(bench, **masks):
    """Add a segmentation of the CT; a box if no masks are given."""
    if not masks:
        masks = {"Liver": body() == 100}
    return add_segmentation(bench, bench.volume, masks)


def test_a_result_is_saved_as_it_was_corrected(ready):
    assert not ready.run().failed
    target = ready.parameters.target
    edit_by_hand(ready.slicer, target, ready.volume, np.s_[9:11, 40:44, 40:44], index=1)
    ready.ui.dicomSeriesEdit.text = "Liver, second look"
    line = save(ready)
    assert line == (
        "In Slicer's DICOM database: patient Müller^Jo, study Abdomen, series “Liver, second look”"
        " and “Liver, second look, measurements”. The module DICOM (Add DICOM Data) shows them, and"
        " can send them to a PACS."
    )
    seg, report = saved(ready)
    masks = masks_in(seg, ready.volume)
    assert list(masks) == ["Liver", "Liver tumour"]
    for index, mask in enumerate(masks.values()):
        expected = segment_mask(ready.slicer, target, ready.volume, index)
        assert expected.any()
        np.testing.assert_array_equal(mask, expected)
    dataset, image = pydicom.dcmread(seg), pydicom.dcmread(ready.images[0])
    kinds = [item.SegmentAlgorithmType for item in dataset.SegmentSequence]
    assert kinds == ["AUTOMATIC", "SEMIAUTOMATIC"]
    types = [item.SegmentedPropertyTypeCodeSequence[0] for item in dataset.SegmentSequence]
    assert [code.CodingSchemeDesignator for code in types] == ["SCT", "SCT"]
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert dataset[keyword].value == image[keyword].value
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    voxels = [np.count_nonzero(mask) for mask in masks.values()]
    found = [group.get_measurements()[0].value for group in groups[:2]]
    np.testing.assert_allclose(found, np.array(voxels) * 0.8 * 0.7 * 3 / 1000, rtol=1e-5)
    assert checked("dciodvfy", seg) == checked("dciodvfy", report) == []
    assert checked("dcentvfy", *ready.images, seg, report) == []


def test_the_database_keeps_copies_and_nothing_else_stays(ready):
    choose(ready, segmentation(ready))
    save(ready)
    assert names_in(ready.folder / "temporary") == []
    for path in saved(ready):
        instance = pydicom.dcmread(path).SOPInstanceUID
        assert ready.database.fileForInstance(str(instance)) == str(path)
    assert ready.panel.dicom.saver.client.pid is None
    ready.until(lambda: not descendants())
    assert shared_blocks() == []


def test_files_are_nobody_elses_while_they_wait_for_the_database(ready, monkeypatch):
    seen = []
    start = ready.panel.dicom._import.start

    def look(folder, done):
        seen.append((stat.S_IMODE(folder.stat().st_mode), names_in(folder)))
        start(folder, done)

    monkeypatch.setattr(ready.panel.dicom._import, "start", look)
    choose(ready, segmentation(ready))
    save(ready)
    assert seen == [(0o700, ["seg.dcm", "sr.dcm"])]


def test_an_oblique_series_under_a_transform_is_saved_where_its_images_lie(ready):
    slicer = ready.slicer
    orientation = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
    ready.volume = add_series(ready, patient="B", orientation=orientation)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_about(1, 15), (5, -7, 9)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    drawn = segmentation(ready)
    for node in (drawn, ready.volume):
        node.SetAndObserveTransformNodeID(transform.GetID())
    ready.parameters.volume = ready.volume
    choose(ready, drawn)
    save(ready)
    np.testing.assert_array_equal(masks_in(saved(ready)[0], ready.volume)["Liver"], body() == 100)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("肝肿瘤", "肝肿瘤"),
        ("<script>alert('1')</script> \"x\"", "<script>alert('1')</script> \"x\""),
        ("x" * 80, "x" * 64),
        ("left\\right", "left right"),
    ],
)
def test_any_name(ready, name, label):
    drawn = segmentation(ready, **{name: body() == 100})
    drawn.SetName(f"{name} of somebody")
    choose(ready, drawn)
    line = save(ready)
    seg, report = saved(ready)
    dataset = pydicom.dcmread(seg)
    assert dataset.SegmentSequence[0].SegmentLabel == label
    assert dataset.PatientName == "Müller^Jo"
    assert dataset.SeriesDescription in line
    assert len(dataset.SeriesDescription) <= 64
    assert pydicom.dcmread(report).SeriesDescription.endswith(", measurements")
    assert checked("dciodvfy", seg) == checked("dciodvfy", report) == []


def test_segments_that_overlap(ready):
    liver, tumour = body() >= 100, body() == 300
    choose(ready, segmentation(ready, Liver=liver, Tumour=tumour))
    save(ready)
    masks = masks_in(saved(ready)[0], ready.volume)
    np.testing.assert_array_equal(masks["Liver"], liver)
    np.testing.assert_array_equal(masks["Tumour"], tumour)


def test_files_in_a_folder_replace_none(ready):
    folder = ready.folder / "chosen"
    folder.mkdir()
    ready.panel.dicom._ask_folder = lambda _last: str(folder)
    drawn = segmentation(ready)
    drawn.SetName("a/b: corrected")
    choose(ready, drawn)
    line = save(ready, "dicomFolderButton")
    assert line == f"In {folder}: a_b_ corrected SEG.dcm and a_b_ corrected SR.dcm."
    (folder / "a_b_ corrected 2 SR.dcm").write_bytes(b"mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "a_b_ corrected 3 SEG.dcm" in save(ready, "dicomFolderButton")
    assert {name: (folder / name).read_bytes() for name in before} == before
    np.testing.assert_array_equal(
        masks_in(folder / "a_b_ corrected 3 SEG.dcm", ready.volume)["Liver"], body() == 100
    )
    assert not list(Path(ready.database.databaseDirectory).rglob("*.dcm"))
    ready.panel.dicom._ask_folder = lambda _last: ""
    ready.ui.dicomFolderButton.click()
    assert not ready.panel.dicom.busy
    ready.panel.dicom._ask_folder = lambda _last: str(folder / "gone")
    assert "gone does not exist; make it first" in save(ready, "dicomFolderButton")


def refusal(bench):
    """Why nothing can be saved: both buttons say so, and are disabled."""
    note = looked(bench)
    for button in (bench.ui.dicomSaveButton, bench.ui.dicomFolderButton):
        assert not button.enabled
        assert button.toolTip == note
    assert "\n" not in note
    return note


def test_without_dicom_images_the_buttons_say_why(ready):
    ready.parameters.target = None
    assert refusal(ready) == "Choose a segmentation with segments under Result."
    ready.parameters.target = segmentation(ready)
    assert "1 segment of CT Müller^Jo and their measurements" in looked(ready)
    ready.images[3].unlink()
    ready.ui.dicomSection.collapsed = True
    ready.ui.dicomSection.collapsed = False
    assert refusal(ready) == (
        f"CT Müller^Jo: the image {ready.images[3]} is not there any more; put it back or import"
        " the series again"
    )
    ready.volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    assert "its images are not in Slicer's DICOM database any more" in refusal(ready)
    ready.volume.RemoveAttribute("DICOM.instanceUIDs")
    assert "was not loaded from Slicer's DICOM database" in refusal(ready)


def test_images_that_go_after_they_were_looked_for(ready):
    choose(ready, segmentation(ready))
    shutil.rmtree(ready.images[0].parent)
    assert "000.dcm is not there any more" in save(ready)
    assert "is not there any more" in refusal(ready)


def test_without_a_database_files_can_still_be_saved_only_if_it_knows_the_images(
    ready, monkeypatch
):
    choose(ready, segmentation(ready))
    ready.database.closeDatabase()
    assert "Slicer's DICOM database is not open" in refusal(ready)
    monkeypatch.delattr(ready.slicer, "dicomDatabase")
    assert "Slicer's DICOM database is not open" in refusal(ready)


def test_a_read_only_database_takes_nothing_but_a_folder_does(ready, monkeypatch):
    choose(ready, segmentation(ready))
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    note = looked(ready)
    assert note.startswith(f"Slicer's DICOM database in {ready.database.databaseDirectory} is read")
    assert not ready.ui.dicomSaveButton.enabled
    assert ready.ui.dicomSaveButton.toolTip == note
    assert ready.ui.dicomFolderButton.enabled


def test_a_database_that_does_not_take_the_files_is_told(ready):
    choose(ready, segmentation(ready))
    ready.database._takes_files = False
    assert "did not take the files; is its disk full or read-only?" in save(ready)
    assert names_in(ready.folder / "temporary") == []


def test_a_tilted_or_uneven_series_is_refused(ready):
    slicer = ready.slicer
    drawn = segmentation(ready)
    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "acquisition")
    ready.volume.SetAndObserveTransformNodeID(warp.GetID())
    ready.parameters.target = drawn
    assert "its slices are tilted, uneven or warped (transform acquisition)" in refusal(ready)
    ready.volume = add_series(ready, patient="B", heights=UNEVEN)
    ready.parameters.volume = ready.volume
    shape = slicer.util.arrayFromVolume(ready.volume).shape
    drawn = segmentation(ready, Liver=np.ones(shape, bool))
    choose(ready, drawn)
    assert "planes were resampled while the series was read (gantry tilt" in save(ready)


def test_a_segmentation_on_a_finer_grid_is_refused(ready):
    slicer = ready.slicer
    finer = slicer.util.addVolumeFromArray(
        np.zeros((12, 128, 128), np.int16), np.diag([0.35, 0.4, 3.0, 1]), "finer"
    )
    drawn = add_segmentation(ready, finer, {"Liver": np.ones((12, 128, 128), bool)})
    role = drawn.GetReferenceImageGeometryReferenceRole()
    drawn.SetNodeReferenceID(role, ready.volume.GetID())
    choose(ready, drawn)
    assert "segment Liver: lies on another grid than the volume" in save(ready)
    assert "draw on the volume's own grid" in ready.ui.dicomResult.text


def test_a_cropped_volume_is_refused(ready):
    slicer = ready.slicer
    cropped = slicer.util.addVolumeFromArray(body()[:, :40, :40], np.eye(4), "cropped")
    cropped.SetAttribute("DICOM.instanceUIDs", ready.volume.GetAttribute("DICOM.instanceUIDs"))
    ready.volume = cropped
    choose(ready, segmentation(ready, Liver=body()[:, :40, :40] == 100))
    assert "planes of 40 x 40 pixels, its images 64 x 64: it was cropped" in save(ready)


def test_an_empty_segmentation_is_refused(ready):
    choose(ready, segmentation(ready, Liver=np.zeros(SHAPE, bool)))
    assert save(ready) == (
        "no segment has a voxel, so that there is nothing to save; segment or draw first"
    )
    assert not list(Path(ready.database.databaseDirectory).rglob("*.dcm"))


def test_stop_and_a_closed_scene_leave_nothing(ready):
    for end in (ready.ui.dicomSaveButton.click, ready.slicer.mrmlScene.Clear):
        choose(ready, segmentation(ready))
        ready.ui.dicomSaveButton.click()
        assert ready.ui.dicomSaveButton.text == "Stop"
        assert not ready.ui.dicomFolderButton.enabled
        ready.until(lambda: ready.panel.dicom.saver.progress is not None)
        end()
        ready.turn(50)
        assert not ready.panel.dicom.busy
        assert names_in(ready.folder / "temporary") == []
        ready.until(lambda: not descendants())
    assert shared_blocks() == []
    assert not list(Path(ready.database.databaseDirectory).rglob("*.dcm"))


@pytest.mark.parametrize("removed", [False, True])
def test_the_end_is_told_though_another_segmentation_is_chosen_meanwhile(ready, removed):
    """The line that says where the files are, or why there are none, went with the choice."""
    first, second = segmentation(ready), segmentation(ready)
    choose(ready, first)
    ready.ui.dicomSaveButton.click()
    if removed:
        ready.slicer.mrmlScene.RemoveNode(first)
    ready.parameters.target = second
    ready.panel.selection_changed()
    ready.until(lambda: not ready.panel.dicom.busy)
    ready.turn()
    said = ready.ui.dicomResult.text
    assert ("was removed from the scene" if removed else "patient Müller^Jo, study Abdomen") in said


@pytest.mark.parametrize("copying", [True, False])
def test_a_killed_worker_is_told(ready, monkeypatch, copying):
    from TumorSegModule.logic import worker_errand

    if copying:
        short_turns(monkeypatch, worker_errand)
    choose(ready, segmentation(ready))
    ready.ui.dicomSaveButton.click()
    client = ready.panel.dicom.saver.client
    ready.until(lambda: client.pid and copying == ready.panel.dicom.saver.working)
    client._process.kill()
    client._process.wait()
    ready.until(lambda: not ready.panel.dicom.busy)
    assert ready.ui.dicomResult.text == (
        "the process that writes DICOM ended unexpectedly; try again"
    )
    assert names_in(ready.folder / "temporary") == []


def test_a_series_name_is_not_taken_along_to_the_next_patient(ready):
    first = segmentation(ready)
    choose(ready, first)
    ready.ui.dicomSeriesEdit.text = "of the first"
    looked(ready)
    assert ready.ui.dicomSeriesEdit.text == "of the first"
    second = segmentation(ready)
    second.SetName("second")
    choose(ready, second)
    assert ready.ui.dicomSeriesEdit.text == ""
    assert ready.ui.dicomSeriesEdit.placeholderText == "TumorSeg second"


def test_folded_it_looks_for_nothing(ready, monkeypatch):
    ready.ui.dicomSection.collapsed = True
    monkeypatch.setattr(ready.panel.dicom._looking, "start", None)
    ready.parameters.target = segmentation(ready)
    ready.panel.selection_changed()


def test_slicers_own_export_is_told_who_drew_a_segment(ready):
    """Without these tags, its plug-in writes that a segment was drawn by hand."""
    assert not ready.run().failed
    target = ready.parameters.target
    assert said_to_draw(target) == [("AUTOMATIC", "tiny-ct")] * 2
    edit_by_hand(ready.slicer, target, ready.volume, np.s_[9:11, 40:44, 40:44], index=1)
    compared(ready)
    assert said_to_draw(target) == [("AUTOMATIC", "tiny-ct"), ("SEMIAUTOMATIC", "tiny-ct")]
    ready.panel.review.review.restore_segment("TumorSeg_abdomen_Liver_tumour")
    compared(ready)
    assert said_to_draw(target) == [("AUTOMATIC", "tiny-ct")] * 2
    edit_by_hand(ready.slicer, target, ready.volume, np.s_[9:11, 40:44, 40:44], index=1)
    ready.answers = ["add"]
    assert not ready.run().failed
    assert said_to_draw(target) == [("AUTOMATIC", "tiny-ct"), ("SEMIAUTOMATIC", "tiny-ct")]


def test_what_slicer_read_from_dicom_still_says_who_drew_it(ready):
    """Its plug-in keeps type and name of the algorithm as tags, and nothing else of who drew it."""
    target = segmentation(ready)
    segment = target.GetSegmentation().GetNthSegment(0)
    segment.SetTag("DICOM.SegmentAlgorithmType", "AUTOMATIC")
    segment.SetTag("DICOM.SegmentAlgorithmName", "brain-lgg-unet")
    ready.parameters.target = target
    ready.panel.selection_changed()

    def written():
        folder = Path(ready.database.databaseDirectory)
        before = set(folder.rglob("*.dcm"))
        save(ready)
        objects = map(pydicom.dcmread, set(folder.rglob("*.dcm")) - before)
        (one,) = next(one for one in objects if one.Modality == "SEG").SegmentSequence
        return one.SegmentAlgorithmType, one.SegmentAlgorithmName

    assert written() == ("AUTOMATIC", "brain-lgg-unet")
    logic = ready.slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(segment, logic.InProgress)  # as the Segment Editor does at a stroke
    assert written() == ("SEMIAUTOMATIC", "brain-lgg-unet")


def compared(bench):
    """Wait until the panel has compared what was edited with the model's mask."""
    bench.turn()
    bench.until(lambda: not bench.panel.review.busy)


def said_to_draw(target):
    """Who drew the segments, in the tags that Slicer's own export to DICOM reads."""
    content = target.GetSegmentation()
    segments = [content.GetNthSegment(n) for n in range(content.GetNumberOfSegments())]
    tags = ("DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName")
    return [tuple(tag_of(segment, tag) for tag in tags) for segment in segments]
