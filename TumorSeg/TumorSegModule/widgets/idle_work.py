"""Work that takes longer than a turn of the event loop, done in pieces between other events."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import qt

WORK_SECONDS = 0.01
"""Longest time that one turn of the event loop spends on it."""


class QtRest:
    """See `TumorSegModule.logic.later.Rest`."""

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        """Wait for a start; then `seconds`, then `call`."""
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(round(1000 * seconds))
        self._timer.timeout.connect(call)

    @property
    def waiting(self) -> bool:
        """Whether it is going to call."""
        return bool(self._timer.active)

    def start(self) -> None:
        """Wait from now on."""
        self._timer.start()

    def stop(self) -> None:
        """Do not call."""
        self._timer.stop()


class IdleWork:
    """Runs one generator at a time; see `TumorSegModule.logic.later.Pieces`."""

    def __init__(self) -> None:
        """Have nothing to do yet."""
        self._work: Generator[None, None, Any] | None = None
        self._done: Callable[[Any], None] | None = None
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._go_on)

    @property
    def busy(self) -> bool:
        """Whether there is something to do."""
        return self._work is not None

    def start(self, work: Generator[None, None, Any], done: Callable[[Any], None]) -> None:
        """Begin with `work` in place of what was under way.

        Args:
            work: generator; it may be left between two steps.
            done: called with what it returned.
        """
        self._work, self._done = work, done
        self._timer.start()

    def stop(self) -> None:
        """Leave it where it is."""
        self._work = self._done = None
        self._timer.stop()

    def _go_on(self) -> None:
        until = time.perf_counter() + WORK_SECONDS
        while self._work is not None and time.perf_counter() < until:
            try:
                next(self._work)
            except StopIteration as end:
                done = self._done
                self.stop()
                if done is not None:
                    done(end.value)


class QtLater:
    """See `TumorSegModule.logic.later.Later`."""

    def rest(self, seconds: float, call: Callable[[], object]) -> QtRest:
        """Return what calls `call`, `seconds` after it was last started."""
        return QtRest(seconds, call)

    def pieces(self) -> IdleWork:
        """Return what runs generators."""
        return IdleWork()
