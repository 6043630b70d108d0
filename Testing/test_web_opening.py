"""What the page opens: files as the command reads them, and nothing that lies elsewhere."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from TumorSegLib.errors import OutputError, TumorSegError

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
        State(),
        lambda files: taken.append([(file["name"], b"".join(file["content"])) for file in files]),
    )


def sent(*names):
    files = [{"name": name, "content": name.encode()} for name in names]
    return files, [""] * len(names), [False] * len(names)


def test_uploads_of_a_page_do_not_mix(uploads, taken):
    with uploads.of_a_page():
        uploads.part(1, *sent("a1"))
        uploads.part(2, *sent("b1"))
        uploads.end(2, 1, 2, "")
        uploads.part(1, *sent("a2"))
        uploads.end(1, 2, 4, "")
    assert taken == [[("b1", b"b1")], [("a1", b"a1"), ("a2", b"a2")]]


def test_a_large_file_comes_in_pieces(uploads, taken):
    with uploads.of_a_page():
        uploads.part(1, *sent("a1", "b"))
        uploads.part(1, [{"name": "b", "content": [b"2", b"3"]}], [""], [True])
        assert uploads.under_way
        uploads.part(1, [*sent("b")[0], *sent("c1")[0]], ["", ""], [True, False])
        uploads.end(1, 3, 8, "")
        unread = {"name": "d", "content": None}
        for files in (sent("d")[0], [unread], sent("d")[0]):
            uploads.part(2, files, [""], [files != sent("d")[0]])
        uploads.end(2, 1, 3, "")
    assert taken == [[("a1", b"a1"), ("b", b"b23b"), ("c1", b"c1")]]
    assert uploads._state.ts_problem.startswith("d: cannot be read by the browser")


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


def test_an_upload_is_under_way_until_all_of_it_came_or_its_page_is_gone(uploads):
    async def page(leaves):
        with uploads.of_a_page():
            uploads.part(1, *sent("a"))
            await leaves.wait()

    async def pages():
        first, second = asyncio.Event(), asyncio.Event()
        one, other = asyncio.ensure_future(page(first)), asyncio.ensure_future(page(second))
        await asyncio.sleep(0)
        first.set()
        await one
        assert uploads.under_way  # the other's
        second.set()
        await other

    with uploads.of_a_page():
        assert not uploads.under_way
        uploads.part(1, *sent("a"))
        assert uploads.under_way
        uploads.end(1, 1, 1, "")
        assert not uploads.under_way
        asyncio.run(pages())
        assert not uploads.under_way


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
        uploads.part(1, [{"name": "a file", "content": None, "error": "not found"}], [""], [False])
        uploads.end(1, 1, 4096, "")
    said = uploads._state.ts_problem
    assert said.startswith("a file: cannot be read by the browser")
    assert said.endswith("if it was changed meanwhile, open it again")
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


NRRD = """NRRD0004
type: uchar
dimension: 3
space: left-posterior-superior
sizes: 8 8 8
space directions: (1,0,0) (0,1,0) (0,0,1)
space origin: (0,0,0)
encoding: raw
data file: {}

