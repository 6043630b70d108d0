from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import GRID, refused
from tiny_models import brain_specification, write_blind_detector, write_tiny_bundle
from waiting import HANG_SECONDS

from TumorSegLib import cli
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.in_plane import FieldOfView
from TumorSegLib.image.itk import grid_of_image, to_sitk

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_segment_with_sequences(place, capsys):
    words = ["segment", "flair.nii.gz", "--channel", "t1=t1.nii.gz", "--channel=t1c=t1c.nii.gz"]
    words += ["-o", "out.seg.nrrd", "--report", "pictures", "--json", "--precision", "fp32"]
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["model"] == "tiny-brain"
    assert (report["device"], report["precision"]) == ("cpu", "fp32")
    assert {"loading", "preparation", "network", "labels"} <= report["seconds"].keys()
    assert report["warnings"] == []
    assert [figure["index"] for figure in report["slices"]] == list(range(6))
    (segment,) = report["segments"]
    image = sitk.ReadImage("out.seg.nrrd")
    labelmap = sitk.GetArrayFromImage(image)
    assert segment["name"] == "Tumour"
    assert segment["volume_ml"] == pytest.approx(np.count_nonzero(labelmap) * GRID.voxel_ml)
    assert grid_of_image(image).geometry_equal(GRID)
    assert list(Path("pictures").glob("*.png"))


@pytest.mark.slow
def test_a_run_without_a_report_loads_nothing_that_only_reports_or_dicom_need(place):
    words = ["segment", "flair.nii.gz", "-o", "out.nii.gz", "--json"]
    code = (
        "import sys, torch, scipy.ndimage; before = set(sys.modules);"  # SciPy 1.11 loads csgraph
        f" sys.path.insert(0, {str(ROOT)!r}); from TumorSegLib import cli;"
        f" assert cli.main({words!r}) == 0;"
        " print(*{'TumorSegLib.report', 'pydicom', 'scipy.sparse.csgraph', 'PIL', 'jinja2'}"
        " & set(sys.modules) - before, sep=',', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stderr.strip().splitlines()[-1:]
    assert loaded in ([], ["jinja2"])  # which PyTorch loads


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_label_maps_lie_on_the_volumes_grid(place, ending):
    assert cli.main(["segment", "flair.nii.gz", "-o", f"out{ending}", "--quiet"]) == 0
    image = sitk.ReadImage(f"out{ending}")
    assert image.GetPixelID() == sitk.sitkUInt8
    assert grid_of_image(image).geometry_equal(GRID, 1e-4)
    assert set(np.unique(sitk.GetArrayFromImage(image))) == {0, 1}


def test_one_run_writes_several_kinds_of_files(place, capsys):
    files = ["out.seg.nrrd", "out.nii.gz", "out.mrb"]
    words = ["segment", "flair.nii.gz", *(f"-o{file}" for file in files), "--json"]
    assert cli.main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["output"], printed["outputs"]) == (files[0], files)
    assert all(Path(file).is_file() for file in files)
    maps = [sitk.GetArrayFromImage(sitk.ReadImage(file)) for file in files[:2]]
    np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-oout.nii.gz", "-o./out.nii.gz"], "is named twice"),
        (["-oout.nii.gz", "-oflair.nii.gz"], "flair.nii.gz: is an input"),
        (["-oout.nii.gz", "-onone/out.mrb"], "the folder none does not exist"),
        (["-oout.nii.gz", "-oout.jpg"], "expected a file name that ends in"),
    ],
)
def test_each_of_several_files_is_looked_at_before_the_run(place, capsys, words, message):
    refused(capsys, ["segment", "flair.nii.gz", *words], message)


def test_default_output_and_plain_words(place, capsys):
    assert cli.main(["segment", "flair.nii.gz"]) == 0
    captured = capsys.readouterr()
    assert Path("flair.seg.nrrd").is_file()
    assert captured.out == ""
    assert "warning: channel t1: not given, replaced by flair" in captured.err
    assert "Tumour" in captured.err
    assert "wrote flair.seg.nrrd" in captured.err


