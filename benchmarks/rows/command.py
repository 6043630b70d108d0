"""How long the command takes to answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from rows import process
from rows.pairs import Contender, Group

CALLS = ("--help", "segment --help", "models", "segment missing.nii.gz")


def groups() -> Iterator[Group]:
    """Yield a group of one for each call."""
    for call in CALLS:
        words = [sys.executable, "-m", "TumorSegLib.cli", *call.split()]
        status = 2 if "missing" in call else 0
        run = partial(process.sample_of, words, status=status)
        name = f"tumorseg {call}"
        yield Group("The command", [Contender(name, run)], [(name, None)])
