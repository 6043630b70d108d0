"""Whether figures that another run has measured are of this run's recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tumorseg_training.config import EnsembleConfig, TrainingConfig, reader_options_of
from tumorseg_training.datasets import cases_and_folds
from tumorseg_training.recorded_names import those_among
from TumorSegLib.errors import InputError
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.schema import to_dict
from TumorSegLib.support.words import some


class OtherRecipeError(InputError):
    """Figures are those of another model, network or data set."""


def recorded_recipe(model: ModelSpecification) -> dict[str, Any]:
    """Return what results keep of the recipe of the model measured; null is not known.

    How long and how fast it learnt is no part of that: the stages of a recipe differ in it.
    """
    datasets = model.provenance.datasets
    return _recipe(model, datasets[0].name if datasets else None)


def check_recipe(
    path: Path,
    content: Mapping[str, Any],
    config: TrainingConfig | EnsembleConfig,
    report: Callable[[str], None],
) -> None:
    """Refuse a results file that is not of the recipe of `config`.

    Results of earlier versions, which do not keep the recipe, are compared by model and patients;
    that is told.

    Args:
        path: of the file.
        content: of the one model in it.
        config: of the run whose card is to have the figures.
        report: takes lines for the user.

    Raises:
        OtherRecipeError: it is of another model, network or data set.
        InputError: the data set cannot be read.
    """
    mine = _recipe(config.model, Path(config.data.folder).name)
    found = content.get("recipe", {"model": content["summary"]["model"]})
    for what, value in mine.items():
        if None not in (value, found.get(what)) and found[what] != value:
            raise OtherRecipeError(
                f"{path}: holds figures of {what} {_text(found[what])}, this run's is"
                f" {_text(value)}; expected those of a run of the same recipe"
            )
    cases, _ = cases_and_folds(config.data, reader_options_of(config.model, config.data))
    measured = {str(case["patient"]) for case in content.get("cases", ())}
    if measured and not those_among(measured, {case.patient for case in cases.cases}):
        raise OtherRecipeError(
            f"{path}: holds figures of patients {some(sorted(measured))}, none of whom is in"
            f" {config.data.folder}; expected those of a run of the same recipe"
        )
    if "recipe" not in content:
        report(
            f"{path}: an earlier version wrote it and did not note network and data set, which are"
            " taken to be this run's"
        )


def _recipe(model: ModelSpecification, data: str | None) -> dict[str, Any]:
    network = None if model.network is None else json.loads(json.dumps(to_dict(model.network)))
    members = list(model.members) or None
    return {"model": model.id, "network": network, "members": members, "data": data}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
