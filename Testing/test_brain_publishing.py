"""From what the runs on a device leave to bundles: choosing settings, measuring, publishing."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage

pytest.importorskip("lightning")  # what trains is not installed with what segments

from synthetic_data import SHAPE, ball_case, write_kaggle

from tumorseg_training.config import read_config
from tumorseg_training.device_training import brain_bundles, brain_selection
from tumorseg_training.device_training.brain_pack import write_pack
from tumorseg_training.device_training.brain_plans import EVERYBODY
from tumorseg_training.device_training.brain_selection import MODELS, VARIANTS
from tumorseg_training.device_training.saving import save_weights
from TumorSegLib.model.bundle import load_network, read_bundle
from TumorSegLib.networks import build_network

PATIENTS = [f"TCGA_XX_{index:04d}_19990101" for index in range(4)]
FOLDS = {"fold0": PATIENTS[:2], "fold1": PATIENTS[2:]}
LINKNET, ENSEMBLE = "brain-lgg-linknet", "brain-lgg-ensemble"

pytestmark = pytest.mark.slow


def probabilities(patient, model, variant):
    """As a run would give them: certain inside, doubtful at the border, a false speck."""
    index = PATIENTS.index(patient)
    _, label = ball_case(index)
    random = np.random.default_rng([index, MODELS.index(model), len(variant)])
    inside = ndimage.gaussian_filter(label.astype(float), 1.5)
    found = 0.75 * inside + random.uniform(0, 0.25, SHAPE)
    found[0, :2, :2] = 0.9
    if variant == "flair":
        found[:, : SHAPE[1] // 2] *= 0.6
    return np.round(255 * found.clip(0, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Folders of the packs, of the runs' results and of the data set."""
    folder = tmp_path_factory.mktemp("device")
    packs, out = folder / "packs", folder / "out"
    for place in (packs, out):
        place.mkdir()
    write_kaggle(folder / "data", len(PATIENTS))
    heads = {}
    for index, patient in enumerate(PATIENTS):
        image, label = ball_case(index)
        grey = np.clip((image + 60) / 1.2, 0, 255).astype(np.uint8)
        heads[patient] = (np.repeat(grey[:, None], 3, 1), label, np.zeros(SHAPE, np.uint8))
    write_pack(packs / "lgg-1.npz", {name: heads[name] for name in PATIENTS[:3]})
    write_pack(packs / "lgg-2.npz", {name: heads[name] for name in PATIENTS[3:]})
    (packs / "folds.json").write_text(json.dumps(FOLDS))
    for model in MODELS:
        for fold, names in FOLDS.items():
            arrays = {
                f"{name}/{variant}": probabilities(name, model, variant)
                for name in names
                for variant in VARIANTS
            }
            np.savez(out / f"heldout-{model}-{fold}.npz", **arrays)
        run = {"steps": 7, "images": 56, "seconds": 3.21, "plan": {"network": model}}
        (out / f"run-{model}-{EVERYBODY}.json").write_text(json.dumps(run))
    return folder


@pytest.fixture(scope="module")
def selected(left):
    with pytest.MonkeyPatch.context() as patch:
        words = [left / "packs", left / "out", left / "selection.json", "--processes", 1]
        patch.setattr(sys, "argv", ["brain_selection", *map(str, words)])
        brain_selection.main()
    return json.loads((left / "selection.json").read_text())


def publish(left, monkeypatch, models, *more):
    words = [left / "packs", left / "out", left / "selection.json", left / "data", models]
    monkeypatch.setattr(sys, "argv", ["brain_bundles", *map(str, words), *more])
    brain_bundles.main()


def network_of(model):
    specification = read_config(brain_bundles.CONFIGS / f"{model}.toml").model
    torch.manual_seed(len(model))
    return build_network(specification.network.name, specification.network.arguments)


def weight_of(network):
    return network.state_dict()["head.6.weight"]


@pytest.fixture(scope="module")
def linknet(left):
    """The weights of a fold and of everybody, which differ."""
    network = network_of(LINKNET)
    save_weights(network, left / "out" / f"weights-{LINKNET}-{EVERYBODY}")
    with torch.no_grad():
        weight_of(network).mul_(2)
    save_weights(network, left / "out" / f"weights-{LINKNET}-fold0")
    return network


