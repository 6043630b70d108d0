"""What the side files of corrected cases say about the people who looked through them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tumorseg_training.case import Case, CaseList, SkippedCase
from TumorSegLib.export.case_metadata import CaseRecord, read_record
from TumorSegLib.export.dataset import CASES


def unreviewed(dataset: Path, cases: Iterable[Case]) -> list[str]:
    """Return the cases that nobody has looked through, as far as their side files say."""
    return [record.case for record in _records(dataset, cases) if not record.reviewed]


def without_untouched(found: CaseList, folder: Path) -> CaseList:
    """Leave out cases that are as a model drew them and that nobody has looked through.

    They would teach a model its own mistakes, and it would be measured on what it drew itself.
    """
    untouched = {
        record.case
        for record in _records(folder, found.cases)
        if record.corrected is False and not record.reviewed
    }
    reason = (
        "is as the model drew it; correct it, or mark it as reviewed, and export it once more"
        " with --replace"
    )
    return replace(
        found,
        cases=tuple(case for case in found.cases if case.name not in untouched),
        unusable=(*found.unusable, *(SkippedCase(name, reason) for name in sorted(untouched))),
    )


def _records(folder: Path, cases: Iterable[Case]) -> list[CaseRecord]:
    found = (read_record(folder / CASES / f"{case.name}.json") for case in cases)
    return [record for record in found if record is not None]
