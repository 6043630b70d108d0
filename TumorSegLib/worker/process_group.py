"""Child processes that can be ended with all their descendants, whatever these are doing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import PureWindowsPath
from typing import IO, Any

from TumorSegLib.support import system

LOW_PRIORITY = 10
"""Niceness of processes for which nobody waits."""

END_SECONDS = 5.0
"""A process that has not ended by then is left to the system."""

CREATE_NO_WINDOW = 0x08000000
BELOW_NORMAL_PRIORITY_CLASS = 0x00004000
"""`subprocess` knows these names on Windows only."""


def own_group(*, patient: bool = False) -> dict[str, Any]:
    """Return the options of a process that can be ended with all its descendants.

    A `patient` one leaves the processor to others, on Windows; elsewhere see `lower_priority`.
    """
    if system.is_windows():
        priority = BELOW_NORMAL_PRIORITY_CLASS if patient else 0
        return {"creationflags": CREATE_NO_WINDOW | priority}
    return {"start_new_session": True}  # killing PythonSlicer alone kills only a launcher


def lower_priority(process: subprocess.Popen[bytes]) -> None:
    """Have a process that has just been started leave the processor to others."""
    if not system.is_windows():
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, process.pid, LOW_PRIORITY)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process of its own group with all its descendants; returns at once."""
    if system.is_windows():
        _end_tree(process)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: all are zombies
            os.killpg(process.pid, signal.SIGKILL)


def end_group_and_wait(process: subprocess.Popen[bytes]) -> bool:
    """End a process of its own group; return whether it is gone, after at most a few seconds."""
    end_group(process)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return False
    return True


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Return one of the streams of a process for which it was asked as a pipe."""
    assert stream is not None
    return stream


def end_own_group() -> None:
    """End the group that this process leads; on Windows, which has none, do nothing."""
    if not system.is_windows():
        os.killpg(0, signal.SIGKILL)


def _end_tree(process: subprocess.Popen[bytes]) -> None:
    """Have Windows' own tool end a process and its descendants, or else the process alone."""
    if process.poll() is not None:
        return  # a launcher ends after what it has launched
    try:
        subprocess.Popen(
            [_taskkill(), "/F", "/T", "/PID", str(process.pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=CREATE_NO_WINDOW,
        )
    except OSError:  # hospitals lock such tools
        process.kill()


def _taskkill() -> str:
    """Return Windows' own tool by its path: a name is looked for in the working folder first."""
    root = os.environ.get("SYSTEMROOT", r"C:\Windows")
    return str(PureWindowsPath(root, "System32", "taskkill.exe"))
