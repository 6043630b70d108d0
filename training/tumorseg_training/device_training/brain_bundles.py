"""Bundles of the brain models from what the runs on a device left: weights, figures, cards.

    python -m tumorseg_training.device_training.brain_bundles PACKS OUT selection.json DATA MODELS

The figures are of whole patients on their own grid, each from the run that kept the patient's fold
aside, with the threshold and filter that `brain_selection` chose on the other folds; what ships was
trained on everybody, with the setting that all folds choose. `--fold fold0` writes the models of
that fold instead, for `tumorseg evaluate` to confirm the figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tumorseg_training.case import LabelledCase, reader_options_for
from tumorseg_training.case_figures import CaseFigures, compared
from tumorseg_training.config import Card, read_config, read_ensemble
from tumorseg_training.device_training.brain_plans import EVERYBODY
from tumorseg_training.device_training.brain_selection import (
    MODELS,
    PREDICTORS,
    VARIANTS,
    Predictor,
)
from tumorseg_training.device_training.brain_strata import strata
from tumorseg_training.device_training.saving import load_weights
from tumorseg_training.evaluation import Evaluation
from tumorseg_training.model_card import model_card
from tumorseg_training.places import configs
from tumorseg_training.publishing import code_version, today
from tumorseg_training.readers import read_cases
from tumorseg_training.stored_precision import small_weights
from tumorseg_training.summary import dice_figures, evaluation_record, summary
from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.in_plane import resize
from TumorSegLib.inference.labelmap import labelmap_from_probabilities
from TumorSegLib.inference.postprocessing import postprocess
from TumorSegLib.inference.probabilities import quantise
from TumorSegLib.model.bundle import read_bundle, write_bundle
from TumorSegLib.model.evaluation import Evaluation as ModelEvaluation
from TumorSegLib.model.postprocessing import RemoveSmall
from TumorSegLib.model.provenance import DatasetRecord, MemberRecord, Provenance
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.networks import build_network

CONFIGS = configs()
ENSEMBLE = "brain-lgg-ensemble"
ROWS = {
    "brain-lgg-munet": "brain-lgg-munet, share of FLAIR alone chosen, too",
    "brain-lgg-unet": "brain-lgg-unet",
    "brain-lgg-linknet": "brain-lgg-linknet",
    ENSEMBLE: "averages, weights chosen, too",
}
"""Row of the selection's table for each model; a share of FLAIR alone doubles the time that a model
takes, which only the default is worth."""

FLOAT16_BELOW = 40_000
MEASURED_ON = (
    "patients kept aside in turn (five folds, each once; threshold and filter chosen on the other"
    " four): the model measured never saw those patients, the weights published here saw them all"
)


@dataclass(frozen=True)
class Runs:
    """What the device runs and the selection left.

    Attributes:
        out: folder of the runs.
        by_fold: patients.
        rows: of the selection's table, by name.
    """

    out: Path
    by_fold: Mapping[str, Sequence[str]]
    rows: Mapping[str, Mapping[str, Any]]

    def chosen(self, model: str, fold: str) -> Mapping[str, Any]:
        """Return the setting of a model for a fold, or for everybody."""
        row = self.rows[ROWS[model]]
        if fold == EVERYBODY:
            return row["to_ship"]  # type: ignore[no-any-return]
        return row["folds"][list(self.by_fold).index(fold)]  # type: ignore[no-any-return]

    def probabilities(
        self, predictor: Predictor, fold: str, patient: str, variant: str, shape: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Return a patient's probabilities (z, *shape), 0 to 255."""
        needed = {variant, "flair"} if predictor.flair else {variant}
        found = {}
        for model, weight in zip(MODELS, predictor.weights, strict=True):
            if weight:
                with np.load(self.out / f"heldout-{model}-{fold}.npz") as content:
                    for key in needed:
                        stored = torch.from_numpy(content[f"{patient}/{key}"]).float() / 255
                        found[model, key] = resize(stored, shape).numpy()
        return quantise(torch.from_numpy(predictor.probabilities(found, variant)))


def predictor_of(chosen: Mapping[str, Any]) -> Predictor:
    """Return the predictor of a setting."""
    return next(one for one in PREDICTORS if one.name == chosen["predictor"])


def with_setting(model: ModelSpecification, chosen: Mapping[str, Any]) -> ModelSpecification:
    """Return a model with what the selection chose: threshold, filter, shares in averages."""
    (label,) = model.labels
    small = RemoveSmall(label.value, chosen["millilitres"], chosen["share"])
    predictor = predictor_of(chosen)
    members = {
        name: weight
        for name, weight in zip(MODELS, predictor.weights, strict=True)
        if weight and model.members
    }
    return replace(
        model,
        labels=(replace(label, threshold=chosen["threshold"]),),
        postprocessing=(small,) if chosen["millilitres"] or chosen["share"] else (),
        first_alone=predictor.flair,
        members=tuple(members),
        member_weights=tuple(members.values()),
    )


