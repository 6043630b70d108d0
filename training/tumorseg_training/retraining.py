"""A model trained further on corrected cases, and compared with the one that it started from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tumorseg_training.case import Case
from tumorseg_training.comparison import NEW, OLD, Pair, in_words, write_comparison
from tumorseg_training.data_module import left_out
from tumorseg_training.deadline import Deadline
from tumorseg_training.evaluation import Evaluation, evaluate
from tumorseg_training.looked_through import unreviewed
from tumorseg_training.progress import ProgressLog, Watched
from tumorseg_training.publishing import write_model
from tumorseg_training.retraining_plan import (
    CaseSplit,
    RetrainPlan,
    RetrainRequest,
    base_model,
    choose,
    planned,
    read_plan,
    read_sets,
)
from tumorseg_training.retraining_recipe import config_for, origin_of
from tumorseg_training.run_folder import check_run_folder, default_folder, is_finished
from tumorseg_training.summary import evaluation_record, summary
from tumorseg_training.train import LAST, Devices, train
from tumorseg_training.versions import alone_in, next_version, reserved_version
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.model.bundle import Bundle, load_forest
from TumorSegLib.model.bundle_folder import SPECIFICATION_FILE, check_place_of_bundle
from TumorSegLib.model.catalogue import default_catalogue, user_folder
from TumorSegLib.model.default_models import make_default
from TumorSegLib.support import leftovers
from TumorSegLib.support.atomic_write import PREFIX, write_whole
from TumorSegLib.support.schema import to_dict
from TumorSegLib.support.words import counted
from TumorSegLib.worker.retrain_events import (
    PLAN,
    Failed,
    Finished,
    Measuring,
    Planned,
    Stopped,
)

Report = Callable[[str], None]

DRAFT = ".draft-"
"""Begins the name of the folder of a model that is not yet compared."""


@dataclass(frozen=True)
class Retrained:
    """A finished run: the new bundle, both models' figures, and what to read about them.

    The bundle lies with the user's models if it is better, else in the run's folder.
    """

    bundle: Bundle
    comparison: dict[str, Any]
    page: Path


def retrain(
    request: RetrainRequest,
    folder: Path | None = None,
    *,
    resume: bool = False,
    devices: Devices | None = None,
    report: Report = print,
    progress: bool = True,
) -> Retrained:
    """Train the base further on corrected cases and compare the two.

    Args:
        request: what to do.
        folder: of the run's files; runs/<id of the new model> if not given.
        resume: go on with the run in `folder`.
        devices: what to compute on.
        report: takes lines for the user.
        progress: show a bar.

    Raises:
        InputError: data sets, base or folder cannot be used; nothing was written.
        ModelError: there is no such base.
        OutputError: something cannot be written.
        KeyboardInterrupt: the run was stopped and can be resumed.
    """
    devices = devices or Devices()
    base = base_model(request.base)
    new, old = read_sets(request, base.specification)
    begun = None
    if resume:
        folder = folder or default_folder(next_version(base.specification, _ids_in_use())[0])
        begun = read_plan(folder, base)
    wanted = None if begun is None else (begun.id, begun.version)
    with reserved_version(base.specification, user_folder(), _ids_in_use, wanted) as version:
        folder = folder or default_folder(version[0])
        check_run_folder(folder, [request.dataset, *filter(None, [request.old_cases])])
        if begun is None and (folder / LAST).exists():
            raise InputError(
                f"{folder}: holds a run already; go on with --resume, or choose another folder by"
                " -o"
            )
        if is_finished(folder):
            leftovers.remove_left_over(folder, PREFIX)
            raise InputError(f"{folder}: holds a finished run; choose another folder by -o")
        if begun is None:
            plan = planned(request, base, new, old, *version)
        else:
            plan = replace(begun, id=version[0], version=version[1])
        chosen = choose(plan, new, old, request)
        with alone_in(folder), _told_how_it_ends(folder) as log:
            return _run(request, plan, base, chosen, folder, log, resume, devices, report, progress)


@contextmanager
def _told_how_it_ends(folder: Path) -> Iterator[ProgressLog]:
    """Yield the progress file of a run, and say in it how the run ends."""
    log = ProgressLog(folder)
    try:
        yield log
    except KeyboardInterrupt:
        log.stop.unlink(missing_ok=True)
        log.write(Stopped((folder / LAST).exists()))
        raise
    except Exception as error:
        log.write(Failed(" ".join(str(error).split()) or type(error).__name__))
        raise


def _run(
    request: RetrainRequest,
    plan: RetrainPlan,
    base: Bundle,
    chosen: CaseSplit,
    folder: Path,
    log: ProgressLog,
    resume: bool,
    devices: Devices,
    report: Report,
    progress: bool,
) -> Retrained:
    check_place_of_bundle(folder / plan.id)  # where a model that is not better will lie
    write_whole(folder / PLAN, json.dumps(to_dict(plan), indent=2) + "\n")
    for item in chosen.unusable:
        report(left_out(item))
    if names := unreviewed(request.dataset, (*chosen.training, *chosen.held_out)):
        report(f"not marked as reviewed: {', '.join(names)}")
    counts = {name: len(patients) for name, patients in chosen.split.items()}
    log.write(Planned(plan.id, plan.version, plan.base[0], counts))
    report(_told(plan, counts))
    config = config_for(plan, base, chosen, request)
    callbacks = [Deadline(config.optimisation, plan.seconds)] if plan.seconds is not None else []
    trained = train(
        config,
        folder,
        resume=resume,
        devices=devices,
        report=report,
        progress=progress,
        selection=chosen.selection,
        more_callbacks=[*callbacks, Watched(log)],
        validate_first=True,
    )
    learnt = opened(chosen, trained.split)
    trained = replace(
        trained,
        left_out=(f"{len(trained.left_out)} cases or notes",) if trained.left_out else (),
        split=learnt.split | {"earlier": sorted(base.specification.provenance.trained_on)},
    )
    origin = origin_of(plan, base, learnt, request)
    forest = load_forest(base)
    for left in folder.glob(f"{DRAFT}*"):  # by a killed run; no other is at work in this folder
        leftovers.remove(left)
    with draft_folder(folder) as drafts:
        place = drafts / plan.id
        draft = write_model(config, trained, place, forest=forest, origin=origin)
        pairs = compared(base, draft, chosen, devices.accelerator, log, report)
    title = f"{config.model.title}, beside version {base.specification.version}"
    comparison = write_comparison(pairs, folder, title)
    page = folder / "comparison.html"
    measured = evaluation_record(
        summary(pairs[0].retrained),
        f"held-out patients of {request.dataset.name}",
        comparison={key: comparison[key] for key in ("base", "better", "reason", "rows")},
    )
    better: bool = comparison["better"]
    target = (user_folder() if better else folder) / plan.id
    card = replace(config.card, data=f"{config.card.data} {in_words(comparison['rows'])}")
    config = replace(config, card=card)
    bundle = write_model(config, trained, target, measured=measured, forest=forest, origin=origin)
    made_default = request.as_default and better
    if made_default:
        make_default(bundle.specification, user_folder())
    log.write(
        Finished(
            id=bundle.id,
            version=plan.version,
            folder=str(bundle.folder),
            better=better,
            reason=comparison["reason"],
            default=made_default,
            rows=tuple(comparison["rows"]),
            page=str(page.resolve()),
        )
    )
    remove_checkpoints(folder, report)  # nothing is left to resume
    return Retrained(bundle, comparison, page)


def opened(chosen: CaseSplit, trained: Mapping[str, list[str]]) -> CaseSplit:
    """Return the cases of a plan without those of patients of whom none could be decoded.

    Args:
        chosen: cases as planned; old ones that are only measured on are left as they are.
        trained: patients whose cases the training opened, by use.
    """
    patients = {patient for group in trained.values() for patient in group}

    def of_these(cases: Sequence[Case]) -> tuple[Case, ...]:
        return tuple(case for case in cases if case.patient in patients)

    return replace(
        chosen,
        training=of_these(chosen.training),
        held_out=of_these(chosen.held_out),
        old_training=of_these(chosen.old_training),
    )


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder in `folder` that goes away again.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        drafts = TemporaryDirectory(dir=folder, prefix=DRAFT, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from None
    with drafts as name:
        yield Path(name)


def remove_checkpoints(folder: Path, report: Report) -> None:
    """Remove a run's checkpoints; one that stays is only told, as the model is there already."""
    last = folder / LAST  # goes last: without it the run counts as finished
    for checkpoint in sorted(folder.glob("*.ckpt"), key=lambda path: path == last):
        try:
            checkpoint.unlink()
        except OSError as error:
            report(
                f"{checkpoint}: cannot be removed ({error.strerror or error}); it has no use now"
            )


