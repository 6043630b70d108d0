"""Exported cases are trained on, and what comes out of that is exported again."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_data import CONFIG, SHAPE, ball_case
from test_grid import rotation_about

from tumorseg_training.config import read_config
from tumorseg_training.datasets import select_cases
from tumorseg_training.patient_folds import folds_of
from tumorseg_training.readers import read_cases
from TumorSegLib.cli import main
from TumorSegLib.export.case import ExportCase, append_case
from TumorSegLib.export.identity import export_key
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import grid_of_image
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.named_mask import NamedMask

OBLIQUE = tuple(map(tuple, (rotation_about(0, 23) @ rotation_about(2, -11)).tolist()))
GRID = Grid(SHAPE, (1.5, 1.4, 3.0), (-131.25, 12.5, 101.125), OBLIQUE)

TWO_LABELS = """
[[model.labels]]
value = 2
name = "Core"
colour = [255, 0, 0]
category = {{ scheme = "SCT", value = "49755003", meaning = "Morphologically Altered Structure" }}
type = {{ scheme = "SCT", value = "4147007", meaning = "Mass" }}

[data]
"""


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """A config with two labels, and the data set of six studies of five patients."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    text = CONFIG.replace("out_channels = 1", "out_channels = 2")
    text = text.replace('name = "Ball"', 'name = "Ball"\nincludes = [2]')
    text = text.replace("[data]\n", TWO_LABELS.lstrip())
    config = tmp_path / "ball.toml"
    folder = tmp_path / "Dataset501_ball"
    config.write_text(text.format(data="elsewhere", cache=tmp_path / "cache", epochs=2))
    specification = read_config(config).model
    for seed, patient in enumerate(("A", "A", "B", "C", "D", None)):
        append_ball(folder, specification, seed, patient)
    return config, folder, specification


def append_ball(folder: Path, specification: ModelSpecification, seed: int, patient):
    image, ball = ball_case(seed)
    core = np.zeros_like(ball)
    core[:, ::2] = ball[:, ::2]
    masks = (
        NamedMask("x", "Core", core, 1, GRID.affine),
        NamedMask("y", "Ball", ball * 3, 3, GRID.affine),
    )
    case = ExportCase({"ct": Volume(image, GRID, name=f"patient {seed}")}, masks, patient=patient)
    return append_case(folder, case, specification, export_key())


def test_the_reader_keeps_a_patients_studies_together(exported):
    config, folder, _ = exported
    reading = read_config(config).reading
    cases = read_cases(folder, "nnunet", reading).cases
    assert len(cases) == 6
    assert len({case.patient for case in cases}) == 5
    for seed in range(4):
        for fold in folds_of(3, (case.patient for case in cases), seed).values():
            inside = [case for case in cases if case.patient in fold]
            assert len(inside) in (1, 2, 3)
            patients = [json.loads((folder / "cases" / f"{case.name}.json").read_text())["patient"]
                        for case in cases if case not in inside]  # fmt: skip
            assert not set(patients) & fold
    content = cases[0].decode()
    assert content.volumes["ct"].voxels.dtype == np.int16
    assert content.volumes["ct"].grid.geometry_equal(GRID, 1e-3)
    assert set(np.unique(content.labelmap)) == {0, 1, 2}
    chosen = select_cases(read_config(config, [f"data.folder={folder}"]))
    sides = [{case.patient for case in part} for part in (chosen.training, chosen.validation)]
    assert not sides[0] & sides[1]


def test_the_reader_leaves_out_what_is_not_a_whole_case(exported):
    config, folder, specification = exported
    image, ball = ball_case(70)
    both = NamedMask("y", "Ball", ball, 1, GRID.affine)
    masks = (both, replace(both, name="Core"))
    case = ExportCase({"ct": Volume(image, GRID)}, masks)
    apart = append_case(folder, case, specification, export_key(), one_file_a_segment=True)
    stray = folder / "imagesTr" / "case_000000000000_0000.nii.gz"
    stray.write_bytes(next(folder.glob("imagesTr/*.nii.gz")).read_bytes())
    found = read_cases(folder, "nnunet", read_config(config).reading)
    assert len(found.cases) == 6
    assert {item.name: item.reason for item in found.unusable} == {
        "case_000000000000": "dataset.json does not list it",
        apart.case: "its segments overlap, it has no label map",
    }


