"""Which cases a model is retrained on and which it is measured on, decided once for a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tumorseg_training.case import Case, CaseList, SkippedCase, reader_options_for
from tumorseg_training.config import Data
from tumorseg_training.datasets import Selection
from tumorseg_training.heldout_split import by_hash, held_out
from tumorseg_training.labelling import value_of
from tumorseg_training.looked_through import without_untouched
from tumorseg_training.readers import read_cases
from tumorseg_training.readers.nnunet import structures_of
from tumorseg_training.recorded_names import those_among
from TumorSegLib.errors import InputError
from TumorSegLib.export.dataset import CASES
from TumorSegLib.export.identity import export_key
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.schema import SchemaError, from_dict, parsed
from TumorSegLib.worker.retrain_events import PLAN

LAYOUT = "nnunet"
EPOCHS = 10
MOST_EPOCHS = 1000
"""Under a time limit, for which the number of epochs is not known beforehand."""

LEARNING_RATE = 2e-4
"""A fifth of what models are trained with from scratch: what the base knows is to stay."""

OLD_MEASURED = 8
"""Most old patients that are measured on."""


@dataclass(frozen=True)
class RetrainRequest:
    """What the user asks for.

    Attributes:
        dataset: corrected cases, in nnU-Net's raw layout.
        base: id or folder of the model to start from.
        epochs: how many; none: as many as `hours` allow, or `EPOCHS`.
        hours: of training at most.
        old_cases: a data set of old cases to mix in against forgetting.
        old_layout: its layout.
        old_count: patients taken from it; none: as many as there are new ones to train on.
        labels: from structures of the data sets to the model's values, where names differ.
        learning_rate: the largest.
        cache: folder for decoded slices.
        as_default: make the new model the default if it is better.
    """

    dataset: Path
    base: str
    epochs: int | None = None
    hours: float | None = None
    old_cases: Path | None = None
    old_layout: str = LAYOUT
    old_count: int | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    learning_rate: float = LEARNING_RATE
    cache: str = Data.cache
    as_default: bool = False

    def __post_init__(self) -> None:
        if self.epochs is not None and self.hours is not None:
            raise InputError("--epochs and --hours: expected one of them")
        if self.epochs is not None and not 1 <= self.epochs <= MOST_EPOCHS:
            raise InputError(f"--epochs: found {self.epochs}, expected 1 to {MOST_EPOCHS}")
        if self.hours is not None and not 0 < self.hours <= 1000:
            raise InputError(f"--hours: found {self.hours:g}, expected more than 0, at most 1000")
        if not 0 < self.learning_rate <= 10:
            raise InputError(
                f"--learning-rate: found {self.learning_rate:g}, expected more than 0, at most 10"
            )
        if self.old_count is not None and self.old_count < 1:
            raise InputError(f"--old-count: found {self.old_count}, expected 1 or more")


@dataclass(frozen=True)
class RetrainPlan:
    """What a run begins with and a resumed run goes on with; it is kept in the run's folder.

    Attributes:
        id: of the model to be.
        version: of the model to be.
        base: id, version and SHA-256 of the weights of the base.
        epochs: at most.
        learning_rate: the largest.
        training: cases by name.
        held_out: cases of patients that are measured on.
        seconds: of training at most; none: as long as the epochs take.
        old_training: likewise, of the old cases.
        old_held_out: likewise.
        old_seen: whether the base was, or may have been, trained on those old held-out cases.
    """

    id: str
    version: str
    base: tuple[str, str, str]
    epochs: int
    learning_rate: float
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    seconds: float | None = None
    old_training: tuple[str, ...] = ()
    old_held_out: tuple[str, ...] = ()
    old_seen: bool = False


@dataclass(frozen=True)
class CaseSplit:
    """The cases of a plan."""

    training: tuple[Case, ...]
    held_out: tuple[Case, ...]
    old_training: tuple[Case, ...]
    old_held_out: tuple[Case, ...]
    unusable: tuple[SkippedCase, ...]

    @property
    def selection(self) -> Selection:
        """What training takes; while it goes on, new cases alone are validated on."""
        return Selection((*self.training, *self.old_training), (), self.held_out, self.unusable)

    @property
    def split(self) -> dict[str, list[str]]:
        """Patients by what they are used for."""
        return {
            "training": patients_of(self.training),
            "validation": patients_of(self.held_out),
            "old_training": patients_of(self.old_training),
            "old_validation": patients_of(self.old_held_out),
        }


def base_model(name: str) -> Bundle:
    """Return the model to start from.

    Raises:
        ModelError: there is none of that name.
        InputError: it cannot be retrained.
    """
    catalogue = default_catalogue()
    base = catalogue.find(name)
    model = base.specification
    if model.network is None:
        raise InputError(
            f"model {base.id}: is an ensemble, expected a single network; retrain one of"
            f" {', '.join(model.members)}"
        )
    if model.task != "segmentation":
        raise InputError(f"model {base.id}: is for {model.task}, expected one that segments")
    return base


def read_sets(request: RetrainRequest, model: ModelSpecification) -> tuple[CaseList, CaseList]:
    """Return the cases of the data set and the old ones, none if there are no old ones.

    Raises:
        InputError: a folder cannot be used, or its structures are not the model's.
    """
    new = without_untouched(_read(request.dataset, LAYOUT, request, model), request.dataset)
    if request.old_cases is None:
        return new, CaseList(())
    if request.old_cases.resolve() == request.dataset.resolve():
        raise InputError(
            f"--old-cases {request.old_cases}: is the data set itself, expected another"
        )
    return new, _read(request.old_cases, request.old_layout, request, model)


def _read(
    folder: Path, layout: str, request: RetrainRequest, model: ModelSpecification
) -> CaseList:
    labels = request.labels
    if layout == LAYOUT:
        labels = labels_for(structures_of(folder), model, request.labels, folder)
    found = read_cases(folder, layout, reader_options_for(model, labels=labels))
    if layout != LAYOUT:
        return found
    return replace(found, cases=_without_names(found.cases, folder, model.provenance.trained_on))


def _without_names(cases: Iterable[Case], folder: Path, known: frozenset[str]) -> tuple[Case, ...]:
    """Return cases whose patients are no names of files, which may be people's.

    A case without a side file is its own patient, by the name of its files. Models record patients,
    so such a name becomes a keyed hash, unless the base's `model.json` has the name already.
    """
    key = export_key()
    return tuple(
        case
        if case.patient in known or (folder / CASES / f"{case.name}.json").exists()
        else replace(case, patient=key.patient(case.patient))
        for case in cases
    )


def labels_for(
    structures: Mapping[int, str], model: ModelSpecification, given: Mapping[str, int], folder: Path
) -> dict[str, int]:
    """Return the model's value for each value of a data set, matched by name.

    Args:
        structures: names by value.
        model: whose labels count.
        given: what the user says, from names, patterns or numbers to values.
        folder: of the data set, for messages.

    Raises:
        InputError: a structure is none of the model's.
    """
    own = {label.name.casefold(): label.value for label in model.labels}
    found, unknown = {}, []
    for value, name in structures.items():
        target = value_of(name, given, value)
        if target is None:
            target = 0 if value == 0 else own.get(name.casefold())
        if target is None:
            unknown.append(f"{name} ({value})")
        else:
            found[str(value)] = target
    if unknown:
        labels = ", ".join(f"{label.name} ({label.value})" for label in model.labels)
        raise InputError(
            f"{folder}: structures {', '.join(unknown)} are no labels of {model.id} ({labels}); say"
            " what they are by --label STRUCTURE=VALUE, 0 for background"
        )
    return found


def planned(
    request: RetrainRequest,
    base: Bundle,
    new: CaseList,
    old: CaseList,
    new_id: str,
    new_version: str,
) -> RetrainPlan:
    """Decide who is trained on and who is measured on.

    Raises:
        InputError: there are too few patients.
    """
    weights = base.specification.weights
    assert weights is not None
    trained_on = base.specification.provenance.trained_on
    patients = patients_of(new.cases)
    seen = those_among(patients_of((*new.cases, *old.cases)), trained_on)
    again = those_among(patients_of(old.cases), patients)
    aside = held_out(patients, seen, str(request.dataset))
    learners = [patient for patient in patients if patient not in aside]
    others = tuple(case for case in old.cases if case.patient not in again)
    if request.old_cases is not None and not others:
        raise InputError(f"--old-cases {request.old_cases}: holds no case of a further patient")
    count = request.old_count or len(learners)
    ordered = by_hash(case.patient for case in others)
    unseen = [patient for patient in ordered if patient not in seen]
    if 0 < len(unseen) < len(ordered):
        old_aside, rest = unseen[:OLD_MEASURED], [p for p in ordered if p in seen]
    else:
        half = max(1, len(ordered) // 2)
        old_aside, rest = ordered[: min(half, OLD_MEASURED)], ordered[half:]
    return RetrainPlan(
        new_id,
        new_version,
        (base.id, base.specification.version, weights.sha256),
        MOST_EPOCHS if request.hours is not None else request.epochs or EPOCHS,
        request.learning_rate,
        seconds=request.hours * 3600 if request.hours is not None else None,
        training=_named(new.cases, learners),
        held_out=_named(new.cases, aside),
        old_training=_named(others, rest[:count]),
        old_held_out=_named(others, old_aside),
        old_seen=not (trained_on and unseen),
    )


def read_plan(folder: Path, base: Bundle) -> RetrainPlan:
    """Return the plan of the run in `folder`.

    Raises:
        InputError: there is none, or it started from another base.
    """
    path = folder / PLAN
    try:
        plan = from_dict(RetrainPlan, parsed(path.read_text(encoding="utf-8")))
    except OSError:
        raise InputError(f"{folder}: holds no run to resume; start one without --resume") from None
    except (ValueError, SchemaError) as error:
        raise InputError(f"{path}: not a plan of a run: {error}") from None
    weights = base.specification.weights
    if weights is None or plan.base[2] != weights.sha256:
        raise InputError(
            f"{folder}: the run started from {plan.base[0]} {plan.base[1]}, found"
            f" {base.id} {base.specification.version}; resume with the same base"
        )
    return plan


def choose(plan: RetrainPlan, new: CaseList, old: CaseList, request: RetrainRequest) -> CaseSplit:
    """Return the cases that a plan names.

    Raises:
        InputError: one is gone.
    """

    def named(names: Iterable[str], found: CaseList, folder: Path | None) -> tuple[Case, ...]:
        cases = {case.name: case for case in found.cases}
        if missing := [name for name in names if name not in cases]:
            raise InputError(
                f"{folder}: case {missing[0]} is gone, with which the run began; start another run"
            )
        return tuple(cases[name] for name in names)

    return CaseSplit(
        named(plan.training, new, request.dataset),
        named(plan.held_out, new, request.dataset),
        named(plan.old_training, old, request.old_cases),
        named(plan.old_held_out, old, request.old_cases),
        (*new.unusable, *old.unusable),
    )


def patients_of(cases: Iterable[Case]) -> list[str]:
    """Return whom cases show."""
    return sorted({case.patient for case in cases})


def _named(cases: Iterable[Case], patients: Iterable[str]) -> tuple[str, ...]:
    wanted = set(patients)
    return tuple(case.name for case in cases if case.patient in wanted)
