"""Which MRI sequence a volume is, as far as its name or its timing tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from TumorSegLib.image.grid import Grid

Item = TypeVar("Item")

SEQUENCE_WORDS = (
    ("t1c", r"t1[ _-]?(w[ _-]?)?(c|ce|gd|gad|km|post|contrast)|post[ _-]?contrast|mprage[ _-]?gd"),
    ("flair", r"flair|dark[ _-]?fluid"),
    ("t2", r"t2"),
    ("t1", r"t1|mprage|pre[ _-]?contrast"),
)
"""Words in names of volumes that tell a sequence; the first that fits wins."""


def sequence_of(name: str) -> str | None:
    """Return the sequence ("flair", "t1", "t1c", "t2") that a volume's name suggests, or None."""
    for sequence, words in SEQUENCE_WORDS:
        if _search(words, name):
            return sequence
    return None


def without_sequence(name: str) -> str:
    """Return a name without the words that tell its sequence."""
    for _, words in SEQUENCE_WORDS:
        if found := _search(words, name):
            return name[: found.start()] + name[found.end() :]
    return name


def _search(words: str, name: str) -> re.Match[str] | None:
    return re.search(rf"(?<![a-z0-9])({words})(?![a-z0-9]*[a-z]{{4}})", name.lower())


def sequence_by_timing(
    echo: float | None, repetition: float | None, inversion: float | None
) -> str | None:
    """Return the sequence ("flair", "t1", "t2") that times in ms tell, None where they do not.

    Long echoes weight by T2; fluid is nulled by inverting some 2 s before. Short repetition or
    inversion weights by T1, if the echo is short. Whether contrast medium was given is not told.
    """
    if echo is None:
        return None
    if echo >= 60:
        return "flair" if inversion is not None and inversion >= 1500 else "t2"
    short = (repetition is not None and repetition <= 1000) or (
        inversion is not None and 300 <= inversion < 1500
    )
    return "t1" if echo <= 20 and short else None


def suggested_sequences(
    channels: Sequence[str], grid: Grid, candidates: Iterable[tuple[str, Grid | None, Item]]
) -> dict[str, Item]:
    """Return which of `candidates` are obviously the further sequences of a volume.

    Args:
        channels: names of the model's further channels.
        grid: of the volume.
        candidates: name, grid (none: unusable) and what to return.

    Returns:
        Candidates by channel name. A name must tell the sequence; of several, one on the volume's
        own grid is preferred, and no suggestion is made if two are equally good.
    """
    assigned = {}
    named = [(sequence_of(name), place, item) for name, place, item in candidates]
    for channel in channels:
        fitting = [(place, item) for sequence, place, item in named if sequence == channel]
        aligned = [(place, item) for place, item in fitting if place and place.geometry_equal(grid)]
        choice = aligned or fitting
        if len(choice) == 1:
            assigned[channel] = choice[0][1]
    return assigned
