"""What the page opens: files as the command reads them, and nothing that lies elsewhere."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from TumorSegLib.errors import TumorSegError

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
from dicom_writing import write_slices

from TumorSegWeb import opening


def nifti(path, value=7):
    sitk.WriteImage(
        sitk.GetImageFromArray(value + np.arange(60, dtype=np.int16).reshape(3, 4, 5)), str(path)
    )
    return path


def test_names_in_an_upload_lead_nowhere_else(tmp_path):
    folder = tmp_path / "upload"
    folder.mkdir()
    names = ["../../escaped.nii", "/etc/passwd", "..\\..\\windows.nii", "..", "", "a/IM1", "b/IM1"]
    paths = opening.kept([{"name": name, "content": b"x"} for name in names], folder)
    assert {path.parent for path in paths} == {folder}
    assert len(set(paths)) == len(names)
    assert sorted(tmp_path.rglob("*")) == sorted([folder, *paths])


def test_an_upload_in_pieces_is_whole(tmp_path):
    (path,) = opening.kept([{"name": "a.nii", "content": [b"ab", b"cd"]}], tmp_path)
    assert path.read_bytes() == b"abcd"


def test_a_scene_that_names_a_file_elsewhere_is_refused(tmp_path):
    secret = tmp_path / "patient.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 2, 2), np.uint8)), str(secret))
    scene = tmp_path / "scene.mrb"
    text = (
        '<MRML version="Volume7"><VolumeArchetypeStorage id="vtkMRMLVolumeArchetypeStorageNode1"'
        f' fileName="{secret}"/></MRML>'
    )
    with zipfile.ZipFile(scene, "w") as archive:
        archive.writestr("scene/scene.mrml", text)
    with pytest.raises(TumorSegError, match="names a file outside the scene"):
        opening.look_into([scene], tmp_path / "work")


def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path):
    archive = tmp_path / "series.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("../escaped.nii", b"x")
    with pytest.raises(TumorSegError):
        opening.look_into([archive], tmp_path / "work")
    assert not (tmp_path / "escaped.nii").exists()


def test_files_folders_and_archives_are_read_in_their_order(tmp_path):
    named = [nifti(tmp_path / "b.nii.gz", 1), nifti(tmp_path / "a.nii.gz", 2)]
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(nifti(tmp_path / "c.nii.gz", 3), "folder/c.nii.gz")
    found = opening.look_into([*named, packed], tmp_path / "work")
    assert [int(volume.voxels.flat[0]) for volume in found.volumes] == [1, 2, 3]


def test_dicom_is_read_as_files_folder_and_archive(tmp_path):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    series = tmp_path / "series"
    write_slices(series, voxels, [(0, 0, 2 * z) for z in range(3)])
    files = sorted(series.iterdir())
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in files:
            archive.write(file, f"export/{file.name}")
    for paths in (files, [series], [packed]):
        work = tmp_path / f"work {len(paths)} {paths[0].name}"
        (volume,) = opening.look_into(paths, work).volumes
        np.testing.assert_array_equal(volume.voxels, voxels)
        assert volume.modality == "CT"


def test_what_is_no_image_is_refused_in_a_line(tmp_path):
    page = tmp_path / "report.html"
    page.write_text("<html>")
    with pytest.raises(TumorSegError) as refused:
        opening.look_into([page], tmp_path / "work")
    assert "\n" not in str(refused.value)


def test_nothing_is_refused_in_a_line(tmp_path):
    with pytest.raises(TumorSegError, match="expected NIfTI"):
        opening.look_into([], tmp_path / "work")


def test_ct_is_shown_in_the_window_for_soft_tissue():
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    node.CreateDefaultDisplayNodes()
    opening.show_soft_tissue(node)
    display = node.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (-160, 240)
    assert not display.GetAutoWindowLevel()


@pytest.mark.slow
def test_the_phantoms_are_those_of_the_demonstration():
    names = [volume.name for make in opening.phantoms().values() for volume in make()]
    assert names == ["phantom flair", "phantom t1", "phantom t1c", "phantom abdomen"]
