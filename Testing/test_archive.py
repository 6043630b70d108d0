"""Archives and scenes from elsewhere write, and read, nowhere but in their own folder."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from results import names_in, result_of, two_structures
from tiny_models import ct_specification

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.slicer_io.scene_files import names_elsewhere
from TumorSegLib.slicer_io.scene_reading import read_scene
from TumorSegLib.support import archive
from TumorSegLib.support.archive import ArchiveError, opened_archive, unpack
from TumorSegLib.writing import write_segmentation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    pytest.importorskip("slicer")
    path = tmp_path_factory.mktemp("scene") / "case.mrb"
    voxels = np.random.default_rng(0).integers(-1000, 900, (7, 20, 24)).astype(np.int16)
    write_segmentation(result_of(two_structures(), ct_specification(), voxels=voxels), path)
    return path


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, some levels below the test's."""
    folder = tmp_path / "a" / "b" / "temporary"
    folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def altered(scene, path, *, change=lambda name, content: content, more=()):
    """Copy a scene, with changed files and more of them."""
    with zipfile.ZipFile(scene) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, change(entry.filename, old.read(entry)))
        for name, mode, content in more:
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.external_attr = name, mode << 16  # as a hostile program does
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return path


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if not path.is_dir())


def refused(path, temporary, words, error=InputError):
    before = files_below(temporary.parent.parent.parent)
    with pytest.raises(error, match=words) as caught:
        read_scene(path)
    assert "\n" not in str(caught.value)
    assert files_below(temporary.parent.parent.parent) == before
    assert names_in(temporary) == []


@pytest.mark.parametrize("kind", ["up", "inner", "absolute", "backslash", "drive"])
def test_scenes_that_would_write_elsewhere_are_refused(scene, tmp_path, temporary, kind):
    name = {
        "up": "../../evil.txt",
        "inner": "segmentation/../../../evil.txt",
        "absolute": str(tmp_path / "evil.txt"),
        "backslash": "..\\..\\evil.txt",
        "drive": "C:/evil.txt",
    }[kind]
    path = altered(scene, tmp_path / "evil.mrb", more=[(name, stat.S_IFREG | 0o644, "evil")])
    refused(path, temporary, "points out of the archive")


@pytest.mark.parametrize(
    ("kind", "words"), [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "no file")]
)
def test_links_and_pipes_in_scenes_are_refused(scene, tmp_path, temporary, kind, words):
    more = [("segmentation/Data/link", kind | 0o644, "/etc/passwd")]
    refused(altered(scene, tmp_path / "evil.mrb", more=more), temporary, words)


def test_an_entry_whose_own_header_has_another_name_is_refused(scene, tmp_path, temporary):
    more = [("segmentation/00evil.txt", stat.S_IFREG | 0o644, "evil")]
    path = altered(scene, tmp_path / "evil.mrb", more=more)
    content = path.read_bytes()
    assert content.count(b"segmentation/00evil.txt") == 2
    path.write_bytes(content.replace(b"segmentation/00evil.txt", b"../../../../../evil.txt", 1))
    refused(path, temporary, "File name in directory")


@pytest.mark.parametrize(
    "name",
    ["../../secret.nrrd", "/tmp/secret.nrrd", "Data/..%2F..%2Fsecret.nrrd", "C:\\secret.nrrd"],
)
@pytest.mark.parametrize("attribute", ["fileName", "fileListMember0"])
def test_scenes_that_name_files_elsewhere_are_refused(scene, tmp_path, temporary, name, attribute):
    def change(entry, content):
        if not entry.endswith(".mrml"):
            return content
        made = re.sub(r'fileName="[^"]*"', lambda _: f'{attribute}="{name}"', content.decode())
        assert name in made
        return made.encode()

    path = altered(scene, tmp_path / "evil.mrb", change=change)
    refused(path, temporary, "names a file outside the scene")


def test_scenes_that_name_a_place_on_a_network_are_refused(scene, tmp_path, temporary):
    def change(entry, content):
        if entry.endswith(".mrml"):
            content = content.replace(b' fileName="', b' uri="https://example.org/a" fileName="')
        return content

    path = altered(scene, tmp_path / "evil.mrb", change=change)
    refused(path, temporary, "outside the scene, https:")


