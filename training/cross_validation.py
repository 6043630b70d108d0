"""Every fold kept aside once: as many trainings, one honest figure over all patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.case import Reading
from training.config import Data, EnsembleConfig, TrainingConfig, reading_of
from training.datasets import cases_and_folds, cases_aside, select_cases
from training.evaluation import Evaluation, Report, evaluate
from training.publishing import RESULTS, publish, write_results
from training.splits import named_folds
from training.train import Devices, train
from TumorSegLib.bundle import read_bundle, write_bundle
from TumorSegLib.catalogue import Catalogue
from TumorSegLib.errors import InputError

FOLDER = "cross-validation"


def cross_validate(
    config: TrainingConfig,
    folder: Path,
    *,
    folds: Sequence[str] = (),
    resume: bool,
    devices: Devices,
    report: Report,
    progress: bool,
) -> tuple[Path, Path] | None:
    """Train a model a fold in `folder`/cross-validation and measure each on its fold.

    Folds that are finished are not trained again with `resume`.

    Args:
        config: of the runs.
        folder: of the runs.
        folds: names of those to keep aside; several joined by "+" share a run; all if empty.
        resume: go on with what a run before has left.
        devices: to train on.
        report: takes lines for the user.
        progress: whether to show progress.

    Returns:
        The results as JSON and as a page; nothing in processes that only help.

    Raises:
        InputError: there are no folds, or the data do not fit the config.
    """
    evaluations: list[Evaluation] = []
    for fold in chosen_folds(config.data, config.reading, config.optimisation.seed, folds):
        here = folder / FOLDER / fold
        chosen = replace(config, data=replace(config.data, validate=fold))
        if resume and (here / RESULTS).is_file():
            bundle = read_bundle(here / config.model.id)
            evaluations.append(evaluate(bundle, select_cases(chosen).validation))
            continue
        report(f"fold {fold}")
        trained = train(
            chosen, here, resume=resume, devices=devices, report=report, progress=progress
        )
        if trained.main:
            published = publish(chosen, trained, here, report)
            assert published.evaluation is not None
            evaluations.append(published.evaluation)
    return write_pooled(evaluations, folder) if evaluations else None


def cross_validate_ensemble(
    config: EnsembleConfig, folder: Path, *, folds: Sequence[str] = (), report: Report
) -> tuple[Path, Path]:
    """Measure an ensemble of the models that its members' cross-validations have left.

    These lie beside `folder`, in MEMBER/cross-validation/FOLD. Nothing is trained.

    Returns:
        The results as JSON and as a page.

    Raises:
        InputError: there are no folds.
        ModelError: a member has no model for a fold.
    """
    reading = reading_of(config.model, config.data)
    evaluations = []
    for fold in chosen_folds(config.data, reading, 0, folds):
        report(f"fold {fold}")
        cases = cases_aside(replace(config.data, validate=fold), reading)
        models = Catalogue.of(
            [folder.parent / name / FOLDER / fold for name in config.model.members]
        )
        bundle = write_bundle(folder / FOLDER / fold / config.model.id, config.model, None, card="")
        evaluations.append(evaluate(bundle, cases, catalogue=models, report=report))
    return write_pooled(evaluations, folder)


def write_pooled(evaluations: Sequence[Evaluation], folder: Path) -> tuple[Path, Path]:
    """Write the evaluations of the folds as one, over the patients of all."""
    pooled = Evaluation(
        evaluations[0].name,
        evaluations[0].model,
        tuple(case for item in evaluations for case in item.cases),
        tuple(failure for item in evaluations for failure in item.failed),
    )
    title = f"{pooled.model.title}: cross-validation over {len(evaluations)} folds"
    return write_results([pooled], folder / FOLDER / RESULTS, title)


def chosen_folds(data: Data, reading: Reading, seed: int, names: Sequence[str]) -> list[str]:
    """Return what to keep aside in turn: a fold, or several joined by "+"; by default every fold.

    Raises:
        InputError: there are no folds, or none of such a name, or one is named twice.
    """
    if data.folds is None:
        raise InputError("data.folds: missing; cross-validation needs folds")
    _, folds = cases_and_folds(data, reading, seed=seed)
    single = [fold for name in names for fold in named_folds(name, folds, "--cross-validate")]
    if twice := [fold for fold in folds if single.count(fold) > 1]:
        raise InputError(f"--cross-validate: {twice[0]} is named twice; its patients count once")
    return list(names or folds)
