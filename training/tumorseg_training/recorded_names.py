"""What patients are called in a model, which is given to others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from TumorSegLib.export.identity import export_key

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
