"""Which MRI sequence a volume is, as far as its name or its timing tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from TumorSegLib.image.grid import Grid

Item = TypeVar("Item")

FLUID = r"(?:flair|dark[ _-]?fluid)"
AGENT = (
    r"(?:gd|gad[a-z]*|dotarem|magnevist|multihance|prohance|clariscan|omniscan|km|ce|enh(?:anced)?"
    r"|contrast|kontrast[a-z]*)"
)
"""Contrast medium, its makers' names among them; KM is the German for it."""
BEGINS, ENDS = r"(?<![a-z0-9])", r"(?![a-z])"
POST = rf"post{ENDS}(?![ _-]*(?:fossa|op|rt|rad|chemo|surg|proc))"
"""Not the posterior fossa, nor what came after a treatment."""
LETTER = r"c(?![ _-]*sp)"
"""Not the C of C-spine."""
JOINED = rf"[ _-]?(?:w[ _-]?)?(?:(?:{LETTER}|(?:post[ _-]?)?{AGENT}){ENDS}|{POST})"
"""Contrast medium right behind T1."""

SEQUENCE_WORDS = (
    ("t1", rf"{BEGINS}(?<!space-)(?<!ses-)(?:[23]d|[sv])?t1(?![0-9])(?=(?:(?!t2).)*{FLUID})"),
    ("flair", rf"{BEGINS}{FLUID}(?![a-z0-9]*[a-z]{{4}})"),
    ("t1", rf"{BEGINS}t1(?={JOINED})"),
    ("t2", rf"{BEGINS}t2(?![a-z0-9]*[a-z]{{4}})"),
    ("t1", rf"{BEGINS}(?:t1|mprage)(?![a-z0-9]*[a-z]{{4}})"),
    ("t1", rf"{BEGINS}(?:pre|post)[ _-]?contrast(?![a-z0-9]*[a-z]{{4}})"),
)
"""Words in names of volumes that tell a sequence; the first that fits wins.

FLAIR after T1 is T1 whose fluid is dark as well ("Ax T1 FLAIR", "t1_tirm_dark-fluid"), after T2
what is called FLAIR alone. `space-T1w` and `ses-T1` are BIDS's names of a grid and a visit.
"""

CONTRAST_WORDS = (
    rf"(?<=t1){JOINED}",
    rf"\+[ _-]?(?:{LETTER}|{AGENT}){ENDS}",
    rf"{BEGINS}c[ _-]?\+",
    rf"{BEGINS}(?:post[ _-]?)?{AGENT}{ENDS}",
    rf"{BEGINS}{POST}",
)
"""Words beside T1 that tell of contrast medium."""

WITHOUT_CONTRAST = rf"{BEGINS}(?:pre|non?|w/?o|without|ohne|vor|sans)[ _-]*(?:{AGENT}|c){ENDS}"


def sequence_of(name: str) -> str | None:
    """Return the sequence ("flair", "t1", "t1c", "t2") that a volume's name suggests, or None."""
    told = _told(name.lower())
    return None if told is None else told[0]


def without_sequence(name: str) -> str:
    """Return a name without the words that tell its sequence."""
    told = _told(name.lower())
    for start, end in [] if told is None else told[1]:
        name = name[:start] + name[end:]
    return name


def sequence_by_header(
    description: str, echo: float | None, repetition: float | None, inversion: float | None
) -> str | None:
    """Return the sequence that an MRI header tells: by its description, or else by its times in ms.

    Times that cannot be those of what the description says are believed: those of T1 under a
    description that says FLAIR, and a long echo under one that says T1.
    """
    named = sequence_of(description)
    timed = sequence_by_timing(echo, repetition, inversion)
    if timed == "t1" and named in ("flair", None):
        return "t1c" if _contrast(description.lower()) else "t1"
    if timed in ("flair", "t2") and named in ("t1", "t1c", None):
        return timed
    return named


def _told(name: str) -> tuple[str, list[tuple[int, int]]] | None:
    """Return the sequence that a name in small letters tells, and where, the last place first."""
    for sequence, words in SEQUENCE_WORDS:
        if found := re.search(words, name):
            contrast = _contrast(name) if sequence == "t1" else None
            if contrast is None:
                return sequence, [found.span()]
            return "t1c", _apart(found.span(), contrast.span())
    return None


def _apart(one: tuple[int, int], other: tuple[int, int]) -> list[tuple[int, int]]:
    """Return two places in a text, the last first; one where they overlap."""
    (start, end), (later, last) = sorted((one, other))
    return [(start, max(end, last))] if later <= end else [(later, last), (start, end)]


def _contrast(name: str) -> re.Match[str] | None:
    """Return the first words that tell of contrast medium, which those of none do not."""
    told = re.sub(WITHOUT_CONTRAST, lambda found: " " * len(found[0]), name)
    return next((found for words in CONTRAST_WORDS if (found := re.search(words, told))), None)


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
