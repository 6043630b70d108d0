"""The files that the page saves, from the scene as it stands."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import threading
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from bright_models import LIVER, LIVER_TUMOUR, write_model
from dicom_writing import write_slices

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.model.bundle import read_bundle

SHAPE = (3, 40, 50)
IDENTITY = {
    "FrameOfReferenceUID": "1.2.4",
    "PatientName": "DOE^JANE",
    "PatientID": "4711",
    "StudyID": "1",
    "StudyDate": "",
    "StudyTime": "",
    "AccessionNumber": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "ReferringPhysicianName": "",
}


@pytest.fixture
def case(host, tmp_path):
    """A volume from DICOM, its images, and a segmentation with a liver and a tumour."""
    from TumorSegLib.slicer_io.geometry import placement_of
    from TumorSegModule.logic.new_segmentation import new_segmentation
    from TumorSegModule.logic.segments import REPLACE, write_segments
    from TumorSegWeb import opening

    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    write_slices(tmp_path / "series", voxels, [(0, 0, 5 * z) for z in range(3)], **IDENTITY)
    found = opening.look_into([tmp_path / "series"], tmp_path / "work")
    (volume,) = opening.add_to_scene(found)
    bundle = read_bundle(write_model(tmp_path, "liver", labels=[LIVER, LIVER_TUMOUR]))
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 10:20, 10:30], labels[1, 12:15, 12:15] = 1, 2
    target = new_segmentation(volume)
    placement = placement_of(volume)
    write_segments(
        target,
        bundle.specification,
        labels,
        (1, 2, 10, 20, 10, 30),
        placement.ijk_to(target),
        mode=REPLACE,
    )
    yield target, found.sources[0], labels
    host.mrmlScene.Clear()


def test_sequences_of_another_patient_are_not_taken(host):
    from TumorSegLib.image.grid import Grid
    from TumorSegLib.image.volume import Volume
    from TumorSegModule.logic.volumes import suggest_sequences
    from TumorSegWeb import opening

    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    volume = Volume(voxels, Grid(SHAPE, (1.0, 1.0, 1.0)), modality="MR")
    nodes = opening.add_to_scene(
        opening.Found(
            [volume] * 4,
            ["FLAIR", "t1", "t1 post", "t2"],
            subjects=[{"PatientID": "1"}, {"PatientID": "2"}, {"PatientID": "1"}, {}],
        )
    )
    found = suggest_sequences(nodes[0], ("t1", "t1c", "t2"), nodes)
    assert {name: node.GetName() for name, node in found.items()} == {"t1c": "t1 post", "t2": "t2"}
    host.mrmlScene.Clear()


def array_of(content, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_a_label_map_has_the_volumes_grid_and_the_models_values(case, tmp_path):
    from TumorSegWeb.downloads import label_map_file

    target, _source, labels = case
    np.testing.assert_array_equal(array_of(label_map_file(target), "a.nii.gz", tmp_path), labels)


def test_a_segment_of_ones_own_gets_a_value_that_is_free(host, case, tmp_path):
    from TumorSegLib.slicer_io.geometry import placement_of
    from TumorSegLib.slicer_io.images import image_array, new_image
    from TumorSegLib.slicer_io.nodes import volume_of
    from TumorSegLib.slicer_io.segments import SOURCE
    from TumorSegWeb.downloads import label_map_file, values_of

    target, _source, labels = case
    layer = new_image((2, 3, 5, 6, 5, 6), placement_of(volume_of(target)).ijk_to(target))
    image_array(layer)[0][:] = 1
    own = host.vtkSegment()
    own.SetLabelValue(1)  # as the liver's, in another layer
    own.AddRepresentation(SOURCE, layer)
    target.GetSegmentation().AddSegment(own, "own")
    assert values_of(target) == [1, 2, 3]
    labels[2, 5, 5] = 3
    np.testing.assert_array_equal(array_of(label_map_file(target), "a.nii.gz", tmp_path), labels)


def test_segments_are_saved_with_names_and_terms(case, tmp_path):
    from TumorSegLib.slicer_io.segmentation_file import read_segments
    from TumorSegWeb.downloads import segmentation_file

    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(segmentation_file(case[0]))
    assert [segment.name for segment in read_segments(path)] == ["Liver", "Liver tumour"]


def test_a_dicom_segmentation_refers_to_the_volumes_images(case):
    pytest.importorskip("highdicom")
    from TumorSegWeb.downloads import dicom_content, dicom_file

    target, source, labels = case
    content = dicom_content(target, source)
    saved = pydicom.dcmread(io.BytesIO(dicom_file(content, source)))
    assert saved.Modality == "SEG"
    assert saved.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3"
    assert [segment.SegmentLabel for segment in saved.SegmentSequence] == ["Liver", "Liver tumour"]
    assert np.count_nonzero(saved.pixel_array) == np.count_nonzero(labels)


def test_a_dicom_report_has_the_measurements_of_the_segmentation_beside_it(case):
    pytest.importorskip("highdicom")
    from TumorSegWeb.downloads import dicom_content, dicom_files

    target, source, _labels = case
    files = dicom_files(dicom_content(target, source), source)
    segmentation, report = (pydicom.dcmread(io.BytesIO(content)) for content in files.values())
    assert list(files) == ["SEG.dcm", "SR.dcm"]
    assert (segmentation.Modality, report.Modality) == ("SEG", "SR")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    referred = {
        image.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    }
    assert segmentation.SOPInstanceUID in referred
    assert "Liver tumour" in str(report)


def test_a_volume_from_dicom_is_under_its_patient(host, case):
    from TumorSegLib.slicer_io.nodes import patient_of, volume_of
    from TumorSegModule.logic.report_facts import known_of

    volume = volume_of(case[0])
    known = known_of(volume)
    assert (known["name"], known["id"]) == ("DOE^JANE", "4711")
    hierarchy = host.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.mrmlScene)
    assert patient_of(volume, hierarchy) == "4711"


def test_volumes_of_one_patient_are_under_one_patient(host):
    from TumorSegModule.logic.subject import put_under_patient

    said = {"PatientID": "4711", "PatientName": "DOE^JANE", "StudyDate": "20260101"}
    nodes = [host.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode") for _ in range(3)]
    for node, one in zip(nodes, (said, {**said, "StudyDate": "20260202"}, {}), strict=True):
        put_under_patient(node, one)
    hierarchy = host.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.mrmlScene)
    patients = [
        hierarchy.GetItemAncestorAtLevel(hierarchy.GetItemByDataNode(node), "Patient")
        for node in nodes
    ]
    assert patients[0] == patients[1] != 0
    assert patients[2] == 0
    host.mrmlScene.Clear()


def test_what_cannot_be_saved_is_said_in_a_line(host, case):
    from TumorSegLib.slicer_io.nodes import volume_of
    from TumorSegModule.logic.new_segmentation import new_segmentation
    from TumorSegWeb import downloads

    empty = new_segmentation(volume_of(case[0]))
    for save in (downloads.segmentation_file, downloads.label_map_file):
        with pytest.raises(InputError, match="no segments yet"):
            save(empty)
    with pytest.raises(InputError, match="nothing is measured"):
        downloads.lesions_file(None)
    with pytest.raises(OutputError, match="not read from DICOM"):
        downloads.dicom_content(case[0], None)


def test_nothing_of_a_saved_file_stays(case, tmp_path, monkeypatch):
    from TumorSegWeb.downloads import label_map_file, segmentation_file

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    segmentation_file(case[0])
    label_map_file(case[0])
    assert list(folder.iterdir()) == []


@pytest.fixture
def bundle_folder(host, tmp_path, monkeypatch):
    """Where MRML gathers a scene's nodes; temporary folders lie elsewhere."""
    folder = tmp_path / "cache"
    for made in (folder, tmp_path / "temporary"):
        made.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    cache = host.mrmlScene.GetCacheManager()
    before = cache.GetRemoteCacheDirectory()
    cache.SetRemoteCacheDirectory(str(folder))
    yield folder
    assert cache.GetRemoteCacheDirectory() == str(folder)
    cache.SetRemoteCacheDirectory(before)


