"""The stages of a recipe one after the other; what is done already is not done again.

A part's folder has, beside the run's files, `stage.json` once it is done: with which settings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tumorseg_training.begun import check_patients
from tumorseg_training.candidates import Fold, read_forest
from tumorseg_training.config import Part, Recipe, TrainingConfig
from tumorseg_training.cross_validation import pooled
from tumorseg_training.datasets import select_cases
from tumorseg_training.evaluation import Evaluation
from tumorseg_training.patients_apart import check_stages
from tumorseg_training.publishing import CROSS_VALIDATION, RESULTS, figures_of
from tumorseg_training.train import LAST
from tumorseg_training.whole_run import Running, train_and_publish
from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.model.bundle_folder import check_place_of_bundle
from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.support.schema import parsed, to_dict

DONE = "stage.json"


def run_recipe(
    recipe: Recipe, folder: Path, running: Running, *, names: Sequence[str] = ()
) -> list[Path]:
    """Train the stages of a recipe, each in a folder of its name in `folder`.

    Args:
        recipe: to follow.
        folder: of all its runs.
        running: how runs are carried out; parts that are done are left as they are on resuming.
        names: of the stages to train; all if empty.

    Returns:
        What was written for the user: bundles, and the figures of what was cross-validated.

    Raises:
        InputError: there is no such stage, an earlier one that it needs is not done, there are
            runs already and this is not to go on with them, one was done with other settings or
            patients, or one has learnt from whom a later one keeps aside.
    """
    chosen = chosen_parts(recipe, names)
    before = {id(part) for part in chosen if _is_done(part, folder)}
    if not running.resume and any((place(part, folder) / LAST).exists() for part in chosen):
        raise InputError(
            f"{folder}: holds runs of this recipe already; go on with --resume, or choose another"
            " folder by -o"
        )
    check_all_patients(recipe, chosen, folder, running)
    for part in chosen:
        check_place_of_bundle(place(part, folder) / part.config.model.id)
    written: list[Path] = []
    evaluations: dict[str, Evaluation | None] = {}
    for part in chosen:
        here = place(part, folder)
        if id(part) in before:
            running.report(f"{_called(part, recipe)}: done already")
        else:
            running.report(_called(part, recipe))
            published = train_and_publish(
                _started(part, recipe, folder), here, running, **_of_others(part, recipe, folder)
            )
            if published is None:
                continue
            _finish(part, here)
            written.append(published.bundle.folder)
            evaluations[part.folds] = published.evaluation
        if part.stage.name in recipe.crossed and part is recipe.of_stage(part.stage.name)[-1]:
            written += _pooled(recipe, part.stage.name, folder, running, evaluations)
        if part is recipe.of_stage(part.stage.name)[-1]:
            evaluations = {}
    return written


def place(part: Part, folder: Path) -> Path:
    """Return the folder of a part's run."""
    stage = folder / part.stage.name
    return stage / CROSS_VALIDATION / part.folds if part.folds else stage


def chosen_parts(recipe: Recipe, names: Sequence[str]) -> list[Part]:
    """Return the parts of the stages so named, in the recipe's order; of all if none is named.

    Raises:
        InputError: there is no such stage.
    """
    for name in names:
        if name not in recipe.names:
            raise InputError(f"--stage {name}: expected one of {', '.join(recipe.names)}")
    return [part for part in recipe.parts if not names or part.stage.name in names]


def check_all_patients(
    recipe: Recipe, chosen: Sequence[Part], folder: Path, running: Running
) -> None:
    """Check the patients of the parts to train and of all that these rest on.

    Raises:
        InputError: the data do not fit; a part was begun with other patients, or has learnt from
            whom a later one keeps aside.
    """
    needed = {
        other.key: other
        for part in chosen
        for other in (*recipe.sources(part), *recipe.of_stage(part.stage.measured), part)
    }
    selections = {key: select_cases(part.config) for key, part in needed.items()}
    for part in chosen:
        check_stages(recipe, part, selections)
    for key, part in needed.items():
        here = place(part, folder)
        if any((here / name).exists() for name in (LAST, DONE)):
            check_patients(here, selections[key].split, running.report)


def _called(part: Part, recipe: Recipe) -> str:
    number = recipe.names.index(part.stage.name) + 1
    aside = f", {part.folds} aside" if part.folds else ""
    return f"stage {number} of {len(recipe.names)}: {part.stage.name}{aside}"


def _started(part: Part, recipe: Recipe, folder: Path) -> TrainingConfig:
    """Return a part's settings with the weights that it starts from."""
    if part.start is None:
        return part.config
    source = recipe.sources(part)[0]
    checkpoint = place(source, folder) / LAST
    if not _is_done(source, folder):
        raise InputError(
            f"stage {part.stage.name} starts from {source.stage.name}, which is not done in"
            f" {checkpoint.parent}; train that first"
        )
    settings = replace(part.config.optimisation, start_from=str(checkpoint))
    return replace(part.config, optimisation=settings)


def _of_others(part: Part, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Return the figures and the forest of the stage that measures for this part."""
    if part.stage.measured is None:
        return {}
    source = recipe.of_stage(part.stage.measured)[0]
    home = place(source, folder)
    if source.folds:
        home = home.parent
    return {"measured": figures_of(home / RESULTS), "forest": read_forest(home)}


def _pooled(
    recipe: Recipe,
    name: str,
    folder: Path,
    running: Running,
    evaluations: dict[str, Evaluation | None],
) -> list[Path]:
    """Measure the parts of a stage together, unless that is done and none of them is new."""
    parts = recipe.of_stage(name)
    if not evaluations and (folder / name / CROSS_VALIDATION / RESULTS).is_file():
        return []
    found = [
        Fold(
            read_bundle(place(part, folder) / part.config.model.id),
            select_cases(part.config).validation,
            evaluation=evaluations.get(part.folds),
        )
        for part in parts
    ]
    wanted = parts[0].config.model.candidates
    return list(pooled(found, wanted, folder / name, running.report))


def _is_done(part: Part, folder: Path) -> bool:
    """Tell whether a part is done.

    Raises:
        InputError: it was done with other settings than it has now.
    """
    path = place(part, folder) / DONE
    try:
        recorded = parsed(path.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove its folder") from None
    if recorded == _settings(part):
        return True
    raise InputError(
        f"{path.parent}: stage {part.stage.name} is done with other settings than"
        f" {_difference(recorded, _settings(part)) or 'these'}; choose another folder by -o, or"
        " remove this one"
    )


def _finish(part: Part, here: Path) -> None:
    with atomic_write(here / DONE) as path:
        path.write_bytes(json.dumps(_settings(part), indent=1).encode())


def _settings(part: Part) -> Any:
    """Return what a part's weights follow from, as JSON has it."""
    settings = to_dict(part.config)
    settings.pop("card")
    settings["data"].pop("cache")
    settings["optimisation"].pop("workers")
    return parsed(json.dumps({**settings, "start_from": part.start}))


def _difference(old: Any, new: Any, where: str = "") -> str:
    """Return the first key, with its new value, that differs."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return f"{where} = {json.dumps(new)}"
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            return _difference(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))
    return ""
