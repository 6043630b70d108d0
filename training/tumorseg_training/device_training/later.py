"""Files that are written while the next run trains."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Later:
    """A thread that writes, in order; a failure is logged and stops nothing."""

    def __init__(self, log: Callable[[str], None]) -> None:
        """Report failures to `log`."""
        self._log = log
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[Future[Any]] = []

    def write(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function` with `arguments` in the thread."""
        self._waiting.append(self._thread.submit(function, *arguments))

    def finish(self, seconds_left: Callable[[], float] | None = None) -> None:
        """Wait for what is being written, for so long as is left; forever if that is not given."""
        for future in self._waiting:
            try:
                future.result(timeout=None if seconds_left is None else seconds_left())
            except Exception as error:
                self._log(f"WRITING FAILED: {error!r}")
        self._waiting.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)
