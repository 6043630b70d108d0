"""What sends something to a worker bit by bit, so that Slicer stays usable, and hears of it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from typing import Any

from TumorSegLib.errors import InputError, fault
from TumorSegModule.logic.worker_client import WorkerClient

WORK_SECONDS = 0.01
"""Longest time that one `poll` spends; Slicer's views move in between."""


class WorkerErrand:
    """One errand at a time; nothing here ever waits for the worker.

    An errand that `_begin` has begun fails with the worker, in whichever step of it that ends.

    Attributes:
        client: the worker's.
    """

    def __init__(self, client: WorkerClient) -> None:
        """Go to `client`'s worker."""
        self.client = client
        self._work: Iterator[Any] | None = None
        self._job = 0
        self._begun = False

    @property
    def busy(self) -> bool:
        """Whether the errand is under way; `poll` must be called meanwhile."""
        raise NotImplementedError

    @property
    def working(self) -> bool:
        """Whether `poll` should be called again at once."""
        return self._work is not None

    def poll(self) -> None:
        """Go on; call this every few milliseconds while busy."""
        try:
            for event in self.client.poll():
                self._take(event)
            self._go_on()
        except Exception as error:  # whoever waits for the errand must hear of its end
            if not self.busy:
                raise
            self.client.log.extend(traceback.format_exc().splitlines())
            self._fail(fault(error))

    def _go_on(self) -> None:
        until = time.perf_counter() + WORK_SECONDS
        work = self._work
        try:
            while work is not None and work is self._work and time.perf_counter() < until:
                next(work)
        except StopIteration:
            if self._work is work:  # whoever was told may have begun anew
                self._work = None
        except (InputError, MemoryError, OSError) as error:
            self._fail(str(error))

    def _begin(self) -> None:
        """Have a worker for the errand.

        Raises:
            OSError: the interpreter cannot be started.
        """
        self.client.start()
        self._begun = True

    def _take(self, event: Any) -> None:
        """Take what the worker says."""
        raise NotImplementedError

    def _fail(self, line: str) -> None:
        """End the errand, which `line` says why."""
        raise NotImplementedError
