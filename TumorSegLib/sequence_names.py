"""Which MRI sequence a volume is, as far as its name tells."""

from __future__ import annotations

import re

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
        if re.search(rf"(?<![a-z0-9])({words})(?![a-z0-9]*[a-z]{{4}})", name.lower()):
            return sequence
    return None
