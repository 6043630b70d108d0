"""Paths that the readers can be handed."""

from __future__ import annotations

from pathlib import Path

from TumorSegLib.errors import InputError


def readable(path: Path) -> Path:
    """Return `path` if it can be opened for reading.

    Raises:
        InputError: missing, forbidden, or not valid Unicode, which ends the process within ITK.
    """
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    if shown != str(path):
        raise InputError(f"{shown}: the name is not valid Unicode; rename it")
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file or folder") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be opened ({reason})") from None
    return path
