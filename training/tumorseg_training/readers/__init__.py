"""The layouts in which annotated data come, by the names that configs and the command use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tumorseg_training.case import CaseList, ReaderOptions, SkippedCase
from tumorseg_training.readers.ircad import read_ircad
from tumorseg_training.readers.kaggle_3m import read_kaggle_3m
from tumorseg_training.readers.lits import read_lits
from tumorseg_training.readers.nnunet import read_nnunet
from tumorseg_training.readers.png_pairs import read_png_pairs
from TumorSegLib.errors import InputError, escaped

READERS: dict[str, Callable[[Path, ReaderOptions], CaseList]] = {
    "kaggle_3m": read_kaggle_3m,
    "3Dircadb1": read_ircad,
    "nnunet": read_nnunet,
    "lits": read_lits,
    "png_pairs": read_png_pairs,
}


def read_cases(folder: Path, layout: str, reading: ReaderOptions) -> CaseList:
    """List the cases of a data set.

    Raises:
        InputError: there is no such layout or folder, or the folder is not in that layout.
    """
    if layout not in READERS:
        raise InputError(f"layout: found {layout!r}, expected one of {', '.join(READERS)}")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a data set in layout {layout}")
    return _in_unicode(READERS[layout](folder, reading))


def _in_unicode(found: CaseList) -> CaseList:
    """Return what was found without the cases whose names no file can hold that is written."""
    kept = []
    left = [SkippedCase(escaped(one.name), escaped(one.reason)) for one in found.unusable]
    for case in found.cases:
        names = f"{case.name}{case.patient}"
        if names == names.encode("utf-8", "ignore").decode():
            kept.append(case)
        else:
            left.append(SkippedCase(escaped(case.name), "the name is not valid Unicode; rename it"))
    return replace(found, cases=tuple(kept), unusable=tuple(left))
