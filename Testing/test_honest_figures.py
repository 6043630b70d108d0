"""That figures are of patients whom no choice has seen, and that those of others are told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("lightning")  # what measures is not installed with what segments

from bright_models import LIVER, LIVER_TUMOUR, write_ct_model
from PIL import Image
from synthetic_data import write_kaggle, write_nnunet
from tiny_models import (
    brain_specification,
    ct_specification,
    write_blind_detector,
    write_tiny_bundle,
)

from tumorseg_training.case import reader_options_for
from tumorseg_training.case_figures import segmented, without_others
from tumorseg_training.config import Card
from tumorseg_training.device_training.brain_selection import (
    VOXEL_ML,
    Setting,
    all_dice,
    nested,
    settings,
)
from tumorseg_training.device_training.brain_strata import contrast, strata
from tumorseg_training.evaluation import evaluate as measure
from tumorseg_training.evaluation_page import evaluation_page
from tumorseg_training.model_card import model_card
from tumorseg_training.readers import read_cases
from tumorseg_training.summary import evaluation_record, summary
from TumorSegLib.cli import main
from TumorSegLib.inference.postprocessing import postprocess
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import write_bundle
from TumorSegLib.model.evaluation import Evaluation
from TumorSegLib.model.postprocessing import RemoveSmall
from TumorSegLib.model.provenance import Provenance
from TumorSegLib.support.schema import from_dict

pytestmark = pytest.mark.slow


def test_a_fold_takes_no_part_in_what_is_chosen_for_it():
    folds = np.repeat([0, 1, 2], 4)
    dice = np.full((3, 2, 12), 0.5)
    dice[0] += 0.1
    dice[1][:, folds == 0] = 1.0  # the best of all, by fold 0 alone
    dice[2][:, folds != 0] = 0.65
    outer, chosen, shipped = nested(dice, folds)
    assert chosen == [2, 1, 1]
    assert shipped == 1
    assert (outer[:, folds == 0] == 0.5).all()
    assert (outer[:, folds != 0] == 0.5).all()


@pytest.mark.parametrize(
    "setting",
    [
        Setting(0.5),
        Setting(0.3, millilitres=20 * VOXEL_ML),
        Setting(0.4, share=0.3),
        Setting(0.6, millilitres=8 * VOXEL_ML, share=0.1),
    ],
)
def test_a_setting_measures_what_the_post_processing_leaves(setting):
    random = np.random.default_rng(3)
    probabilities = random.uniform(0, 0.35, (6, 32, 32)).astype(np.float32)
    for place, size in ((2, 3), (9, 4), (20, 9)):
        probabilities[1:4, place : place + size, place : place + size] += 0.4
    mask = np.zeros(probabilities.shape, np.bool_)
    mask[1:5, 18:28, 18:28] = True
    found = (probabilities >= setting.threshold).astype(np.uint8)
    postprocess(found, [RemoveSmall(1, setting.millilitres, setting.share)], voxel_ml=VOXEL_ML)
    expected = 2 * (found.astype(bool) & mask).sum() / (found.sum() + mask.sum())
    tried = [setting, *settings()]
    assert all_dice(probabilities, mask, tried)[0] == pytest.approx(expected)


def test_a_least_peak_gives_up_what_is_nowhere_certain():
    probabilities = np.zeros((3, 16, 16), np.float32)
    probabilities[1, 2:5, 2:5] = 0.6
    probabilities[1, 10:13, 10:13] = 0.6
    probabilities[1, 11, 11] = 0.95
    mask = np.zeros(probabilities.shape, np.bool_)
    mask[1, 10:13, 10:13] = True
    all_of_it, certain = all_dice(probabilities, mask, [Setting(0.5), Setting(0.5, peak=0.9)])
    assert all_of_it == pytest.approx(2 / 3)
    assert certain == 1


def test_groups_hold_every_patient_once_for_each_division(tmp_path):
    found = read_cases(
        write_kaggle(tmp_path, 6), "kaggle_3m", reader_options_for(brain_specification())
    )
    contents = {case.patient: case.decode() for case in found.cases}
    dice = {name: 0.5 + index / 20 for index, name in enumerate(contents)}
    rows = strata(contents, dice)
    for title in {row["by"] for row in rows}:
        patients = sum(row["dice"]["patients"] for row in rows if row["by"] == title)
        assert patients == 6, title
    assert {row["group"] for row in rows if row["by"] == "institution"} == {"XX"}
    assert all(contrast(content) > 1.05 for content in contents.values())


@pytest.fixture
def trained_on(tmp_path):
    """Return what writes a model that says whom it was trained on."""

    def write(name, patients):
        split = {"training": patients, "validation": []}
        model = brain_specification(id=name, provenance=Provenance(split=split))
        return write_tiny_bundle(tmp_path / "models", model)

    return write


def evaluate(tmp_path, capsys, *models):
    data = write_kaggle(tmp_path / "data", 3)
    words = ["evaluate", str(data), "--layout", "kaggle_3m", "--device", "cpu"]
    for model in models:
        words += ["--model", str(model)]
    assert main([*words, "-o", str(tmp_path / "results.json")]) == 0
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith("warning")]


def test_measuring_patients_that_a_model_was_trained_on_is_told(tmp_path, capsys, trained_on):
    patients = ["TCGA_XX_0001_19990101", "TCGA_XX_0002_19990101", "TCGA_YY_0009_19990101"]
    seen = trained_on("seen", patients)
    unseen = trained_on("unseen", patients[2:])
    (line,) = evaluate(tmp_path, capsys, seen.folder, unseen.folder)
    assert "seen was trained on 2 of these 3 patients" in line
    assert "TCGA_XX_0001_19990101, TCGA_XX_0002_19990101" in line


def test_annotations_that_show_nothing_of_the_model_are_told(tmp_path, capsys, trained_on):
    data, model = write_kaggle(tmp_path / "data", 2), trained_on("balls", []).folder
    words = ["evaluate", data, "--layout", "kaggle_3m", "--device", "cpu", "--model", model]
    words += ["--label", "*=0", "-o", tmp_path / "results.json"]
    assert main(list(map(str, words))) == 0
    (line,) = (one for one in capsys.readouterr().err.splitlines() if one.startswith("warning"))
    assert line.startswith("warning: balls: no annotation shows a structure of the model's")


@pytest.fixture
def livers(tmp_path):
    """Return a model for livers and their tumours, and a data set that outlines the liver alone."""
    labels = [LIVER | {"includes": [2]}, LIVER_TUMOUR]
    model = write_ct_model(tmp_path / "models", "livers", labels=labels)
    data = write_nnunet(tmp_path / "data", 2)
    for path in sorted(data.glob("imagesTr/*.nii.gz")):
        image = sitk.ReadImage(str(path))
        voxels = np.full(sitk.GetArrayViewFromImage(image).shape, -20, np.int16)
        reference = np.zeros(voxels.shape, np.uint8)
        reference[:, 8:28, 8:28] = 1
        voxels[:, 8:28, 8:24] = 85
        voxels[:, 14:20, 12:18] = 200
        for array, to in (
            (voxels, path),
            (reference, data / "labelsTr" / f"{path.name[:8]}.nii.gz"),
        ):
            new = sitk.GetImageFromArray(array)
            new.CopyInformation(image)
            sitk.WriteImage(new, str(to))
    content = json.loads((data / "dataset.json").read_text())
    content["labels"] = {"background": 0, "liver": 1}
    (data / "dataset.json").write_text(json.dumps(content))
    return model, data


def test_structures_that_a_data_set_was_not_annotated_for_are_not_measured(
    tmp_path, capsys, livers
):
    model, data = livers
    output = tmp_path / "results.json"
    words = ["evaluate", data, "--layout", "nnunet", "--device", "cpu", "--model", model]
    words = [*map(str, words), "-o", str(output), "--overwrite"]
    assert main(words) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert told[0].startswith("warning: livers: no annotation shows Liver tumour, so those figures")
    (both,) = json.loads(output.read_text())["models"]
    assert both["summary"]["structures"]["Liver tumour"]["dice"]["mean"] == 0
    assert main([*words, "--annotated", "1"]) == 0
    assert "warning" not in capsys.readouterr().err
    (alone,) = json.loads(output.read_text())["models"]
    assert alone["summary"]["structures"].keys() == {"Liver"}
    liver = alone["summary"]["structures"]["Liver"]
    assert liver == both["summary"]["structures"]["Liver"]
    assert liver["dice"]["mean"] == pytest.approx(2 * 16 / (16 + 20), abs=0.03)
    marked = alone["cases"][0]
    assert marked["structures"].keys() == {"Liver"}
    assert marked["pixel_accuracy"] > both["cases"][0]["pixel_accuracy"]  # a tumour is liver there
    assert "Liver tumour" not in output.with_suffix(".html").read_text()


def test_values_that_cannot_have_been_annotated_are_refused(tmp_path, capsys, livers):
    model, data = livers
    detector = write_blind_detector(tmp_path / "models")
    start = ["evaluate", str(data), "--layout", "nnunet", "-o", str(tmp_path / "results.json")]
    for one, words in (
        (model, "livers has no value 3, but 1 (Liver), 2 (Liver tumour)"),
        (detector.folder, f"{detector.id} is a detector, which has no structures"),
    ):
        assert main([*start, "--model", str(one), "--annotated", "1", "3"]) == 2
        assert capsys.readouterr().err == f"tumorseg: --annotated: {words}\n"


def test_a_structure_that_is_not_measured_counts_as_that_which_includes_it():
    label = ct_specification().labels[0]
    organ = replace(label, includes=(2, 3))
    part = replace(label, value=2, includes=(3,))
    smallest = replace(label, value=3, includes=())
    values = np.arange(5, dtype=np.uint8)
    for labels, expected in (
        ((organ, part, smallest), [0, 1, 2, 3, 0]),
        ((organ, part), [0, 1, 2, 2, 0]),
        ((part, organ), [0, 1, 2, 2, 0]),
        ((organ, smallest), [0, 1, 1, 3, 0]),
        ((part,), [0, 0, 2, 2, 0]),
    ):
        assert without_others(values, labels).tolist() == expected


def test_how_many_of_the_cases_were_measured_is_told(tmp_path, capsys, trained_on):
    data, model = write_kaggle(tmp_path / "data", 3), trained_on("balls", []).folder
    damaged = sorted(path for path in data.rglob("*.tif") if "_mask" not in path.name)[0]
    damaged.write_bytes(damaged.read_bytes()[:40])
    words = ["evaluate", str(data), "--layout", "kaggle_3m", "--device", "cpu", "--model", model]
    assert main([*map(str, words), "-o", str(tmp_path / "results.json")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "balls: 3 cases"
    assert "balls: 2 of 3 cases measured" in lines


def test_no_case_ends_the_measuring_of_the_others(tmp_path, trained_on):
    bundle = trained_on("balls", [])
    data = write_kaggle(tmp_path / "data", 2)
    first, second = read_cases(data, "kaggle_3m", reader_options_for(bundle.specification)).cases

    def odd():
        raise IndexError("arrays used as indices\nmust be of integer type")

    found = measure(bundle, [replace(first, decode=odd), second], device="cpu")
    assert [case.case for case in found.cases] == [second.name]
    (left_out,) = found.failed
    assert left_out.name == first.name
    assert left_out.reason == (
        "unexpected fault, please report it: IndexError: arrays used as indices must be of integer"
        " type"
    )


def test_whom_a_member_was_trained_on_the_ensemble_has_seen(
    tmp_path, capsys, monkeypatch, trained_on
):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    member = trained_on("member", ["TCGA_XX_0000_19990101"])
    average = replace(
        member.specification,
        id="average",
        network=None,
        weights=None,
        provenance=Provenance(),
        members=("member",),
    )
    write_bundle(tmp_path / "models" / "average", average, None, card="# Average\n")
    (line,) = evaluate(tmp_path, capsys, "average")
    assert "average was trained on 1 of these 3 patients" in line


def test_the_first_sequence_alone_is_measured_too(tmp_path, trained_on):
    data = write_kaggle(tmp_path / "data", 2)
    for path in data.rglob("*.tif"):
        if "_mask" not in path.name:
            pixels = np.array(Image.open(path))
            pixels[..., 0] = 255 - pixels[..., 0]  # T1 that is unlike FLAIR
            Image.fromarray(pixels).save(path)
    bundle = trained_on("balls", [])
    cases = read_cases(data, "kaggle_3m", reader_options_for(bundle.specification)).cases
    found = measure(bundle, cases, device="cpu", first_channel_alone=True)
    segmenter = Segmenter(bundle, device="cpu")
    dice = []
    for case, figures in zip(cases, found.cases, strict=True):
        content = case.decode()
        flair = replace(content, volumes={"flair": content.volumes["flair"]})
        expected = segmented(segmenter, case, flair)
        assert figures.first_channel_alone.structures == expected.structures
        assert figures.structures != expected.structures
        dice.append(expected.structures["Tumour"].dice)
    figures = summary(found)
    assert figures["first_channel_alone"]["Tumour"]["dice"]["mean"] == pytest.approx(np.mean(dice))
    record = evaluation_record(figures, "patients kept aside")
    assert record.first_channel_alone["Tumour"].dice.under_0_6 == 2
    assert record.slices_first_channel_alone.slices == record.slices.slices
    page = evaluation_page([found], "Both")
    assert "Tumour with FLAIR alone: Dice 0." in page
    assert "Slices with FLAIR alone: accuracy" in page
    without = replace(found, cases=tuple(replace(c, first_channel_alone=None) for c in found.cases))
    assert "alone" not in evaluation_page([without], "All sequences")


def test_a_detector_card_says_what_its_probabilities_and_the_first_sequence_are_worth():
    def rates(value):
        names = ("accuracy", "roc_auc", "sensitivity", "specificity")
        return {"slices": 9, "with_structure": 4} | {
            name: {"value": value - index / 100, "low": 0.5, "high": 1.0}
            for index, name in enumerate(names)
        }

    bins = [{"voxels": 6, "probability": 0.05, "frequency": 0.25}]
    figures = {
        "patients": 3,
        "slices": rates(0.9),
        "slices_first_channel_alone": rates(0.8),
        "calibration": {"expected_calibration_error": 0.01, "bins": bins},
    }
    model = brain_specification(task="detection", evaluation=from_dict(Evaluation, figures))
    card = model_card(model, Card())
    assert (
        "Slices told apart: accuracy 0.900 (0.500 to 1.000), ROC AUC 0.890 (0.500 to 1.000),"
        " sensitivity 0.880 (0.500 to 1.000), specificity 0.870" in card
    )
    assert "Slices told apart with FLAIR alone: accuracy 0.800" in card
    assert "over all slices that got more than 0." in card
    assert "| 0.05 | 0.25 | 100.0% |" in card


def test_a_card_says_where_a_model_fails_and_what_its_probabilities_are_worth():
    def estimate(mean, patients=3):
        return {
            "mean": mean,
            "low": mean - 0.1,
            "high": mean + 0.1,
            "median": mean,
            "patients": patients,
        }

    structure = {name: estimate(0.8) for name in ("sensitivity", "precision", "hd95_mm")}
    structure["dice"] = estimate(0.75) | {"under_0_6": 1}
    structure["lesions"] = {"reference": 3, "found": 3, "detection_rate": 1, "false_per_case": 0}
    structure["lesions"]["by_volume"] = [
        {"from_ml": 0.0, "below_ml": 0.5, "reference": 1, "found": 1, "false_per_case": 0.25},
        {"from_ml": 0.5, "below_ml": 2.0, "reference": 0, "found": 0, "false_per_case": 0},
        {"from_ml": 2.0, "below_ml": None, "reference": 2, "found": 2, "false_per_case": 0},
    ]
    bins = [
        {"voxels": 30, "probability": 0.05, "frequency": 0.25},
        {"voxels": 0, "probability": 0.0, "frequency": 0.0},
        {"voxels": 10, "probability": 0.95, "frequency": 0.75},
    ]
    metrics = {
        "measured_on": "patients kept aside",
        "patients": 3,
        "structures": {"Tumour": structure},
        "first_channel_alone": {"Tumour": {"dice": estimate(0.6) | {"under_0_6": 2}}},
        "strata": [{"by": "tumour, ml", "group": "up to 9", "dice": estimate(0.51, 1)}],
        "slices": {"slices": 9, "with_structure": 4}
        | {name: {"value": 0.9, "low": 0.8, "high": 1.0} for name in ("accuracy", "roc_auc")},
        "calibration": {"expected_calibration_error": 0.1, "bins": bins},
    }
    model = brain_specification(
        evaluation=from_dict(Evaluation, metrics), provenance=Provenance(steps=70)
    )
    card = model_card(model, Card(also_measured="Elsewhere, by others: 0.7."))
    assert "\n\nElsewhere, by others: 0.7.\n\n## Known failures" in card
    assert "Tumour with FLAIR alone: Dice 0.600 (0.500 to 0.700), median 0.600." in card
    assert "under 0.6: 1 of 3 with all sequences, 2 with FLAIR alone" in card
    assert "| tumour, ml | up to 9 | 1 | 0.510 (0.410 to 0.610) | 0.510 |" in card
    assert "case | under 0.5 ml | 0.5 to 2 ml | 2 ml and more |" in card
    assert "| Tumour | 1 of 1; 0.2 | 0 of 0; 0.0 | 2 of 2; 0.0 |" in card
    assert "| 0.05 | 0.25 | 75.0% |" in card
    assert "| 0.95 | 0.75 | 25.0% |" in card
    assert "poorly calibrated" in card
    assert "70 steps on a GPU" in card


@pytest.mark.parametrize(("aside", "said"), [(("c",), True), (("b", "c"), False)])
def test_a_card_says_that_sides_are_apart_only_where_they_are(aside, said):
    split = {"training": ("a", "b"), "validation": aside}
    card = model_card(brain_specification(provenance=Provenance(split=split)), Card())
    assert f"Trained on 2 patients of `?`; {len(aside)} patients were kept aside." in card
    assert ("No patient is on both sides." in card) == said
