"""What patients are called in a model, which is given to others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from TumorSegLib.export.identity import export_key, has_key

NAMED_BY_USERS = frozenset({"nnunet", "png_pairs"})
"""Layouts in which a patient may be called after a file; in the others names are public ids."""

NAMELESS = re.compile(r"(case|patient|patient_of_case)_[0-9a-f]{12}|(volume-)?\d{1,3}(-\d{1,3})*")
"""What exports call cases and patients, and numbers of public cases; a hospital's are longer."""


def recorded(split: Mapping[str, Iterable[str]], layouts: Collection[str]) -> dict[str, list[str]]:
    """Return patients by what they were used for, with keyed hashes for names that users gave.

    Args:
        split: patients as their data sets call them.
        layouts: of those data sets.

    Raises:
        OutputError: the key cannot be read or made.
    """
    if NAMED_BY_USERS.isdisjoint(layouts):
        return {part: list(patients) for part, patients in split.items()}
    return {part: [record_of(patient) for patient in patients] for part, patients in split.items()}


def record_of(patient: str) -> str:
    """Return what a model calls a patient of a layout whose names users give.

    Raises:
        OutputError: the key cannot be read or made.
    """
    return patient if NAMELESS.fullmatch(patient) else export_key().patient(patient)


def those_among(patients: Iterable[str], recorded: Collection[str]) -> frozenset[str]:
    """Return which of `patients` are among those recorded, by their names or by their hashes.

    Either side may have a patient's name and the other its keyed hash: models record names of
    public data sets as they are, and exports of cases of those data sets hash every name.

    Args:
        patients: of cases, as their data set calls them.
        recorded: patients of a model, or of other cases.

    Raises:
        OutputError: the key of those hashes cannot be read.
    """
    if not has_key():  # nothing was hashed here yet
        return frozenset(patients).intersection(recorded)
    key = export_key()
    known = {*recorded, *map(key.patient, recorded)}
    return frozenset(
        patient for patient in patients if patient in known or key.patient(patient) in known
    )
