"""Modules of this library in processes of their own, which damaged input may end."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path


def module_command(module: str, *words: str) -> list[str]:
    """Return the command that runs a module of the library in this Python, with `environment`."""
    return [sys.executable, "-P", "-m", module, *words]


def environment() -> dict[str, str]:
    """Return this process's environment, in which Python finds the library wherever it lies."""
    library = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, (library, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": paths, "PYTHONUTF8": "1"}  # not Windows' code page


def ended_by(status: int) -> str:
    """Return how a process ended: the name of a signal, or "status 3"."""
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"status {status}"
