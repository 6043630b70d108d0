"""A disk that fills up, fails or goes away under a cohort ends the run, and is no case's fault."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from bright_models import write_ct_model
from fault_scenarios import write_volume
from made_up_patient import write_patient
from needed_packages import needs

from TumorSegLib import cli
from TumorSegLib.cohort import ray_run, thumbnail
from TumorSegLib.cohort.case_run import CaseRunner
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.support.disk import fault_of_disk, why_gone
from TumorSegLib.writing import dicom_output
from TumorSegLib.writing.image_writing import write_image_atomically

"""Looked for without an import, at which Ray learns once how others are to prove themselves."""
pytestmark = [pytest.mark.slow, needs("ray", "pyarrow")]

CODES = ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE")


def in_turn(tasks, results, models, settings, work, deliver):
    """What Ray's workers do, in this process."""
    runner = CaseRunner(results, models, settings, threads=1)
    for task in tasks:
        deliver(runner.run(task))


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a model and three images, and the current one."""
    write_ct_model(tmp_path / "models", "tiny-ct")
    (tmp_path / "in").mkdir()
    for seed, name in enumerate("abc"):
        write_volume(tmp_path / "in" / f"{name}.nii.gz", seed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ray_run, "run_tasks", in_turn)
    return tmp_path


def run(*words, given="in"):
    words = ("cohort", given, "-o", "out", "--model", "models/tiny-ct", "--device", "cpu", *words)
    return cli.main([*words, "--json"])


def ending_at(case, monkeypatch, end):
    """Have `end` be called when the thumbnail of a case is saved."""
    made = thumbnail.thumbnail
    cases = iter("abc")

    class Ending:
        def __init__(self, picture, name):
            self._picture, self._name = picture, name

        def save(self, path):
            if self._name == case:
                end()
            self._picture.save(path)

    monkeypatch.setattr(thumbnail, "thumbnail", lambda result: Ending(made(result), next(cases)))


def failing(name):
    def fail():
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    return fail


@pytest.mark.parametrize("name", CODES)
def test_a_run_ends_in_one_line_and_is_gone_on_with(desk, monkeypatch, capsys, name):
    with monkeypatch.context() as patch:
        ending_at("b", patch, failing(name))
        assert run() == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"tumorseg: out: cannot be written: {os.strerror(getattr(errno, name))}")
    assert "run the same command again" in line
    assert sorted(path.name for path in (desk / "out" / "cases").iterdir()) == ["a"]
    assert not list((desk / "out" / "failed").iterdir())
    assert run() == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["unchanged"], said["segmented"]) == (["a"], ["b", "c"])


def test_a_folder_of_results_that_is_gone_ends_the_run(desk, monkeypatch, capsys):
    ending_at("b", monkeypatch, lambda: shutil.rmtree(desk / "out"))
    assert run() == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "tumorseg: out: cannot be written" in line
    assert "bring the folder back" in line
    assert not (desk / "out" / "failed").exists()


@pytest.mark.parametrize(
    ("left", "why"),
    [("", "a folder that was named is not there"), ("in", "nothing is there")],
    ids=["nothing", "an empty folder"],
)
def test_inputs_whose_disk_is_taken_away_end_the_run(desk, monkeypatch, capsys, left, why):
    def take_away():
        (desk / "in").rename(desk / "away")
        if left:
            (desk / left).mkdir()

    with monkeypatch.context() as patch:
        ending_at("a", patch, take_away)
        assert run() == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"tumorseg: b: its images cannot be read any more: {why} any more")
    assert "run the same command again" in line
    assert not list((desk / "out" / "failed").iterdir())
    if left:
        (desk / left).rmdir()
    (desk / "away").rename(desk / "in")
    assert run() == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["unchanged"], said["segmented"]) == (["a"], ["b", "c"])


def test_an_image_that_is_gone_alone_is_a_failed_case(desk, monkeypatch, capsys):
    ending_at("a", monkeypatch, lambda: (desk / "in" / "b.nii.gz").unlink())
    assert run() == 2
    said = json.loads(capsys.readouterr().out)
    assert [one["case"] for one in said["failed"]] == ["b"]
    assert said["segmented"] == ["a", "c"]


def test_a_network_share_that_fails_is_gone(tmp_path, monkeypatch):
    def stat(self, **_):
        raise OSError(errno.ESTALE, "Stale file handle")

    assert why_gone(tmp_path / "none") == "nothing is there any more"
    (tmp_path / "other").touch()
    assert why_gone(tmp_path / "none") == ""
    with monkeypatch.context() as patch:  # as where a drive has no letter any more
        patch.setattr(type(tmp_path), "is_dir", lambda _: False)
        assert why_gone(tmp_path / "none") == "nothing is there any more"
    monkeypatch.setattr(type(tmp_path), "stat", stat)
    assert why_gone(tmp_path / "other") == "Stale file handle"


def test_a_failure_that_cannot_be_noted_ends_the_run(desk, monkeypatch, capsys):
    (desk / "in" / "a.nii.gz").write_text("no image")

    def write_whole(path, content):
        raise OutputError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr("TumorSegLib.cohort.case_folder.write_whole", write_whole)
    assert run() == 2
    assert "run the same command again" in capsys.readouterr().err.splitlines()[-1]
    assert not list((desk / "out" / "cases").iterdir())


def test_a_case_is_not_done_without_the_dicom_that_a_full_disk_did_not_take(
    desk, monkeypatch, capsys
):
    pytest.importorskip("highdicom")
    write_patient(desk / "scan")

    def write_dicom(result, images, path, report):
        try:
            failing("ENOSPC")()
        except OSError as error:
            raise OutputError(f"{path}: cannot be written") from error

    with monkeypatch.context() as patch:
        patch.setattr(dicom_output, "write_dicom", write_dicom)
        assert run("--dicom-seg", given="scan") == 2
    assert not list((desk / "out" / "cases").iterdir())
    assert run("--dicom-seg", given="scan") == 0


def test_a_writer_that_keeps_its_reason_to_itself_is_asked_again(tmp_path, monkeypatch):
    image = sitk.GetImageFromArray(np.zeros((4, 4, 4), np.uint8))
    assert write_image_atomically(image, tmp_path / "whole.nrrd")
    monkeypatch.setattr(os, "fsync", lambda _: failing("ENOSPC")())
    with pytest.raises(OSError, match="No space left"):
        write_image_atomically(image, tmp_path / "image.of-no-format")


def test_what_fails_while_an_image_is_read_is_its_own_fault():
    error = InputError("a.nii.gz: cannot be read (Input/output error)")
    error.__cause__ = OSError(errno.EIO, os.strerror(errno.EIO))
    assert fault_of_disk(error) == ""
