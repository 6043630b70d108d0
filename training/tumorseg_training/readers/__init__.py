"""The layouts in which annotated data come, by the names that configs and the command use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tumorseg_training.case import CaseList, ReaderOptions
from tumorseg_training.readers.ircad import read_ircad
from tumorseg_training.readers.kaggle_3m import read_kaggle_3m
from tumorseg_training.readers.lits import read_lits
from tumorseg_training.readers.nnunet import read_nnunet
from tumorseg_training.readers.png_pairs import read_png_pairs
from TumorSegLib.errors import InputError

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
    return READERS[layout](folder, reading)