def compared(
    base: Bundle,
    retrained: Bundle,
    chosen: CaseSplit,
    device: str,
    log: ProgressLog,
    report: Report,
) -> tuple[Pair, ...]:
    """Return both models' figures on held-out cases, new and old.

    Raises:
        InputError: a model could measure no case.
        KeyboardInterrupt: the run is to stop.
    """
    sets = [(NEW, chosen.held_out), (OLD, chosen.old_held_out)]
    sets = [(name, cases) for name, cases in sets if cases]
    total = 2 * sum(len(cases) for _, cases in sets)
    done = 0

    def measured(bundle: Bundle, cases: Sequence[Case], name: str) -> Evaluation:
        def told(line: str) -> None:
            nonlocal done
            done += 1
            log.write(Measuring(bundle.id, done, total))
            log.check_stop()
            report(line)

        report(f"measuring {bundle.id} on {counted(len(cases), f'held-out {name} case')}")
        found = evaluate(bundle, cases, device=device, report=told)
        return replace(found, name=f"{bundle.id}, {name} cases")

    return tuple(
        Pair(name, measured(base, cases, name), measured(retrained, cases, name))
        for name, cases in sets
    )


def _told(plan: RetrainPlan, counts: Mapping[str, int]) -> str:
    old = ""
    if counts["old_training"] or counts["old_validation"]:
        old = (
            f"; old patients: {counts['old_training']} to train on,"
            f" {counts['old_validation']} held out"
        )
    return (
        f"{plan.base[0]} {plan.base[1]} becomes {plan.id}; patients: {counts['training']} to train"
        f" on, {counts['validation']} held out{old}"
    )


def _ids_in_use() -> set[str]:
    folder = user_folder()
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    present |= {path.parent.name for path in Path("runs").glob(f"*/*/{SPECIFICATION_FILE}")}
    return present | {bundle.id for bundle in default_catalogue().bundles}
