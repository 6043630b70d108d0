"""What the page opens: files as the command reads them, and nothing that lies elsewhere."""

from __future__ import annotations

import asyncio
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from TumorSegLib.errors import TumorSegError

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
from dicom_writing import write_slices

from TumorSegWeb import opening
from TumorSegWeb.uploads import Uploads


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


def test_what_shared_a_folder_with_an_image_stays_with_it(tmp_path):
    names = ["v.mhd", "v.raw"]
    files = [
        {"name": name, "content": f"{name} of {folder}".encode(), "folder": folder}
        for folder in ("one/", "two/")
        for name in names
    ]
    series = [
        {"name": "IM1", "content": b"", "folder": folder} for folder in ("three/", "../../four/")
    ]
    paths = opening.kept(files + series, tmp_path)
    assert [path.name for path in paths[:4]] == names * 2
    for header, voxels in (paths[:2], paths[2:4]):
        assert header.parent == voxels.parent
        assert header.read_text().split()[-1] == voxels.read_text().split()[-1]
    assert [path.parent for path in paths[4:]] == [tmp_path] * 2


class State(SimpleNamespace):
    """What pages show."""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def client_only(self, *_names):
        pass


@pytest.fixture
def taken():
    return []


@pytest.fixture
def uploads(taken):
    return Uploads(
        State(), lambda files: taken.append([(file["name"], file["content"]) for file in files])
    )


def sent(*names):
    return [{"name": name, "content": name.encode()} for name in names], [""] * len(names)


def test_uploads_of_a_page_do_not_mix(uploads, taken):
    with uploads.of_a_page():
        uploads.part(1, *sent("a1"))
        uploads.part(2, *sent("b1"))
        uploads.end(2, 1, 2, "")
        uploads.part(1, *sent("a2"))
        uploads.end(1, 2, 4, "")
    assert taken == [[("b1", b"b1")], [("a1", b"a1"), ("a2", b"a2")]]


def test_uploads_of_two_pages_do_not_mix_and_go_with_their_page(uploads, taken):
    async def page(names, go_on):
        with uploads.of_a_page():
            for name in names:
                uploads.part(1, *sent(name))
                await asyncio.sleep(0)
            if go_on:
                uploads.end(1, len(names), 2 * len(names), "")

    async def pages():
        await asyncio.gather(page(["a1", "a2"], False), page(["b1", "b2"], True))
        await page(["c1"], True)

    asyncio.run(pages())
    assert taken == [[("b1", b"b1"), ("b2", b"b2")], [("c1", b"c1")]]


@pytest.mark.parametrize(
    ("count", "size", "problem", "said"),
    [
        (2, 4, "", "Not all of 2 files arrived"),
        (1, 3, "", "Not all of 1 file arrived"),
        (1, 2, "Error: broken", "Error: broken"),
    ],
)
def test_an_upload_that_is_not_whole_is_refused_in_a_line(
    uploads, taken, count, size, problem, said
):
    with uploads.of_a_page():
        uploads.part(1, *sent("a1"))
        uploads.end(1, count, size, problem)
        assert said in uploads._state.ts_problem
        uploads.part(1, *sent("b1"))
        uploads.end(1, 1, 2, "")
    assert taken == [[("b1", b"b1")]]


def test_a_file_that_the_browser_cannot_read_is_named(uploads, taken):
    with uploads.of_a_page():
        uploads.part(1, [{"name": "a folder", "content": None, "error": "not found"}], [""])
        uploads.end(1, 1, 4096, "")
    assert uploads._state.ts_problem.startswith("a folder: cannot be read by the browser")
    assert taken == []


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
