"""Reasons without what they quote of a header: libraries put values into their messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pydicom

TEXTS = frozenset(("PN", "LO", "SH", "LT", "ST", "UT", "UC", "UI", "DA", "TM", "DT", "AS"))
"""Value representations of texts that may tell who a patient is."""
LONGEST = 64
"""Characters of a word that are looked for; more of it does not stand in a line."""
SHORTEST = 3
HIDDEN = "[...]"


def without_header(line: str, folder: Path) -> str:
    """Return a line in which no word stands that only the header of an image can have said.

    Args:
        line: for the journal.
        folder: of the images.
    """
    file = next(iter(sorted(folder.glob("*.dcm"))), None)
    if file is None:
        return line
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        words = set(_words(header))
    except Exception:  # whatever pydicom raises; nothing is known of what it would have said
        return line.partition("(")[0].strip()
    for word in sorted(words, key=len, reverse=True):
        line = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", HIDDEN, line, flags=re.IGNORECASE)
    return line


def _words(header: pydicom.Dataset) -> Iterator[str]:
    """Yield values of texts, and their parts."""
    for element in header:
        if element.VR == "SQ":
            for item in element.value or []:
                yield from _words(item)
        elif element.VR in TEXTS and element.value is not None:
            several = element.value if element.VM > 1 else [element.value]
            for value in several:
                for part in (str(value), *re.split(r"[\^=\s,;:/]+", str(value))):
                    if len(part) >= SHORTEST:
                        yield part[:LONGEST]
