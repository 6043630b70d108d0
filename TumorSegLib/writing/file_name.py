"""Names of files made from names that people gave to something."""

from __future__ import annotations

import re

FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\ud800-\udfff]+')
"""What Windows takes in no file's name; it writes what follows a colon into a hidden stream. Names
that are no UTF-8 have halves of characters, which no text holds that we write."""

DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_name_of(name: str) -> str:
    """Return `name` as a file's name, with any ending appended, can be on every system."""
    kept = FORBIDDEN.sub("_", name).strip(" .") or "unnamed"
    return f"_{kept}" if DEVICES.fullmatch(kept) else kept
