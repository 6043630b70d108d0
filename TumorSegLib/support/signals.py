"""Ctrl-C and the system's request to end, taken where they do no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
HANGUP: int = getattr(signal, "SIGHUP", 0)
"""A terminal is closed, or a connection to it breaks; 0 on Windows, which has no such signal."""


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt, so that what is half written is removed.

    A terminal that is closed ends the process as SIGTERM does, unless `nohup` started it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = signal.signal(signal.SIGTERM, _interrupt)
    hangs_up = HANGUP != 0 and signal.getsignal(HANGUP) is signal.SIG_DFL
    if hangs_up:
        signal.signal(HANGUP, _terminate)
    try:
        yield
    finally:
        if hangs_up:
            signal.signal(HANGUP, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL if kept is None else kept)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals that end the process wait until the block ends.

    An exception between two calls of VTK leaves objects behind whose destruction ends in a crash.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    kept = {number: signal.signal(number, note) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)  # for whoever has taken that by now
