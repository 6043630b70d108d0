"""Whether the disk is to blame where something cannot be written or read: then all else fails."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from TumorSegLib.errors import OutputError

FULL = frozenset(getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name))
"""No room is left, on the disk or of what the user may have of it."""
GONE = frozenset(
    getattr(errno, name)
    for name in ("EROFS", "EIO", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "EHOSTDOWN")
    if hasattr(errno, name)
)
"""It fails, is not connected any more, or can only be read from now on."""

TRIED_BYTES = 1 << 20


def fault_of_disk(error: BaseException) -> str:
    """Return why a disk cannot be written to, as far as an error or what it came of says so.

    What fails so while an input is read says nothing of where results are written: "", as for
    whatever is no fault of a disk.
    """
    if not isinstance(error, OSError | OutputError):
        return ""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError) and cause.errno in FULL | GONE:
            return cause.strerror or str(cause)
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return ""


def why_gone(path: Path) -> str:
    """Return why a disk cannot be read from, on which a file or folder was a while ago.

    "" where the path is there, or is missing from a folder that holds something else. An empty
    folder is what is left of a disk that was taken away, or on Windows not even that.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in GONE:
            return error.strerror or str(error)
        left = next((folder for folder in path.absolute().parents if folder.is_dir()), None)
        with suppress(OSError):  # perhaps it may not be looked into
            if left is None or not any(left.iterdir()):
                return "nothing is there any more"
    return ""


def ensure_room(folder: Path) -> None:
    """Have the system say why a folder takes no more; writers in C++ keep it to themselves.

    Raises:
        OSError: it does not take another megabyte.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(TRIED_BYTES))
        file.flush()
        os.fsync(file.fileno())
