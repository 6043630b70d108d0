"""A reader that inputs are made for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.changes import BYTES, Files, FilesChange, exchanged, in_one_file, spliced

Arrays = Sequence[Any]
"""Arrays, and values that are equal when they are written out alike, by which readings compare."""


@dataclass(frozen=True)
class Target:
    """A reader, good inputs for it, and how they are damaged.

    Attributes:
        name: for tables and folders.
        seeds: makes good inputs.
        read: reads the input in a folder as a user's command would; returns what was read. Raises
            `OthersVoxels` if that is not in the input.
        changes: that know what the files mean; those that do not are always made, too.
        prepare: imports what `read` needs, and starts no thread.
        batch: inputs that one child process reads.
        seconds: an input may take.
        megabytes: of memory an input may take.
    """

    name: str
    seeds: Callable[[], list[Files]]
    read: Callable[[Path], Arrays]
    changes: tuple[FilesChange, ...]
    prepare: Callable[[], None] = lambda: None
    batch: int = 100
    seconds: float = 10.0
    megabytes: int = 300

    def input(self, seed: int, number: int) -> Files:
        """Return input `number`, the same in every run with this seed."""
        rng = Random(f"{seed} {self.name} {number}")
        seeds = _seeds(self)
        files = dict(rng.choice(seeds))
        if rng.random() < 0.02:
            files = spliced(rng, files, rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            if rng.random() < 0.75 and self.changes:
                change = rng.choice(self.changes)
            else:
                change = rng.choice((exchanged, *(in_one_file(blind) for blind in BYTES)))
            files = change(rng, files)
        return files


@cache
def _seeds(target: Target) -> list[Files]:
    return target.seeds()
