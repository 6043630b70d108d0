"""A timer of Qt for the logic, which knows no Qt; see `TumorSegModule.logic.scripting.Clock`."""

from __future__ import annotations

from collections.abc import Callable

import qt


class QtClock:
    """Calls again and again from the event loop."""

    def __init__(self) -> None:
        """Call nothing yet."""
        self._call: Callable[[], None] | None = None
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._called)

    def start(self, milliseconds: int, call: Callable[[], None]) -> None:
        """Call every so many milliseconds from now on, 0 for as often as possible."""
        self._call = call
        if not self._timer.active or self._timer.interval != milliseconds:
            self._timer.setInterval(milliseconds)
            self._timer.start()

    def stop(self) -> None:
        """Call no more."""
        self._timer.stop()

    def _called(self) -> None:
        if self._call is not None:
            self._call()