@pytest.mark.slow
def test_export_train_predict_import_export(exported, tmp_path, capsys):
    """Label values and geometry are the same at the end as at the beginning."""
    pytest.importorskip("slicer")
    config, folder, specification = exported
    options = [f"data.folder={folder}", "data.layout=nnunet", "data.folds=3"]
    run = tmp_path / "run"
    words = ["train", str(config), "--set", *options, "-o", str(run), "--accelerator", "cpu"]
    assert main(words) == 0
    first = append_ball(tmp_path / "Dataset502_ball", specification, 0, None)
    image = next((folder / "imagesTr").glob(f"{first.case}_0000.nii.gz"))
    predicted = {}
    for ending in (".nii.gz", ".mrb", ".seg.nrrd"):
        out = tmp_path / f"predicted{ending}"
        words = ["segment", str(image), "--model", str(run / "ball"), "-o", str(out)]
        assert main([*words, "--device", "cpu", "--quiet"]) == 0
        predicted[ending] = out
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(predicted[".nii.gz"])))
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert labels.any()
    for number, ending in enumerate((".mrb", ".seg.nrrd")):
        again = tmp_path / f"Dataset60{number}_ball"
        words = ["export", str(predicted[ending]), "--dataset", str(again), "--json"]
        if ending == ".seg.nrrd":
            words += ["--channel", f"ct={image}"]
        capsys.readouterr()
        assert main([*words, "--model", str(run / "ball")]) == 0
        (case,) = json.loads(capsys.readouterr().out)["cases"]
        assert case["case"] == first.case, "the same voxels are the same case"
        label = sitk.ReadImage(str(again / "labelsTr" / f"{first.case}.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(label), labels)
        for name in ("labelsTr", "imagesTr"):
            (here,) = (again / name).iterdir()
            there = sitk.ReadImage(str(folder / name / here.name))
            assert grid_of_image(sitk.ReadImage(str(here))).geometry_equal(
                grid_of_image(there), 1e-4
            )
            assert sitk.ReadImage(str(here)).GetPixelID() == there.GetPixelID()
        assert json.loads((again / "dataset.json").read_text())["labels"] == {
            "background": 0,
            "Ball": 1,
            "Core": 2,
        }


def test_monai_reads_images_and_labels_alike(exported):
    from monai.transforms import LoadImage

    _, folder, _ = exported
    load = LoadImage(image_only=False)
    for entry in json.loads((folder / "dataset.json").read_text())["dataset"].values():
        image, place = load(folder / entry["images"][0])
        label, place_of_label = load(folder / entry["label"])
        assert image.shape == label.shape
        np.testing.assert_allclose(place["affine"], place_of_label["affine"])
        to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ GRID.affine
        np.testing.assert_allclose(place["affine"], to_ras, atol=1e-3)
        assert set(np.unique(label.numpy())) == {0, 1, 2}


CHECK = """
import sys
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
if __name__ == "__main__":
    verify_dataset_integrity(sys.argv[1], 1)
"""


@pytest.mark.slow
def test_nnunet_accepts_the_data_set(exported, tmp_path):
    if importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("needs nnunetv2, which the project does not depend on")
    _, folder, _ = exported
    script = tmp_path / "check.py"
    script.write_text(CHECK)
    places = {f"nnUNet_{name}": str(tmp_path) for name in ("raw", "preprocessed", "results")}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify_dataset_integrity Done" in done.stdout
    assert "Error" not in done.stdout
    assert "mismatch" not in done.stdout
