"""A folder that is replaced as a whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from TumorSegLib.support import leftovers

PARTIAL, OLD = ".partial", ".old"
"""End the names of a folder that is being written, and of the one whose place it takes."""


def finish_replacing(folder: Path) -> None:
    """Clear up after processes that were killed while they replaced folders in `folder`.

    One that was out of the way at that moment comes back; what was half written goes.
    """
    with suppress(OSError):
        for path in folder.glob(".*.*"):
            place, _, name = path.stem.removeprefix(".").rpartition(".")
            if path.suffix not in (PARTIAL, OLD) or not leftovers.is_left_over(path, name):
                continue
            if path.suffix == OLD and not (folder / place).exists():
                path.rename(folder / place)
            else:
                leftovers.remove(path)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield the path of a folder to make; when the block ends well, it takes `folder`'s place.

    Both lie beside `folder`, with names that begin with a full stop. The old folder is out of the
    way for no longer than a rename takes, and comes back where the new one cannot take its place;
    after a kill, `finish_replacing` brings it back.

    Raises:
        OSError: the new folder cannot take the place.
    """
    name = leftovers.owned_name()
    new = folder.with_name(f".{folder.name}.{name}{PARTIAL}")
    old = folder.with_name(f".{folder.name}.{name}{OLD}")
    try:
        yield new
        if os.path.lexists(folder):
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if os.path.lexists(old):
                old.rename(folder)
            raise
    finally:
        leftovers.remove(new)
        if os.path.lexists(folder):
            leftovers.remove(old)
