"""Keep what ITK, GDCM and MetaIO print about files they cannot read off the user's terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

STDERR = 2
"""The descriptor that C++ code prints to, whatever `sys.stderr` is."""


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Discard the whole process's standard error within the block; exceptions still say why.

    Nothing happens to it in a process without one, as under `pythonw`.
    """
    warned = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(STDERR)
    except OSError:
        kept = None
    try:
        if kept is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, STDERR)
            os.close(nowhere)
        yield
    finally:
        if kept is not None:
            os.dup2(kept, STDERR)
            os.close(kept)
        sitk.ProcessObject.SetGlobalWarningDisplay(warned)
