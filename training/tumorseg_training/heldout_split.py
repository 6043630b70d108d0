"""Which patients of a growing data set are kept aside to measure on.

The choice follows from each patient's id alone, so that it stays the same while cases are added:
whoever was trained on once is not measured on later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from TumorSegLib.errors import InputError

SHARE = 0.2
"""Of the patients, by chance."""


def held_out(patients: Iterable[str], seen: frozenset[str], where: str) -> frozenset[str]:
    """Return the patients to keep aside: about a fifth, at least one, at most half.

    Args:
        patients: of the data set.
        seen: those that the base model was trained on; they are never kept aside.
        where: the data set, for messages.

    Raises:
        InputError: there are fewer than two patients, or the base has seen all of them.
    """
    ordered = by_hash(patients)
    if len(ordered) < 2:
        raise InputError(
            f"{where}: found {len(ordered)} patient{'' if len(ordered) == 1 else 's'}, expected two"
            " or more, one of them to measure on; export corrected cases of further patients"
        )
    unseen = [patient for patient in ordered if patient not in seen]
    if not unseen:
        raise InputError(
            f"{where}: the base model was trained on all {len(ordered)} patients, so that none is"
            " left to measure on; export cases of further patients"
        )
    aside = [patient for patient in unseen if _place(patient) < SHARE] or unseen[:1]
    return frozenset(aside[: len(ordered) // 2])


def by_hash(patients: Iterable[str]) -> list[str]:
    """Return patients in an order that is random but always the same."""
    return sorted(set(patients), key=lambda patient: (_place(patient), patient))


def _place(patient: str) -> float:
    """Return a number from 0 to 1 that is drawn from the patient's id."""
    digest = hashlib.sha256(patient.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
