"""Temporary folders of pages, which tell whose they are; those of killed processes can be found."""

from __future__ import annotations

import tempfile
from pathlib import Path

from TumorSegLib.support import leftovers

PREFIX = "tumorseg-web-"


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with the block."""
    prefix = f"{PREFIX}{leftovers.owner()}-"
    return tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)


def owned_folder() -> Path:
    """Return a place for a folder that this process sees to; it is not made."""
    return Path(tempfile.gettempdir()) / f"{PREFIX}{leftovers.owned_name()}"


def remove_left_over() -> None:
    """Remove the folders of processes that were killed."""
    leftovers.remove_left_over(Path(tempfile.gettempdir()), PREFIX)
