"""Every fold kept aside once: as many trainings, one honest figure over all patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.config import TrainingConfig
from training.datasets import select_cases, with_patients
from training.evaluation import Evaluation, Report, evaluate
from training.publishing import RESULTS, publish, write_results
from training.readers import read_cases
from training.splits import folds_of
from training.train import Devices, train
from TumorSegLib.bundle import read_bundle
from TumorSegLib.errors import InputError

FOLDER = "cross-validation"


def cross_validate(
    config: TrainingConfig,
    folder: Path,
    *,
    resume: bool,
    devices: Devices,
    report: Report,
    progress: bool,
) -> tuple[Path, Path] | None:
    """Train a model a fold in `folder`/cross-validation and measure each on its fold.

    Folds that are finished are not trained again with `resume`.

    Returns:
        The results as JSON and as a page; nothing in processes that only help.

    Raises:
        InputError: there are no folds, or the data do not fit the config.
    """
    if config.data.folds is None:
        raise InputError("data.folds: missing; cross-validation needs folds")
    evaluations: list[Evaluation] = []
    for fold in fold_names(config):
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
    if not evaluations:
        return None
    pooled = Evaluation(
        config.model.id,
        config.model,
        tuple(case for item in evaluations for case in item.cases),
        tuple(failure for item in evaluations for failure in item.failed),
    )
    title = f"{config.model.title}: cross-validation over {len(evaluations)} folds"
    return write_results([pooled], folder / FOLDER / RESULTS, title)


def fold_names(config: TrainingConfig) -> list[str]:
    """Return the names of the folds."""
    data = config.data
    assert data.folds is not None
    found = read_cases(Path(data.folder).expanduser(), data.layout, config.reading)
    patients = (case.patient for case in with_patients(found.cases, data))
    return list(folds_of(data.folds, patients, config.optimisation.seed))