def dice_by_hand(left, row, patient):
    """Of all sequences, with the setting that was chosen without the patient's fold."""
    fold = next(name for name, names in FOLDS.items() if patient in names)
    chosen = row["folds"][list(FOLDS).index(fold)]
    with np.load(left / "out" / f"heldout-{LINKNET}-{fold}.npz") as content:
        found = content[f"{patient}/all"] >= chosen["threshold"] * 255
    if chosen["millilitres"] or chosen["share"]:
        found[0, :2, :2] = False  # the speck goes, the ball stays
    truth = ball_case(PATIENTS.index(patient))[1] > 0
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def test_every_patient_is_measured_with_a_setting_of_other_folds(left, selected):
    assert selected["patients"] == PATIENTS
    assert selected["folds"] == [0, 0, 1, 1]
    rows = {row["name"]: row for row in selected["rows"]}
    assert len(rows) == len(selected["rows"])
    row = rows[LINKNET]
    assert {chosen["predictor"] for chosen in (*row["folds"], row["to_ship"])} == {LINKNET}
    expected = [dice_by_hand(left, row, patient) for patient in PATIENTS]
    np.testing.assert_allclose(row["all"]["values"], expected, atol=0.02)
    assert row["all"]["mean"] == pytest.approx(np.mean(row["all"]["values"]))
    assert row["all"]["mean"] > row["flair"]["mean"]
    bare = rows[f"{LINKNET}, threshold alone"]
    assert all(chosen["millilitres"] == chosen["share"] == 0 for chosen in bare["folds"])
    table = np.load(left / "selection.npy")
    assert table.shape[2:] == (len(VARIANTS), len(PATIENTS))


def test_masks_are_found_in_whichever_pack_holds_them(left):
    for index, patient in enumerate(PATIENTS):
        found = brain_selection.read_mask(left / "packs", patient)
        np.testing.assert_array_equal(found, ball_case(index)[1] > 0)
    with pytest.raises(KeyError, match="nobody"):
        brain_selection.read_mask(left / "packs", "nobody")


def test_a_published_model_has_the_weights_of_everybody(
    left, selected, linknet, tmp_path, monkeypatch
):
    publish(left, monkeypatch, tmp_path, "--only", LINKNET)
    bundle = read_bundle(tmp_path / LINKNET)
    made = bundle.specification
    row = next(row for row in selected["rows"] if row["name"] == LINKNET)
    assert made.labels[0].threshold == row["to_ship"]["threshold"]
    (small,) = made.postprocessing
    shipped = (row["to_ship"]["millilitres"], row["to_ship"]["share"])
    assert (small.millilitres, small.share_of_largest) == shipped
    assert list(made.provenance.split["training"]) == PATIENTS
    assert made.provenance.split["validation"] == ()
    assert (made.provenance.steps, made.provenance.images) == (7, 56)
    figures = made.evaluation
    dice = figures.structures["Tumour"].dice
    assert dice.patients == len(PATIENTS)
    assert dice.mean == pytest.approx(row["all"]["mean"], abs=0.02)
    torch.testing.assert_close(
        2 * weight_of(load_network(bundle)), weight_of(linknet), rtol=0.02, atol=0.01
    )
    assert (tmp_path / LINKNET / "README.md").read_text().startswith("# ")


def test_a_folds_model_says_whom_it_kept_aside(left, selected, linknet, tmp_path, monkeypatch):
    publish(left, monkeypatch, tmp_path, "--only", LINKNET, "--fold", "fold0")
    bundle = read_bundle(tmp_path / LINKNET)
    split = bundle.specification.provenance.split
    assert list(split["validation"]) == FOLDS["fold0"]
    assert list(split["training"]) == FOLDS["fold1"]
    assert bundle.specification.evaluation is None
    torch.testing.assert_close(
        weight_of(load_network(bundle)), weight_of(linknet), rtol=0.02, atol=0.01
    )


def test_an_ensemble_names_the_members_it_was_measured_with(
    left, selected, linknet, tmp_path, monkeypatch
):
    row = next(row for row in selected["rows"] if row["name"] == brain_bundles.ROWS[ENSEMBLE])
    predictor = brain_bundles.predictor_of(row["to_ship"])
    members = [m for m, weight in zip(MODELS, predictor.weights, strict=True) if weight]
    for member in members:
        if member != LINKNET:
            save_weights(network_of(member), left / "out" / f"weights-{member}-{EVERYBODY}")
        publish(left, monkeypatch, tmp_path, "--only", member)
    publish(left, monkeypatch, tmp_path, "--only", ENSEMBLE)
    made = read_bundle(tmp_path / ENSEMBLE).specification
    assert list(made.members) == members
    assert list(made.member_weights) == [weight for weight in predictor.weights if weight]
    for member in members:
        own = read_bundle(tmp_path / member).specification
        assert made.provenance.members[member].sha256 == own.weights.sha256
    dice = made.evaluation.structures["Tumour"].dice
    assert dice.mean == pytest.approx(row["all"]["mean"], abs=0.02)
