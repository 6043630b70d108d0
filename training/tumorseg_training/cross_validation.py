"""Every fold kept aside once: as many trainings, one honest figure over all patients."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tumorseg_training.begun import check_begun
from tumorseg_training.candidates import Fold, judged
from tumorseg_training.case import ReaderOptions
from tumorseg_training.config import Data, EnsembleConfig, TrainingConfig, reader_options_of
from tumorseg_training.datasets import cases_and_folds, cases_aside, select_cases
from tumorseg_training.evaluation import Evaluation, Report, evaluate
from tumorseg_training.fold_training import trained_folds
from tumorseg_training.patient_folds import named_folds
from tumorseg_training.patients_apart import check_members
from tumorseg_training.publishing import CROSS_VALIDATION, RESULTS, chose_epoch, write_results
from tumorseg_training.train import LAST
from tumorseg_training.whole_run import Running
from TumorSegLib.cohort.settings import WorkSharing
from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import read_bundle, write_bundle
from TumorSegLib.model.bundle_folder import FOREST_FILE
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.postprocessing import FalsePositiveFilter


def cross_validate(
    config: TrainingConfig,
    folder: Path,
    running: Running,
    *,
    folds: Sequence[str] = (),
    work: WorkSharing | None = None,
) -> tuple[Path, Path] | None:
    """Train a model a fold in `folder`/cross-validation and measure each on its fold.

    Folds that are finished are not trained again on resuming. Where the model's candidates are
    to be judged, the folds' models get a forest each, and `folder`/cross-validation one for all.

    Args:
        config: of the runs.
        folder: of the runs.
        running: how they are carried out.
        folds: names of those to keep aside; several joined by "+" share a run; all if empty.
        work: shared out among workers on Ray; None: one after the other in this process.

    Returns:
        The results as JSON and as a page; nothing in processes that only help.

    Raises:
        InputError: there are no folds, the data do not fit the config, or a fold to go on with was
            begun with other settings or patients.
        TumorSegError: there is no Ray, or a worker ended.
    """
    here = folder / CROSS_VALIDATION
    found: dict[str, Fold] = {}
    configs = {
        name: replace(config, data=replace(config.data, validate=name))
        for name in chosen_folds(config.data, config.reading, config.optimisation.seed, folds)
    }
    selected = {name: select_cases(chosen) for name, chosen in configs.items()}
    cases = {name: selection.validation for name, selection in selected.items()}
    for name in configs:
        done = running.resume and (here / name / RESULTS).is_file()
        if done or (running.resume and (here / name / LAST).exists()):
            check_begun(here / name, configs[name], selected[name].split, running.report)
        if done:
            found[name] = Fold(read_bundle(here / name / config.model.id), cases[name])
    missing = {name: chosen for name, chosen in configs.items() if name not in found}
    with closing(trained_folds(missing, here, running, work if missing else None)) as trained:
        for name, published in trained:
            if published is not None:
                found[name] = Fold(published.bundle, cases[name], evaluation=published.evaluation)
    ordered = [found[name] for name in configs if name in found]
    return pooled(ordered, config.model.candidates, folder, running.report) if ordered else None


def cross_validate_ensemble(
    config: EnsembleConfig, folder: Path, *, folds: Sequence[str] = (), report: Report
) -> tuple[Path, Path]:
    """Measure an ensemble of the models that its members' cross-validations have left.

    These lie beside `folder`, in MEMBER/cross-validation/FOLD. Nothing is trained.

    Returns:
        The results as JSON and as a page.

    Raises:
        InputError: there are no folds, or a member has learnt from whom a fold keeps aside.
        ModelError: a member has no model for a fold.
    """
    reading = reader_options_of(config.model, config.data)
    members = config.model.members
    found = []
    for name in chosen_folds(config.data, reading, 0, folds):
        cases = cases_aside(replace(config.data, validate=name), reading)
        models = Catalogue.of(
            [folder.parent / member / CROSS_VALIDATION / name for member in members]
        )
        check_members(models, members, cases, name)
        bundle = write_bundle(
            folder / CROSS_VALIDATION / name / config.model.id, config.model, None, card=""
        )
        found.append(Fold(bundle, cases, models))
    return pooled(found, config.model.candidates, folder, report)


def pooled(
    folds: Sequence[Fold], wanted: FalsePositiveFilter | None, folder: Path, report: Report
) -> tuple[Path, Path]:
    """Measure the folds' models, which judge their candidates if that is `wanted`.

    Returns:
        The results as JSON and as a page.
    """
    if wanted is not None:
        folds = judged(folds, wanted, folder / CROSS_VALIDATION / FOREST_FILE, report)
    evaluations = [
        fold.evaluation
        or evaluate(
            fold.bundle,
            fold.cases,
            catalogue=fold.catalogue,
            report=report,
            first_channel_alone=True,
        )
        for fold in folds
    ]
    return write_pooled(evaluations, folder)


def write_pooled(evaluations: Sequence[Evaluation], folder: Path) -> tuple[Path, Path]:
    """Write the evaluations of the folds as one, over the patients of all."""
    whole = Evaluation(
        evaluations[0].name,
        evaluations[0].model,
        tuple(case for item in evaluations for case in item.cases),
        tuple(failure for item in evaluations for failure in item.failed),
    )
    title = f"{whole.model.title}: cross-validation over {len(evaluations)} folds"
    chose = any(chose_epoch(item.model) for item in evaluations)
    return write_results([whole], folder / CROSS_VALIDATION / RESULTS, title, chose=chose)


def chosen_folds(data: Data, reading: ReaderOptions, seed: int, names: Sequence[str]) -> list[str]:
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
