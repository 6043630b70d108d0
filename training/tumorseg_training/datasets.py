"""The cases of a run: which are trained on and which are kept aside, patients apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tumorseg_training.case import Case, CaseList, ReaderOptions, SkippedCase
from tumorseg_training.config import Data, ExtraDataset, TrainingConfig, reader_options_of
from tumorseg_training.patient_folds import Folds, fold_notes, folds_of, named_folds
from tumorseg_training.readers import read_cases
from tumorseg_training.started_from import check_not_seen
from tumorseg_training.synthesis import synthetic_cases
from TumorSegLib.errors import InputError
from TumorSegLib.support.schema import parsed
from TumorSegLib.support.words import counted, some


@dataclass(frozen=True)
class Selection:
    """The cases of a run.

    Attributes:
        training: real cases to learn from, of the data set and the further ones.
        synthetic: made from label volumes.
        validation: real cases of patients that are in neither.
        unusable: what is left out, and why.
        notes: what is amiss with the files of patients and folds.
    """

    training: tuple[Case, ...]
    synthetic: tuple[Case, ...]
    validation: tuple[Case, ...]
    unusable: tuple[SkippedCase, ...]
    notes: tuple[str, ...] = ()

    @property
    def learnt(self) -> frozenset[str]:
        """Patients who are learnt from, by images or by label volumes."""
        return frozenset(case.patient for case in (*self.training, *self.synthetic))

    @property
    def split(self) -> dict[str, list[str]]:
        """Patients by what they are used for."""
        return split_of(self.training, self.validation)


class OfPatient(Protocol):
    """A case, decoded or not."""

    @property
    def patient(self) -> str:
        """Whom it shows."""


def split_of(
    training: Iterable[OfPatient], validation: Iterable[OfPatient]
) -> dict[str, list[str]]:
    """Return the patients of cases by what these are used for."""
    return {
        "training": sorted({case.patient for case in training}),
        "validation": sorted({case.patient for case in validation}),
    }


def select_cases(config: TrainingConfig) -> Selection:
    """Find the cases that `config` describes; nothing is decoded yet.

    Raises:
        InputError: a folder, file or fold is not as the config says, nobody is left to train on,
            or the weights to start from have seen who is kept aside.
    """
    data = config.data
    found, aside = read_folds(data, config.reading, seed=config.optimisation.seed)
    cases = found.cases
    training = tuple(case for case in cases if case.patient not in aside)
    if not training:
        reasons = "; ".join(f"{item.name}: {item.reason}" for item in found.unusable[:3])
        raise InputError(
            f"{data.folder}: no cases to train on in layout {data.layout}"
            + (f" ({reasons})" if reasons else "")
        )
    synthetic: tuple[Case, ...] = ()
    if config.synthesis is not None:
        made = synthetic_cases(config.synthesis, config.reading, seed=config.optimisation.seed)
        synthetic = tuple(case for case in made if case.patient not in aside)
    validation = tuple(case for case in cases if case.patient in aside)
    check_not_seen(config.optimisation.start_from, {case.patient for case in validation})
    unusable = found.unusable
    for further in config.further:
        more = _without(validation, further, reader_options_of(config.model, further))
        training += tuple(replace(case, annotated=further.annotated) for case in more.cases)
        unusable += more.unusable
    return Selection(training, synthetic, validation, unusable, found.notes)


def _without(aside: tuple[Case, ...], further: ExtraDataset, reading: ReaderOptions) -> CaseList:
    """Return a further data set's cases but those of patients, or from files, of `aside`."""
    folder = Path(further.folder).expanduser()
    found = read_cases(folder, further.layout, reading)
    patients = {case.patient for case in aside}
    files = {path.resolve() for case in aside for path in case.files}
    kept = tuple(
        case
        for case in found.cases
        if case.patient not in patients and files.isdisjoint(path.resolve() for path in case.files)
    )
    if len(kept) == len(found.cases):
        return found
    reason = f"{counted(len(found.cases) - len(kept), 'case')} of patients who are kept aside"
    left_out = SkippedCase(folder.name, reason)
    return replace(found, cases=kept, unusable=(*found.unusable, left_out))


def read_folds(
    data: Data, reading: ReaderOptions, *, seed: int = 0
) -> tuple[CaseList, frozenset[str]]:
    """Return a data set's cases, and the patients of the folds that are kept aside.

    Raises:
        InputError: the folder, file or fold is not as `data` says.
    """
    found, folds = cases_and_folds(data, reading, seed=seed)
    if data.validate is None:
        return found, frozenset()
    names = named_folds(data.validate, folds, "data.validate")
    return found, frozenset[str]().union(*(folds[name] for name in names))


def cases_aside(data: Data, reading: ReaderOptions, *, seed: int = 0) -> list[Case]:
    """Return the cases of the folds that are kept aside.

    Args:
        data: that has the folds.
        reading: how its cases are read.
        seed: of the folds' draw.

    Raises:
        InputError: the folder, file or fold is not as `data` says.
    """
    found, aside = read_folds(data, reading, seed=seed)
    return [case for case in found.cases if case.patient in aside]


def cases_and_folds(data: Data, reading: ReaderOptions, *, seed: int = 0) -> tuple[CaseList, Folds]:
    """Return a data set's cases, and the patients of each fold; no folds where `data` has none.

    Raises:
        InputError: the folder or file is not as `data` says.
    """
    found = read_cases(Path(data.folder).expanduser(), data.layout, reading)
    if data.patients is not None:
        found = with_patients(found, Path(data.patients).expanduser(), "data.patients")
    patients = {case.patient for case in found.cases}
    folds = {}
    if data.folds is not None:
        folds = folds_of(data.folds, patients, seed)
    if isinstance(data.folds, str):
        found = replace(found, notes=(*found.notes, *fold_notes(data.folds, patients)))
    return found, folds


def with_patients(found: CaseList, path: Path, option: str) -> CaseList:
    """Return cases with the patients that a JSON file {case: patient} gives them.

    Names that no case has are noted: the file may be that of a larger set.

    Args:
        found: cases of a data set.
        path: of the file.
        option: where it was named, for messages.

    Raises:
        InputError: it is no such file, or names none of the cases.
    """
    known = read_patients(path, option)
    names = {case.name for case in found.cases}
    notes = found.notes
    if strangers := sorted(known.keys() - names):
        told = (
            f"{option}: {path.name}: {len(strangers)} of {counted(len(known), 'name')}"
            f" ({some(strangers)}) are no cases of the data set, which are called"
            f" {some(sorted(names))}"
        )
        if names and len(strangers) == len(known):
            raise InputError(told)
        notes = (*notes, told)
    cases = (replace(case, patient=known.get(case.name, case.patient)) for case in found.cases)
    return replace(found, cases=tuple(cases), notes=notes)


def read_patients(path: Path, option: str = "data.patients") -> Mapping[str, str]:
    """Read a JSON file {case: patient}; `option` is where it was named.

    Raises:
        InputError: it is not such a file.
    """
    try:
        content = parsed(path.read_bytes())
    except OSError as error:
        raise InputError(f"{option}: {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{option}: {path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{option}: {path}: expected {{case: patient}}")
    return {str(case): str(patient) for case, patient in content.items()}