def test_quiet_says_nothing(place, capsys):
    assert cli.main(["segment", "flair.nii.gz", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_detect_and_models(place, capsys):
    assert cli.main(["detect", "flair.nii.gz", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    slices = said["slices"]
    assert said["structures"] == ["Tumour"]
    assert [row["index"] for row in slices] == list(range(6))
    assert all(0 <= row["probability"] <= 1 for row in slices)
    assert cli.main(["detect", "flair.nii.gz"]) == 0
    assert "slice  probability of Tumour (slice 0 is" in capsys.readouterr().out
    assert cli.main(["models", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["id"] == "tiny-brain"
    assert cli.main(["models"]) == 0
    assert "tiny-brain" in capsys.readouterr().out


def test_ids_of_models_are_whole_however_narrow_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    assert cli.main(["models"]) == 0
    said = capsys.readouterr().out
    assert {"brain-lgg-detector", "brain-lgg-ensemble", "liver-ct-munet"} <= set(said.split())
    (row,) = [line for line in said.splitlines() if "liver-ct-unet" in line]
    assert "CT segmentation" in row
    assert re.search(r"Liver Dice 0\.\d\d, Liver tumour Dice 0\.\d\d \(\d+ patients", row)


def test_no_model_at_all_is_an_error(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "own"))
    monkeypatch.setattr("TumorSegLib.model.catalogue.SHIPPED", tmp_path / "shipped")
    assert cli.main(["models"]) == 2
    assert "no models in" in capsys.readouterr().err


def test_unicode_and_spaces(place):
    folder = Path("Ärzte und Kranke — 脳")
    folder.mkdir()
    Path("flair.nii.gz").rename(folder / "flair aufnahme é.nii.gz")
    out = folder / "ergebnis ü.seg.nrrd"
    assert (
        cli.main(["segment", str(folder / "flair aufnahme é.nii.gz"), "-o", str(out), "--quiet"])
        == 0
    )
    assert out.is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.nii.gz"], "absent.nii.gz"),
        ([""], "an argument is empty"),
        (["flair.nii.gz", "--model", "nothing"], "model nothing: not found; models here are: tiny"),
        (["flair.nii.gz", "--device", "cuda:7"], "device cuda:7: not available"),
        (["flair.nii.gz", "--device", "toaster"], "device: found 'toaster'"),
        (["flair.nii.gz", "--precision", "fp8"], "precision: found 'fp8'"),
        (["flair.nii.gz", "--channel", "t2=t1.nii.gz"], "takes these further channels: t1, t1c"),
        (["flair.nii.gz", "--channel", "t1"], "expected NAME=PATH"),
        (["flair.nii.gz", "--channel", "t1=absent.nii.gz"], "absent.nii.gz"),
        (["flair.nii.gz", "-o", "out.jpg"], "out.jpg"),
        (["flair.nii.gz", "-o", "absent/folder/out.nrrd"], "absent/folder"),
        (["flair.nii.gz", "-o", "flair.nii.gz/out.nrrd"], "flair.nii.gz"),
        (["models"], "models"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(place, capsys, words, message):
    refused(capsys, ["segment", *words], message)


def test_no_model_for_the_modality(place, capsys):
    voxels = np.random.default_rng(0).integers(-1024, 900, GRID.shape).astype(np.int16)
    voxels[:3] = -1000
    sitk.WriteImage(to_sitk(voxels, GRID), "ct.nrrd")
    refused(
        capsys, ["segment", "ct.nrrd"], "no model for segmentation on CT; models here are: tiny"
    )


def command(*words, **variables):
    return subprocess.Popen(
        [sys.executable, "-m", "TumorSegLib.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what was read ahead would be missing in `communicate`
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )


def test_status_in_a_process_of_its_own(place):
    process = command("segment", "absent.nii.gz")
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, out, len(err.strip().splitlines())) == (2, b"", 1)


@pytest.mark.slow
def test_interruption_leaves_nothing(place):
    specification = brain_specification(
        id="slow", input=replace(brain_specification().input, in_plane=FieldOfView(1024))
    )
    write_tiny_bundle(place / "models", specification)
    large = np.random.default_rng(0).integers(0, 900, (600, 64, 64)).astype(np.int16)
    sitk.WriteImage(to_sitk(large, Grid(large.shape, (1, 1, 1))), "large.nrrd")
    # where the tests run in the background, interrupts are ignored, and children inherit that
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    words = ("segment", "large.nrrd", "-o", "out.nrrd", "--model", "slow")
    process = command(*words, FORCE_COLOR="1")  # the bar is shown as on a terminal
    signal.signal(signal.SIGINT, ours)
    shown = b""
    while not re.search(rb"[1-9]\d*/600", shown):  # minutes of work lie ahead
        shown += (read := process.stderr.read(4096))
        assert read, shown
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130
    assert err.strip().endswith(b"tumorseg: interrupted")
    assert sorted(path.name for path in Path.cwd().iterdir()) == [
        "flair.nii.gz",
        "large.nrrd",
        "models",
        "t1.nii.gz",
        "t1c.nii.gz",
    ]


def test_version(capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith("tumorseg ")


def test_a_gate_that_is_missing_or_no_detector_is_refused(place, capsys):
    words = ["segment", "flair.nii.gz", "-o", "out.nii.gz", "--gate"]
    refused(capsys, [*words, "nobody"], "model nobody: not found; models here are: tiny-brain")
    refused(capsys, [*words, "tiny-brain"], "tiny-brain: segments, a detector is needed")


def test_only_slices_that_a_detector_finds(place, capsys):
    write_blind_detector(place / "models")
    words = ["segment", "flair.nii.gz", "-o", "out.nii.gz", "--json", "--overwrite"]
    words += ["--gate", "blind"]
    assert cli.main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["segments"][0]["voxels"] == 0
    assert "6 of 6 slices were not segmented, as blind found nothing there" in report["warnings"]
    refused(capsys, [*words, "--gate-threshold", "0"], "threshold 0: expected a number between")


def test_a_threshold_without_its_detector_is_refused(place, capsys):
    refused(
        capsys,
        ["segment", "flair.nii.gz", "--gate-threshold", "0.1"],
        "--gate-threshold: has no effect without --gate",
    )


def test_no_model_is_chosen_by_a_guess(place, capsys):
    Path("flair.nii.gz").rename("case 7.nii.gz")
    refused(capsys, ["segment", "case 7.nii.gz"], "case 7: says neither CT nor MRI")
    refused(capsys, ["detect", "case 7.nii.gz"], "name one (--model)")
    named = ["segment", "case 7.nii.gz", "--model", "tiny-brain", "--json"]
    assert cli.main(named) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["modality"], said["modality_known_by"]) == ("MR", "guess")


def test_no_model_is_chosen_against_what_the_name_says(place, capsys):
    refused(capsys, ["segment", "t1.nii.gz"], "its name says T1, expected FLAIR; no model is")
    assert cli.main(["segment", "t1.nii.gz", "--model", "tiny-brain", "--quiet"]) == 0


def test_what_is_odd_is_said_before_the_run(place, capsys, monkeypatch):
    from TumorSegLib.inference.engine import Engine

    def fail(*_):
        raise RuntimeError("CUDA out of memory")  # as soon as anything is computed

    monkeypatch.setattr(Engine, "probabilities", fail)
    with suppress(RuntimeError):
        cli.main(["segment", "t1.nii.gz", "--model", "tiny-brain", "-o", "out.nii.gz"])
    assert "its name says T1, expected FLAIR; do not rely" in capsys.readouterr().err


def test_a_series_is_named_behind_its_folder(place, capsys):
    pytest.importorskip("pydicom")
    from dicom_writing import write_slices

    for number in (1, 2, 3):
        voxels = np.random.default_rng(number).integers(0, 900, (6, 40, 48)).astype(np.int16)
        where = [(0.0, 0.0, 5.0 * index) for index in range(6)]
        names = [f"{number}-{index}.dcm" for index in range(6)]
        write_slices(
            Path("study"), voxels, where, series=f"1.2.{number}", names=names, Modality="MR"
        )
    words = ["segment", "study", "--series", "1.2.1", "-o", "out.nii.gz", "--json", "--overwrite"]
    words += ["--model", "tiny-brain"]
    refused(capsys, [*words, "--channel", "t1=study"], "name it as FOLDER#UID")
    refused(capsys, [*words, "--channel", "t1=study#1.2.9"], "found no series 1.2.9")
    assert cli.main([*words, "--channel", "t1=study#1.2.2"]) == 0
    apart = json.loads(capsys.readouterr().out)
    assert not any("t1:" in line for line in apart["warnings"])
    assert cli.main(["segment", "study#1.2.1", *words[4:], "--channel", "t1=study#1.2.2"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"] == apart["segments"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_full_standard_output_is_told(place):
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "TumorSegLib.cli", "models", "--json"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert run.returncode == 2
    assert run.stderr == (
        "tumorseg: standard output cannot be written to (No space left on device)\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
@pytest.mark.parametrize("words", [["models", "--json"], ["models"], ["--version"]])
def test_a_reader_that_leaves_is_no_error(place, words):
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(
        [sys.executable, "-m", "TumorSegLib.cli", *words],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(write)
    assert (run.returncode, run.stderr) == (0, "")


def test_too_little_memory_is_told(place, capsys, monkeypatch):
    def greedy(*_):
        raise MemoryError

    monkeypatch.setattr("TumorSegLib.reading.read_image_file", greedy)
    refused(capsys, ["segment", "flair.nii.gz"], "flair.nii.gz: needs more memory than is free")
