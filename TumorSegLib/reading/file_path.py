"""Paths that the readers can be handed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.support.silence import silenced_stderr


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Keep what ITK prints off the terminal, and tell in a line what the system refuses.

    Raises:
        InputError: a file cannot be read or vanishes within the block, or memory runs out.
    """
    try:
        with silenced_stderr():
            yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except MemoryError:
        raise InputError(f"{path}: needs more memory than is free") from None


def readable(path: Path) -> Path:
    """Return `path` if it can be opened for reading.

    Raises:
        InputError: missing, forbidden, no regular file, or a name that is not valid Unicode, which
            ends the process within ITK.
    """
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    if shown != str(path):
        raise InputError(f"{shown}: the name is not valid Unicode; rename it")
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        elif path.exists() and not path.is_file():
            raise InputError(f"{path}: is no file but a device or a pipe; copy it to a file")
        else:
            path.open("rb").close()
    except FileNotFoundError:
        reason = "no such file or folder"
        if path.is_symlink():
            reason = "a link to a file that is not there; fetch it"
        raise InputError(f"{path}: {reason}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be opened ({why})") from None
    return path
