"""Files and folders that are only there while a process works, and go when it was killed.

Their names say who made them. A process is known to be gone only on the machine that it ran on: in
a folder that several machines share, what others made goes when it is old.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

from TumorSegLib.support import system

ABANDONED_SECONDS = 24 * 3600
"""No process works on one file for longer."""


NAME = re.compile(r"([0-9a-f]{8})-(\d+)-\w+", re.ASCII)


def owner() -> str:
    """Return "<machine>-<process>", which begins the names of what this process alone uses."""
    return f"{_machine()}-{os.getpid()}"


def owned_name() -> str:
    """Return a new name, "<machine>-<process>-<random>", for what this process alone uses."""
    return f"{owner()}-{uuid.uuid4().hex[:8]}"


def is_left_over(path: Path, name: str) -> bool:
    """Tell whether the process that made `path` is gone.

    Args:
        path: that was made; whether it is old counts where nothing else is known.
        name: the part of the path's name that begins with its `owner`; others' are never left over.
    """
    match = NAME.fullmatch(name)
    if match is None:
        return False
    if match[1] == _machine() and not system.is_windows():
        return not is_alive(int(match[2]))
    with suppress(OSError):
        return time.time() - path.lstat().st_mtime > ABANDONED_SECONDS
    return False


def remove_left_over(folder: Path, prefix: str) -> None:
    """Remove what processes that are gone left in `folder` under names that begin with `prefix`."""
    with suppress(OSError):
        for path in folder.glob(f"{prefix}*"):
            if is_left_over(path, path.name.removeprefix(prefix)):
                remove(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def is_alive(process: int) -> bool:
    """Tell whether there is a process of this id; not for Windows, where asking would end it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's, or no id at all
        return True
    return True


@cache
def _machine() -> str:
    """Return what tells machines apart, and containers, which number their processes anew."""
    numbering = ""
    with suppress(OSError):
        numbering = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{platform.node()} {numbering}".encode()).hexdigest()[:8]
