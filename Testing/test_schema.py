"""`model.json` of format 2 has types for what format 1 kept free-form, and reads format 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_models import brain_specification, write_tiny_bundle

from tumorseg_training.config import Card
from tumorseg_training.model_card import model_card
from TumorSegLib.errors import ModelError
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.model.catalogue import SHIPPED
from TumorSegLib.model.evaluation import Evaluation
from TumorSegLib.model.provenance import DatasetRecord, Provenance
from TumorSegLib.model.specification import FORMAT
from TumorSegLib.support.schema import from_dict, to_dict

DICE = {"mean": 0.8, "low": 0.7, "high": 0.9, "median": 0.85, "patients": 3, "under_0.6": 1}
TRAINING = {
    "date": "2026-01-02",
    "code_version": "0.1.0 (abc)",
    "config": {
        "data": {"folder": "corrected", "layout": "nnunet", "licence": "CC BY 4.0"},
        "synthesis": {"share": 0.25},
        "further": [{"folder": "more", "layout": "lits"}],
        "optimisation": {"loss": "dice"},
    },
    "split": {"training": ["A", 7], "validation": ["B"], "earlier": ["C"]},
    "left_out": ["one"],
    "epochs": 12,
    "averaged": True,
    "base": {"id": "shipped", "version": "1", "weights_sha256": "f", "base": None},
    "remark": "by hand",
}
METRICS = {
    "measured_on": "patients kept aside",
    "patients": 3,
    "structures": {"Tumour": {"dice": DICE, "lesions": {"reference": 2, "found": 1,
        "detection_rate": 0.5, "false_per_case": 1.0}}},
    "slices": {"slices": 9, "with_structure": 4, "roc_auc": {"value": None, "low": None,
        "high": None}},
    "calibration": "not done",
}  # fmt: skip


def written(tmp_path: Path, **changes: object) -> Path:
    """A model's folder whose `model.json` is of format 1, with these keys."""
    folder = write_tiny_bundle(tmp_path, brain_specification()).folder
    path = folder / "model.json"
    content = json.loads(path.read_text("utf-8"))
    for key in ("provenance", "evaluation"):
        content.pop(key, None)
    path.write_text(json.dumps(content | {"format": 1} | changes), "utf-8")
    return folder


def test_free_form_notes_of_format_1_become_types(tmp_path):
    model = read_bundle(written(tmp_path, training=TRAINING, metrics=METRICS)).specification
    made = model.provenance
    assert made.datasets == (
        DatasetRecord("corrected", "nnunet", "CC BY 4.0"),
        DatasetRecord("more", "lits"),
    )
    assert made.trained_on == {"A", "7", "C"}
    assert (made.date, made.epochs, made.averaged) == ("2026-01-02", 12, True)
    assert made.synthetic_share == 0.25
    assert made.base.id == "shipped"
    assert made.config == TRAINING["config"]
    assert made.further == {"remark": "by hand"}
    measured = model.evaluation
    assert measured.structures["Tumour"].dice.under_0_6 == 1
    assert measured.structures["Tumour"].lesions.found == 1
    assert measured.slices.roc_auc.value is None
    assert measured.calibration is None
    assert measured.further == {"calibration": "not done"}
    assert model.format == FORMAT == 2


def test_a_model_of_format_1_survives_being_written_anew(tmp_path):
    model = read_bundle(written(tmp_path, training=TRAINING, metrics=METRICS)).specification
    again = write_tiny_bundle(tmp_path / "again", model)
    for part in ("provenance", "evaluation"):
        assert getattr(read_bundle(again.folder).specification, part) == getattr(model, part)
    content = json.loads((again.folder / "model.json").read_text("utf-8"))
    assert content["format"] == 2
    assert not {"training", "metrics"} & set(content)


@pytest.mark.parametrize(
    ("training", "metrics"),
    [
        ({}, {}),
        ({"split": "nobody knows", "config": 3, "epochs": "many"}, {"dice": 0.9}),
        ({"split": {"training": None}}, {"structures": {"Tumour": {"dice": 0.9}}}),
        ({"config": {"data": {"folder": 3}, "further": "none"}}, {"patients": "some"}),
        ({"config": {"synthesis": {"share": "half"}}}, {"strata": [{"by": "age"}]}),
    ],
)
def test_no_note_of_format_1_makes_a_model_unusable(tmp_path, training, metrics):
    model = read_bundle(written(tmp_path, training=training, metrics=metrics)).specification
    assert (model.evaluation is None) == (not metrics)
    assert "not a medical device" in model_card(model, Card())


def test_notes_that_are_none_are_refused(tmp_path):
    with pytest.raises(ModelError, match="evaluation: found 'good', expected keys and values"):
        read_bundle(written(tmp_path, metrics="good"))


def test_a_newer_format_is_refused(tmp_path):
    with pytest.raises(ModelError, match="format 3 is newer than 2; update TumorSeg"):
        read_bundle(written(tmp_path, format=3))


@pytest.mark.parametrize("folder", sorted(path.parent for path in SHIPPED.glob("*/model.json")))
def test_shipped_models_are_of_format_2_and_every_note_has_its_type(folder):
    content = json.loads((folder / "model.json").read_text("utf-8"))
    assert content["format"] == 2
    assert from_dict(Provenance, content["provenance"]).further == {}
    assert from_dict(Evaluation, content["evaluation"]).further == {}
    model = read_bundle(folder).specification
    assert to_dict(model)["provenance"] == content["provenance"]
    assert model.provenance.trained_on
    if model.task == "segmentation":
        assert all(model.evaluation.structures[label.name].dice.mean for label in model.labels)