def measure(
    model: ModelSpecification, runs: Runs, contents: Mapping[str, tuple[Any, LabelledCase]]
) -> ModelEvaluation:
    """Return a model's figures for `model.json`."""
    measured: list[CaseFigures] = []
    dice: dict[str, dict[str, float]] = {variant: {} for variant in VARIANTS}
    for fold, name in [(fold, name) for fold, names in runs.by_fold.items() for name in names]:
        chosen = runs.chosen(model.id, fold)
        used = with_setting(model, chosen)
        case, content = contents[name]
        grid = content.volumes["flair"].grid
        view = AxialView.of(grid)
        truth = view.apply(content.labelmap)
        for variant in VARIANTS:
            shape = (content.labelmap.shape[1], content.labelmap.shape[2])
            parts = [
                view.apply(runs.probabilities(predictor_of(chosen), fold, name, variant, shape))
            ]
            found = labelmap_from_probabilities(parts, used.labels, [used.labels[0].threshold])
            postprocess(found, used.postprocessing, voxel_ml=grid.voxel_ml, labels=used.labels)
            areas = int((found > 0).sum() + (truth > 0).sum())
            both = int(((found > 0) & (truth > 0)).sum())
            dice[variant][name] = 2 * both / areas if areas else 1.0
            if variant == "all":
                measured.append(
                    compared(
                        case,
                        used.labels,
                        found=found,
                        truth=truth,
                        probabilities=parts,
                        spacing_zyx=view.spacing_zyx,
                    )
                )
    (label,) = model.labels
    figures = summary(Evaluation(model.id, model, tuple(measured)))
    del figures["seconds_per_case"]  # the runs were not the pipeline's
    figures["first_channel_alone"] = {label.name: {"dice": dice_figures(dice["flair"])}}
    figures["strata"] = strata({name: contents[name][1] for name in dice["all"]}, dice["all"])
    figures["by_patient"] = {
        name: {"all": round(value, 3), "flair": round(dice["flair"][name], 3)}
        for name, value in dice["all"].items()
    }
    settings = [runs.chosen(model.id, fold) for fold in runs.by_fold]
    return evaluation_record(figures, MEASURED_ON, settings_of_folds=settings)


def provenance(model: ModelSpecification, runs: Runs) -> Provenance:
    """Return what went into the weights that everybody's run left."""
    run = json.loads((runs.out / f"run-{model.id}-{EVERYBODY}.json").read_text("utf-8"))
    everybody = sorted(name for names in runs.by_fold.values() for name in names)
    return Provenance(
        today(),
        code_version(),
        datasets=(DatasetRecord("kaggle_3m", "kaggle_3m"),),
        split={"training": tuple(everybody), "validation": ()},
        steps=run["steps"],
        images=run["images"],
        seconds=round(run["seconds"], 1),
        averaged=True,
        config={"device_training": run["plan"]},
    )


def publish(
    model: ModelSpecification,
    card: Card,
    runs: Runs,
    fold: str,
    measured: ModelEvaluation | None,
    folder: Path,
) -> None:
    """Write a network's bundle with the weights of a run, as int8."""
    assert model.network is not None
    network = build_network(model.network.name, model.network.arguments)
    load_weights(network, sorted(runs.out.glob(f"weights-{model.id}-{fold}*.safetensors")))
    network.eval()
    made = provenance(model, runs)
    if fold != EVERYBODY:
        aside = runs.by_fold[fold]
        trained = tuple(name for name in made.split["training"] if name not in aside)
        made = replace(made, split={"training": trained, "validation": tuple(aside)})
    used = replace(
        with_setting(model, runs.chosen(model.id, fold)), provenance=made, evaluation=measured
    )
    write_bundle(
        folder / model.id,
        used,
        network,
        dtype="int8",
        float16=small_weights(network, FLOAT16_BELOW),
        card=model_card(used, card),
    )


def publish_ensemble(
    model: ModelSpecification,
    card: Card,
    runs: Runs,
    measured: ModelEvaluation | None,
    folder: Path,
) -> None:
    """Write the bundle of the average of those that are in `folder`."""
    used = with_setting(model, runs.chosen(model.id, EVERYBODY))
    members = {}
    for name in used.members:
        member = read_bundle(folder / name).specification
        assert member.weights is not None
        members[name] = MemberRecord(member.version, member.weights.sha256)
    split = provenance(replace(model, id=MODELS[0]), runs).split
    made = Provenance(today(), code_version(), split=split, members=members)
    used = replace(used, provenance=made, evaluation=measured)
    write_bundle(folder / model.id, used, None, card=model_card(used, card))


def main() -> None:
    """Measure and write the bundles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packs", type=Path, help="folder with folds.json")
    parser.add_argument("out", type=Path, help="folder of the runs' results")
    parser.add_argument("selection", type=Path, help="table of brain_selection")
    parser.add_argument("dataset", type=Path, help="folder of the data set, layout kaggle_3m")
    parser.add_argument("models", type=Path, help="folder for the bundles")
    parser.add_argument("--fold", default=EVERYBODY, help="whose models to write")
    parser.add_argument("--only", action="append", help="id of a model; all if not given")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(arguments.selection.read_text("utf-8"))["rows"]
    by_fold = json.loads((arguments.packs / "folds.json").read_text("utf-8"))
    runs = Runs(arguments.out, by_fold, {row["name"]: row for row in rows})
    contents: dict[str, tuple[Any, LabelledCase]] = {}
    for name in arguments.only or (*MODELS, ENSEMBLE):
        path = CONFIGS / f"{name}.toml"
        config = read_ensemble(path) or read_config(path)
        figures: ModelEvaluation | None = None
        if arguments.fold == EVERYBODY:
            if not contents:
                found = read_cases(arguments.dataset, "kaggle_3m", reader_options_for(config.model))
                contents = {case.patient: (case, case.decode()) for case in found.cases}
            figures = measure(config.model, runs, contents)
        if name == ENSEMBLE:
            publish_ensemble(config.model, config.card, runs, figures, arguments.models)
        else:
            publish(config.model, config.card, runs, arguments.fold, figures, arguments.models)


if __name__ == "__main__":
    main()
