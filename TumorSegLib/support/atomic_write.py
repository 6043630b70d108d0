"""Files that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from TumorSegLib.errors import OutputError
from TumorSegLib.support import leftovers

PREFIX = ".tumorseg-"
"""Begins the names of the folders in which files are written."""


@contextmanager
def atomic_write(path: Path, *, ending: str | None = None) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well, that file replaces `path`.

    The file to write lies in a folder of its own beside `path`, which is removed with all that is
    in it, whatever happens. A process that is killed leaves that folder (".tumorseg-...") but never
    half a file at `path`; the next one that writes to the same place removes it.

    Args:
        path: where the file is to be.
        ending: of the path to write to, for writers that look at it; that of `path` if not given.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the disk is full.
    """
    ensure_writable(path)
    leftovers.remove_left_over(path.parent, PREFIX)
    try:
        with tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f"{PREFIX}{leftovers.owner()}-", ignore_cleanup_errors=True
        ) as folder:
            written = Path(folder) / ("new" + (path.suffix if ending is None else ending))
            yield written
            flush(written)
            written.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file as `atomic_write` does, text as UTF-8; folders above it are made.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    with atomic_write(path) as new:
        new.write_bytes(content.encode() if isinstance(content, str) else content)


def flush(path: Path) -> None:
    """Have a file's content on the disk before its name counts."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def ensure_makeable(folder: Path) -> None:
    """Refuse folders that neither are there to be written to nor can be made.

    Raises:
        OutputError: it or the first above it that is there is no folder or cannot be written to.
    """
    above = folder.absolute()
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise OutputError(f"{folder}: cannot be made: {above} is not a folder")
    if not os.access(above, os.W_OK):
        raise OutputError(f"{folder}: the folder {above} cannot be written to")


def ensure_writable(path: Path) -> None:
    """Refuse paths at which no file can be made, before any work is done.

    Raises:
        OutputError: the folder is missing or cannot be written to, or `path` is a folder.
    """
    folder = path.parent
    if not folder.is_dir():
        reason = "is not a folder" if folder.exists() else "does not exist"
        raise OutputError(f"{path}: the folder {folder} {reason}; make it first")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file in it")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: the folder {folder} cannot be written to")