@pytest.mark.parametrize("place", ["/tmp/secret.raw", "../../secret.raw", "LIST\n/tmp/secret.raw"])
def test_images_of_a_scene_that_name_files_elsewhere_are_refused(scene, tmp_path, temporary, place):
    def change(entry, content):
        if entry.endswith("volume.nrrd"):
            header, _, voxels = content.partition(b"\n\n")
            return header + b"\ndata file: " + place.encode() + b"\n\n" + voxels
        return content

    path = altered(scene, tmp_path / "evil.mrb", change=change)
    refused(path, temporary, "names a file outside the scene")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mhd", "NDims = 3\n  ElementDataFile = /tmp/secret.raw\n"),
        ("a.mhd", "NDims = 3\n\tElementDataFile : ../secret.raw\n"),
        ("a.mha", "NDims = 3\n\nElementDataFile=LIST\n/tmp/secret.raw\n"),
        ("a.mhd", f"Comment = {'x' * (1 << 20)}\nElementDataFile = /tmp/secret.raw\n"),
        ("a.nhdr", "NRRD0004\ncontent: a\rdata file: /tmp/secret.raw\n\n"),
        ("a.nrrd", f"NRRD0004\n#{'x' * (1 << 20)}\ndata file: /tmp/secret.raw\n\n"),
    ],
)
def test_headers_that_lead_elsewhere_are_seen_however_they_are_spelt(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert names_elsewhere(path) is not None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mha", f"NDims = 3\nElementDataFile = LOCAL\n{'x' * (1 << 21)}"),
        ("a.mhd", "NDims = 3\nElementDataFile = a.raw\n"),
        ("a.nhdr", "NRRD0004\ndata file: LIST\na.raw\nb.raw\n"),
        ("a.nrrd", f"NRRD0004\ntype: short\n\n{'x' * (1 << 21)}"),
        ("a.nii", "data file: /tmp/secret.raw"),
    ],
)
def test_headers_with_their_own_voxels_are_taken(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert names_elsewhere(path) is None


def test_what_grows_a_hundredfold_is_refused_before_it_is_unpacked(
    scene, tmp_path, temporary, monkeypatch
):
    monkeypatch.setattr(archive, "SMALL_BYTES", 1 << 20)
    more = [("segmentation/Data/zeros", stat.S_IFREG | 0o644, bytes(30 << 20))]
    path = altered(scene, tmp_path / "bomb.mrb", more=more)
    refused(path, temporary, "would become 31[0-9]* unpacked")


def test_too_many_entries_are_refused(tmp_path):
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(11):
            made.writestr(f"{number}/a", "")
    words = "has 11 entries, expected at most 10"
    with pytest.raises(ArchiveError, match=words), opened_archive(path, 10):
        pytest.fail("was opened")


def test_all_files_of_a_sound_archive_are_unpacked(tmp_path):
    path = tmp_path / "sound.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/", "")
        made.writestr("a/b/c.txt", "c" * 100_000)
        made.writestr("d..txt", "d")
    with opened_archive(path, 10) as found:
        unpack(found, tmp_path / "out")
    assert files_below(tmp_path / "out") == ["c.txt", "d..txt"]
    assert (tmp_path / "out/a/b/c.txt").read_text() == "c" * 100_000


def test_a_full_temporary_folder_is_told_as_what_it_is(scene, temporary, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("TumorSegLib.support.archive.copy_entry", full)
    words = f"cannot be unpacked in {temporary}: No space left on device; free space there"
    refused(scene, temporary, re.escape(words), OutputError)


def test_a_folder_to_unpack_in_that_cannot_be_made_is_told(scene, temporary, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    words = f"cannot be unpacked in {temporary}: No space left on device; free space there"
    refused(scene, temporary, re.escape(words), OutputError)


def test_that_there_is_no_temporary_folder_at_all_is_told(scene, temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    words = "cannot be unpacked in a temporary folder: No usable temporary directory found in []"
    refused(scene, temporary, re.escape(words), OutputError)


def test_a_sound_scene_is_read_and_leaves_nothing(scene, temporary):
    (case,) = read_scene(scene)
    assert [mask.name for mask in case.masks] == ["Liver", "Liver tumour"]
    assert names_in(temporary) == []
    assert Path.cwd().is_dir()


DAMAGED_FIELDS = (
    (b"encoding: gzip", b"encoding: nothing"),
    (b"type: unsigned char", b"type: " + b"A" * 1000),
    (b"dimension: 3", b"dimension: -1"),
    (b"sizes:", b"sizes: 1"),
)


@pytest.mark.parametrize(("old", "new"), DAMAGED_FIELDS)
def test_scenes_whose_images_end_their_reader_are_refused(scene, tmp_path, temporary, old, new):
    def change(name, content):
        return content.replace(old, new) if name.endswith(".seg.nrrd") else content

    damaged = altered(scene, tmp_path / "damaged.mrb", change=change)
    refused(damaged, temporary, "damaged.mrb: cannot be read as a scene of 3D Slicer")


def test_a_reader_of_scenes_that_a_signal_ends_is_told(scene, temporary, monkeypatch):
    monkeypatch.setattr("TumorSegLib.slicer_io.scene_reading.run_reader", lambda *_: -11)
    refused(scene, temporary, r"whose reader ended \(SIGSEGV\); save it again")


def test_what_lies_where_a_scene_is_read_does_not_run(scene, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert len(read_scene(scene)) == 1


@pytest.mark.parametrize(
    "description",
    [b"", b"<MRML>", b"no XML", b'<?xml version="1.0" encoding="TF-8"?><MRML/>', b"<a>&#0;</a>"],
)
def test_descriptions_that_are_no_xml_are_refused(scene, tmp_path, temporary, description):
    def change(name, content):
        return description if name.endswith(".mrml") else content

    damaged = altered(scene, tmp_path / "damaged.mrb", change=change)
    refused(damaged, temporary, "cannot be read as a scene of 3D Slicer, no XML")


def test_a_segmentation_whose_volume_is_gone_is_told(scene, tmp_path, temporary):
    def change(name, content):
        return content.replace(b"referenceImageGeometryRef:", b"another:")

    damaged = altered(scene, tmp_path / "damaged.mrb", change=change)
    refused(damaged, temporary, "the volume of the segmentation .* is not in the scene; choose it")


def test_names_that_are_no_utf8_are_read(scene, tmp_path):
    """As programs with another code page wrote them."""

    def change(name, content):
        return content.replace(b"Name:=Liver\n", b"Name:=Leb\xe9r\n")

    damaged = altered(scene, tmp_path / "latin.mrb", change=change)
    (case,) = read_scene(damaged)
    assert [mask.name for mask in case.masks] == ["Leb\xe9r", "Liver tumour"]
