"""Nothing that is there is replaced unless that is asked for, and an input never."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from TumorSegLib.errors import OutputError

ADVICE = "name another output with -o, or replace it with --overwrite"


def check_replacing(
    outputs: Iterable[Path],
    *,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    advice: str = ADVICE,
) -> None:
    """Refuse outputs that would replace something, before any work is done.

    Args:
        outputs: files that will be written.
        inputs: files that are read; whatever they are called, none of them is replaced.
        overwrite: whether other files may be.
        advice: what to do about a file that must stay.

    Raises:
        OutputError: an output is an input, or is there and must stay.
    """
    present = [path for path in outputs if os.path.lexists(path)]
    if not present:
        return
    read = {_identity(path): path for path in inputs if path.exists()}
    for path in present:
        if path.exists() and (source := read.get(_identity(path))) is not None:
            also = "" if str(source) == str(path) else f", {source}"
            raise OutputError(
                f"{path}: is an input{also}, which is never replaced; name another output"
            )
        if not overwrite and not path.is_dir():
            raise OutputError(f"{path}: is there already; {advice}")


def _identity(path: Path) -> tuple[int, int]:
    """Return what is the same for all names and links of a file."""
    status = path.stat()
    return status.st_dev, status.st_ino
