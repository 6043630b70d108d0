"""Folds of patients: who is trained on and who is kept aside.

Slices and scans of one patient resemble each other so much that splitting between them inflates
every figure; so nothing here knows anything finer than a patient.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from TumorSegLib.errors import InputError
from TumorSegLib.support.schema import parsed
from TumorSegLib.support.words import counted, some

Folds = dict[str, frozenset[str]]


def folds_of(source: str | int, patients: Iterable[str], seed: int = 0) -> Folds:
    """Return the patients of each fold.

    Args:
        source: how many folds to draw, or a JSON file: {fold: [patient, ...]}, or
            {case: {"fold": ..., "group": patient}}.
        patients: of the data set.
        seed: of the draw.

    Raises:
        InputError: the file cannot be used, or there are fewer patients than folds.
    """
    present = sorted(set(patients))
    folds = _drawn(source, present, seed) if isinstance(source, int) else _read(Path(source))
    filled = {name: fold & set(present) for name, fold in folds.items()}
    if isinstance(source, str) and present and _patients_in(folds) and not any(filled.values()):
        raise InputError(fold_notes(source, present)[0])
    if empty := [_told(name, folds) for name, fold in filled.items() if not fold]:
        raise InputError(
            f"data.folds: {len(folds)} folds, but the data set has {len(present)} patients and none"
            f" for {', '.join(empty)}; use fewer folds or more patients"
        )
    return filled


def fold_notes(source: str, patients: Iterable[str]) -> list[str]:
    """Return a line on names of a file of folds that no patient has, and on patients in no fold.

    Args:
        source: the file.
        patients: of the data set.

    Raises:
        InputError: the file cannot be used.
    """
    present, named = set(patients), _patients_in(_read(Path(source)))
    where, notes = f"data.folds: {Path(source).name}", []
    if strangers := sorted(named - present):
        notes.append(
            f"{where}: {len(strangers)} of {counted(len(named), 'name')}"
            f" ({some(strangers)}) are no patients of the data set, who are called"
            f" {some(sorted(present))}"
        )
    if outside := sorted(present - named):
        notes.append(
            f"{where}: {len(outside)} of {counted(len(present), 'patient')} ({some(outside)}) are"
            " in no fold: always trained on, never measured"
        )
    return notes


def named_folds(names: str, folds: Folds, option: str) -> list[str]:
    """Return the names of folds that `names` joins by "+".

    Raises:
        InputError: there is no fold of such a name; `option` is where it was given.
    """
    found = names.split("+")
    if unknown := [name for name in found if name not in folds]:
        raise InputError(f"{option}: found {unknown[0]!r}, folds are {', '.join(folds)}")
    return found


def _drawn(count: int, patients: list[str], seed: int) -> Folds:
    if count < 2:
        raise InputError(f"data.folds: found {count}, expected two or more")
    if len(patients) < count:
        raise InputError(
            f"data.folds: {count} folds of {len(patients)} patients; use fewer folds or more"
            " patients"
        )
    shuffled = random.Random(seed).sample(patients, len(patients))
    return {f"fold{index}": frozenset(shuffled[index::count]) for index in range(count)}


def _read(path: Path) -> Folds:
    try:
        content: Any = parsed(path.expanduser().read_bytes())
    except OSError as error:
        raise InputError(f"data.folds: {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"data.folds: {path}: not JSON: {error}") from None
    entries = content.values() if isinstance(content, dict) else []
    if entries and all(isinstance(entry, list) for entry in entries):
        folds = {name: frozenset(map(str, entry)) for name, entry in content.items()}
    elif entries and all(isinstance(entry, dict) and "fold" in entry for entry in entries):
        grouped: dict[str, set[str]] = {}
        for case, entry in content.items():
            grouped.setdefault(f"fold{entry['fold']}", set()).add(str(entry.get("group", case)))
        folds = {name: frozenset(grouped[name]) for name in sorted(grouped)}
    else:
        raise InputError(f"data.folds: {path}: expected fold names with lists of patients")
    _check_names(folds, path)
    seen: dict[str, str] = {}
    for name, fold in folds.items():
        for patient in fold:
            if patient in seen:
                raise InputError(
                    f"data.folds: {path}: patient {patient} is in {seen[patient]} and in {name}"
                )
            seen[patient] = name
    return folds


def _patients_in(folds: Folds) -> frozenset[str]:
    return frozenset[str]().union(*folds.values())


def _told(name: str, folds: Folds) -> str:
    return f"{name} ({some(sorted(folds[name]))})" if folds[name] else name


def _check_names(folds: Folds, path: Path) -> None:
    """Refuse names that are none of a folder's: each fold's run has one."""
    for name in folds:
        if not re.fullmatch(r"\w[\w .-]{0,63}", name):
            raise InputError(
                f"data.folds: {path}: fold {name[:80]!r}, expected letters, digits, '_' and '-'"
            )