"""
META_IMAGE = """ObjectType = Image
NDims = 3
DimSize = 8 8 8
ElementType = MET_UCHAR
ElementSpacing = 1 1 1
ElementByteOrderMSB = False
ElementDataFile = {}
"""
HEADERS = [("v.nhdr", NRRD), ("v.nrrd", NRRD), ("v.mhd", META_IMAGE), ("v.mha", META_IMAGE)]


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.raw"
    path.write_bytes(bytes(range(256)) * 2)
    return path


def uploaded(*paths):
    return [{"name": path.name, "content": path.read_bytes()} for path in paths]


@pytest.mark.parametrize(("name", "header"), HEADERS)
@pytest.mark.parametrize("way", ["{}", "../../secret.raw", "LIST\n{}"])
def test_uploads_do_not_lead_to_other_files(tmp_path, work, secret, name, header, way):
    path = tmp_path / name
    path.write_text(header.format(way.format(secret)))
    with pytest.raises(TumorSegError, match=f"^{name}: names a file outside its folder"):
        opening.look_into_upload(uploaded(path), work)


@pytest.mark.parametrize(("name", "header"), HEADERS)
def test_archives_do_not_lead_to_other_files(tmp_path, work, secret, name, header):
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"folder/{name}", header.format(secret))
    with pytest.raises(TumorSegError, match=f"^packed.zip/folder/{name}: names a file outside"):
        opening.look_into_upload(uploaded(packed), work)


def test_links_do_not_lead_out_of_an_upload(work, secret):
    (work / "voxels.raw").symlink_to(secret)
    header = work / "v.nhdr"
    header.write_text(NRRD.format("voxels.raw"))
    with pytest.raises(TumorSegError, match="names a file outside its folder"):
        opening.look_into([header], work, within=work)


@pytest.mark.parametrize(("name", "header"), HEADERS)
def test_voxels_beside_their_header_and_files_that_are_named_are_read(
    tmp_path, work, secret, name, header
):
    path = tmp_path / name
    path.write_text(header.format("secret.raw"))
    (volume,) = opening.look_into_upload(uploaded(path, secret), work).volumes
    path.write_text(header.format(secret))
    (named,) = opening.look_into([path], work).volumes
    assert volume.voxels.tobytes() == named.voxels.tobytes() == secret.read_bytes()


PLACES = [(0, 0, 2 * z) for z in range(3)]


def write_study(folder, *, together):
    """Write two series that can be read and a localizer; return their files."""
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    files = []
    for number, (description, kind) in enumerate(
        (("Arterial", ["ORIGINAL"]), ("Venous", ["ORIGINAL"]), ("Scout", ["X", "Y", "LOCALIZER"]))
    ):
        files += write_slices(
            folder if together else folder / description,
            voxels + number,
            PLACES,
            series=f"1.2.{number}",
            names=[f"{number}{z}.dcm" for z in range(3)],
            SeriesDescription=description,
            ImageType=kind,
        )
    return files


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("way", ["files", "folder", "archive"])
def test_all_series_are_opened_or_told_of(tmp_path, work, together, way):
    study = tmp_path / "study"
    files = write_study(study, together=together)
    if way == "files":
        found = opening.look_into_upload(uploaded(*files), work)
    elif way == "folder":
        found = opening.look_into([study], work)
    else:
        packed = tmp_path / "packed.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(study))
        found = opening.look_into_upload(uploaded(packed), work)
    assert found.names == ["Arterial", "Venous"]
    assert [int(volume.voxels.flat[0]) for volume in found.volumes] == [0, 1]
    (note,) = found.notes
    assert note.startswith("Scout: the series is a localizer")


def test_what_cannot_be_read_beside_a_volume_is_told(tmp_path, work):
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"no image")
    series = write_slices(
        tmp_path / "series",
        np.arange(60, dtype=np.int16).reshape(3, 4, 5),
        PLACES,
        SeriesDescription="Head",
    )
    found = opening.look_into_upload(uploaded(bad, *series, nifti(tmp_path / "good.nii")), work)
    assert sorted(found.names) == ["Head", "good"]
    (note,) = found.notes
    assert note.startswith("bad.nii.gz: ")
    with pytest.raises(TumorSegError, match="^bad.nii.gz: "):
        opening.look_into_upload(uploaded(bad), tmp_path)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"SeriesDescription": "Portal venous", "SeriesNumber": 4}, "Portal venous"),
        ({"SeriesDescription": " ", "SeriesNumber": 4}, "CT, series 4"),
        ({"SeriesDescription": "DOE liver", "PatientName": "Doe^Jane"}, "CT"),
        ({"SeriesDescription": "liver 4711", "PatientID": "4711"}, "CT"),
    ],
)
def test_dicom_is_called_what_it_says_but_never_after_the_patient(tmp_path, work, headers, name):
    files = write_slices(
        tmp_path / "series", np.arange(60, dtype=np.int16).reshape(3, 4, 5), PLACES, **headers
    )
    assert opening.look_into_upload(uploaded(*files), work).names == [name]


def test_equal_names_get_a_number(host, tmp_path, work):
    found = opening.look_into([nifti(tmp_path / "a.nii"), nifti(tmp_path / "a.nii.gz")], work)
    names = [node.GetName() for _again in range(2) for node in opening.add_to_scene(found)]
    host.mrmlScene.Clear()
    assert names == ["a", "a (2)", "a (3)", "a (4)"]


def test_what_the_reader_assumed_is_told(tmp_path, work):
    slices = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    files = write_slices(
        tmp_path / "series",
        slices[[0, 0, 1, 2]],
        [PLACES[0], *PLACES],
        SeriesDescription="Head",
    )
    found = opening.look_into_upload(uploaded(*files), work)
    assert found.notes == ["Head: left out a second copy of 1 slice"]


def test_why_no_dicom_can_be_saved_is_kept(tmp_path, work):
    files = write_slices(
        tmp_path / "series",
        np.arange(60, dtype=np.int16).reshape(3, 4, 5),
        PLACES,
        SeriesDescription="Head",
        StudyInstanceUID=None,
    )
    pytest.importorskip("highdicom")
    found = opening.look_into_upload(uploaded(nifti(tmp_path / "a.nii"), *files), work)
    plain, source = found.sources
    assert plain == opening.NOT_DICOM
    assert "StudyInstanceUID" in source
    assert str(work) not in source


@pytest.mark.parametrize("name", ["a.zip", "a.mrb"])
def test_what_is_said_of_archives_names_them(tmp_path, work, name):
    path = tmp_path / name
    path.write_bytes(b"no archive")
    with pytest.raises(TumorSegError, match=f"^{name}: ") as refused:
        opening.look_into_upload(uploaded(path), work)
    assert str(work) not in str(refused.value)


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


@pytest.mark.parametrize("name", ["a.nii", "a.zip"])
def test_a_full_disk_is_told_in_a_line_that_names_no_place(tmp_path, monkeypatch, name):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.nii", b"x")

    def full(path, *_given, **_named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    if name == "a.nii":
        monkeypatch.setattr(Path, "write_bytes", full)
    else:
        monkeypatch.setattr(opening, "unpack", lambda _archive, folder: full(folder))
    with pytest.raises(OutputError, match=r"\(No space left on device\)") as told:
        opening.look_into_upload([{"name": name, "content": content.getvalue()}], tmp_path)
    assert str(tmp_path) not in str(told.value)


def test_where_no_temporary_folder_can_be_made_nothing_else_ends(tmp_path, monkeypatch):
    pytest.importorskip("trame_server", reason="needs the extra web")
    from TumorSegWeb.opener import Opener

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    state = State()
    asyncio.run(Opener(state, pytest.fail).open(pytest.fail))
    assert "cannot write to its folder for temporary files" in state.ts_problem
    assert not state.ts_opening
