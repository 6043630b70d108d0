"""Ctrl-C and the system's request to end, taken between two batches."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lightning.pytorch.callbacks import Callback

from TumorSegLib.support.signals import ENDING


class Interruption(Callback):
    """Ends a run where nothing is half done.

    An exception out of a signal's handler can come while a loader starts its processes, or while a
    lock of its queues is held: the run then waits for ever, or ends with a traceback. From the
    start of the fit on, the first signal is noted and ends the run after the batch; a second one
    ends it at once, as does any while cases are still being decoded.
    """

    def __init__(self) -> None:
        """Nothing came so far."""
        self._fitting = self._came = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take signals while the block lasts.

        Raises:
            KeyboardInterrupt: one came; also one for which no batch ended.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {number: signal.signal(number, self._take) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._end_if_asked()

    def on_fit_start(self, *_: Any) -> None:
        """From here on processes of the loader may be there."""
        self._fitting = True

    def on_train_batch_end(self, *_: Any) -> None:
        """End the run if a signal came."""
        self._end_if_asked()

    def on_validation_batch_end(self, *_: Any) -> None:
        """End the run if a signal came."""
        self._end_if_asked()

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self._came or not self._fitting:
            raise KeyboardInterrupt
        self._came = True

    def _end_if_asked(self) -> None:
        if self._came:
            raise KeyboardInterrupt
