"""The layouts in which annotated data come, by the names that configs and the command use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training.case import CaseList
from training.readers.kaggle_3m import read_kaggle_3m

READERS: dict[str, Callable[[Path], CaseList]] = {
    "kaggle_3m": read_kaggle_3m,
}