def test_a_scene_that_finds_no_room_leaves_nothing(host, case, tmp_path, bundle_folder):
    from TumorSegWeb.downloads import scene_file

    scene = host.mrmlScene

    def nowhere(path):
        return scene.WriteToMRB(str(path.parent / "absent" / path.name))

    with pytest.raises(OutputError, match="scene.mrb: cannot be written completely"):
        scene_file(scene, nowhere)
    assert not [*bundle_folder.glob("_tmp*"), *(tmp_path / "temporary").iterdir()]
    content = scene_file(scene, lambda path: scene.WriteToMRB(str(path)))
    assert any(name.endswith(".mrml") for name in zipfile.ZipFile(io.BytesIO(content)).namelist())


def test_a_full_disk_is_told_of_a_label_map_in_a_line(case, monkeypatch):
    from TumorSegWeb import downloads

    def full(image, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloads, "write_image_atomically", full)
    with pytest.raises(OutputError, match=r"result.nii.gz: cannot be written: No space left"):
        downloads.label_map_file(case[0])


@pytest.mark.parametrize("kind", ["segmentation_file", "label_map_file", "dicom_file"])
def test_a_full_disk_is_told_of_what_is_saved(case, tmp_path, monkeypatch, kind):
    from TumorSegWeb import downloads

    target, source, _labels = case
    given = (target,)
    if kind == "dicom_file":
        pytest.importorskip("highdicom")
        given = (downloads.dicom_content(target, source), source)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match="folder for temporary files"):
        getattr(downloads, kind)(*given)


def test_what_is_made_in_a_thread_can_be_stopped(host):
    from TumorSegWeb.errands import InThread

    in_thread, goes_on = InThread(), threading.Event()

    def slow():
        goes_on.wait()
        raise OutputError("nobody hears of it")

    async def stopped():
        making = asyncio.ensure_future(in_thread.make(slow))
        await asyncio.sleep(0)
        in_thread.stop()
        assert await making is None
        goes_on.set()
        return await in_thread.make(lambda: b"the next")

    assert asyncio.run(stopped()) == b"the next"
    with pytest.raises(OutputError, match="nobody hears"):
        asyncio.run(in_thread.make(slow))
