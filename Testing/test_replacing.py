"""Nothing that is there is lost: not an input, and no result unless that is asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import GRID, refused
from results import result_of, two_structures
from synthetic_data import write_nnunet
from tiny_models import brain_specification, ct_specification, write_tiny_bundle

from TumorSegLib import cli
from TumorSegLib.errors import OutputError
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.phantom import brain_phantom
from TumorSegLib.writing import write_segmentation

pytestmark = pytest.mark.slow

FLAIR = ("segment", "flair.nii.gz")


@pytest.mark.parametrize("asked", [(), ("--overwrite",)])
@pytest.mark.parametrize(
    ("words", "output"),
    [
        (FLAIR, "flair.nii.gz"),
        (FLAIR, "folder/../flair.nii.gz"),
        (FLAIR, "link.nii.gz"),
        (FLAIR, "hard.nii.gz"),
        (("segment", "link.nii.gz"), "flair.nii.gz"),
        ((*FLAIR, "--channel", "t1=t1.nii.gz"), "t1.nii.gz"),
        ((*FLAIR, "--channel=t1=t1.nii.gz", "--channel=t1c=t1c.nii.gz"), "t1c.nii.gz"),
    ],
)
def test_an_input_is_never_replaced(place, capsys, words, output, asked):
    Path("folder").mkdir()
    Path("link.nii.gz").symlink_to("flair.nii.gz")
    os.link("flair.nii.gz", "hard.nii.gz")
    before = {path: path.read_bytes() for path in Path.cwd().glob("*.nii.gz")}
    refused(capsys, [*words, "-o", output, *asked], f"{output}: is an input")
    assert {path: path.read_bytes() for path in Path.cwd().glob("*.nii.gz")} == before
    assert Path("link.nii.gz").is_symlink()


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (FLAIR, "flair.seg.nrrd"),
        ((*FLAIR, "-o", "out.nii.gz"), "out.nii.gz"),
        ((*FLAIR, "-o", "out.nii.gz", "--report", "pictures"), "pictures/report.png"),
    ],
)
def test_a_result_is_replaced_only_if_asked(place, capsys, words, there):
    Path(there).parent.mkdir(exist_ok=True)
    Path(there).write_text("corrected by hand")
    refused(capsys, words, f"{there}: is there already; name another output with -o, or replace")
    assert Path(there).read_text() == "corrected by hand"
    assert cli.main([*words, "--quiet", "--overwrite"]) == 0
    assert Path(there).read_bytes() != b"corrected by hand"


def test_the_second_patients_result_does_not_replace_the_firsts(place, capsys):
    for patient in ("one", "two"):
        Path(patient).mkdir()
        os.link("flair.nii.gz", f"{patient}/flair.nii.gz")
    assert cli.main(["segment", "one/flair.nii.gz", "--quiet"]) == 0
    refused(capsys, ["segment", "two/flair.nii.gz", "--quiet"], "flair.seg.nrrd: is there already")


def test_a_dead_link_counts_as_a_result(tmp_path):
    path = tmp_path / "out.nrrd"
    path.symlink_to(tmp_path / "elsewhere.nrrd")
    result = result_of(two_structures() % 2, brain_specification())
    with pytest.raises(OutputError, match="is there already"):
        write_segmentation(result, path)
    write_segmentation(result, path, overwrite=True)
    assert path.is_file()
    assert not path.is_symlink()


def test_the_demo_says_what_next_and_replaces_nothing(place, capsys, monkeypatch):
    """On a small phantom: what it ends with can be opened in a browser and in 3D Slicer."""
    volumes, tumour = brain_phantom(shape=(6, 48, 48), spacing=(5.0, 5.0, 20.0))
    monkeypatch.setattr("TumorSegLib.phantom.brain_phantom", lambda: (volumes, tumour))
    words = ["demo", "-o", "demo"]
    assert cli.main(words) == 0
    kept = {path: path.stat().st_mtime_ns for path in Path("demo").rglob("*.nii.gz")}
    size, browser, slicer, further = capsys.readouterr().err.splitlines()[-4:]
    assert size == f"the made-up tumour has {np.count_nonzero(tumour) * 0.5:.1f} ml"
    assert "<html" in urlopen(browser.removeprefix("in a browser: ")).read().decode()
    assert slicer == (
        "in 3D Slicer: demo/scene.mrb, or demo/segmentation.seg.nrrd with demo/phantom-flair.nii.gz"
    )
    assert Path("demo/scene.mrb").is_file()
    assert Path("demo/segmentation.seg.nrrd").is_file()
    assert further == "next: tumorseg segment VOLUME -o result.seg.nrrd"
    assert cli.main(words) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main([*words, "--overwrite"]) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("demo").rglob("*.nii.gz")} == kept


@pytest.mark.parametrize(
    "name", ["scan [pre]", "study[/old] 1", "[red]", ":warning:", "a [bold", "\\[x]"]
)
def test_names_are_printed_as_they_are(place, capsys, name):
    path = Path(f"{name}.nii.gz")
    path.parent.mkdir(exist_ok=True, parents=True)
    plain = np.random.default_rng(0).integers(0, 2, GRID.shape).astype(np.int16)
    sitk.WriteImage(to_sitk(plain, GRID), "plain.nii.gz")
    Path("plain.nii.gz").rename(path)
    out = f"{name}.seg.nrrd"
    assert cli.main(["segment", str(path), "-o", out, "--model", "tiny-brain"]) == 0
    said = capsys.readouterr().err
    assert f"wrote {out}" in said.splitlines()
    assert f"warning: {path.name.removesuffix('.nii.gz')}: seems to be a label map" in said
    assert cli.main(["detect", str(path), "--model", "tiny-brain"]) == 0
    said = capsys.readouterr().err
    assert f"warning: {path.name.removesuffix('.nii.gz')}: seems to be a label map" in said


def test_labels_and_models_are_printed_as_they_are(place, capsys):
    path = Path("models/tiny-brain/model.json")
    content = json.loads(path.read_text())
    content["labels"][0]["name"] = "Tumour [/b] [core]"
    path.write_text(json.dumps(content))
    assert cli.main(["models"]) == 0
    assert "Tumour [/b] [core]" in capsys.readouterr().out
    assert cli.main(list(FLAIR)) == 0
    assert "Tumour [/b] [core]" in capsys.readouterr().err


def test_an_evaluation_replaces_neither_data_nor_results(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lightning", reason="evaluate needs the train extra")
    monkeypatch.chdir(tmp_path)
    folder = write_nnunet(tmp_path / "Dataset501_balls", 1)
    write_tiny_bundle(tmp_path / "models", ct_specification())
    words = ["evaluate", str(folder), "--layout", "nnunet", "--device", "cpu"]
    words += ["--model", str(tmp_path / "models" / "tiny-ct")]
    before = (folder / "dataset.json").read_bytes()
    assert cli.main([*words, "-o", str(folder / "dataset.json"), "--overwrite"]) == 2
    assert "dataset.json: is an input" in capsys.readouterr().err
    assert (folder / "dataset.json").read_bytes() == before
    Path("results.html").write_text("kept")
    assert cli.main(words) == 2
    assert "results.html: is there already" in capsys.readouterr().err
    assert cli.main([*words, "--overwrite"]) == 0
    assert Path("results.html").read_text() != "kept"
