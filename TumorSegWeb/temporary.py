"""Temporary folders of pages, which tell whose they are; those of killed processes can be found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from TumorSegLib.errors import OutputError
from TumorSegLib.support import leftovers

PREFIX = "tumorseg-web-"


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with the block.

    Raises:
        OutputError: it cannot be made.
    """
    prefix = f"{PREFIX}{leftovers.owner()}-"
    with full_disks_told():
        return tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)


@contextmanager
def full_disks_told() -> Iterator[None]:
    """Have a full or failing disk told without the names of temporary files.

    Raises:
        OutputError: something cannot be written within the block.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            "the computer that runs TumorSeg cannot write to its folder for temporary files"
            f" ({error.strerror or type(error).__name__}); make room there and try again"
        ) from None


def owned_folder() -> Path:
    """Return a place for a folder that this process sees to; it is not made."""
    return Path(tempfile.gettempdir()) / f"{PREFIX}{leftovers.owned_name()}"


def remove_left_over() -> None:
    """Remove the folders of processes that were killed."""
    leftovers.remove_left_over(Path(tempfile.gettempdir()), PREFIX)
