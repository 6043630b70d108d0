"""What the node does, a line each, for a terminal or the system's journal; none names a patient."""

from __future__ import annotations

import sys
import threading
import time

from TumorSegLib.errors import escaped

AGAIN_SECONDS = 3600.0
"""After which what still holds is said again."""


class Journal:
    """Prints lines to standard error, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Print a line with the time."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with self._lock:
            print(f"{stamp} {escaped(line)}", file=sys.stderr, flush=True)  # noqa: T201

    def say_once(self, about: str, line: str) -> None:
        """Print a line of what lasts, unless one `about` it was printed not long ago."""
        now = time.monotonic()
        with self._lock:
            last = self._said.get(about)
            if last is not None and now - last < AGAIN_SECONDS:
                return
            if len(self._said) > 1000:  # callers that nobody knows, each by another name
                self._said.clear()
            self._said[about] = now
        self.say(line)

    def is_over(self, about: str, line: str) -> bool:
        """Print that what was said by `say_once` does not hold any more; tell if it was said."""
        with self._lock:
            was_said = self._said.pop(about, None) is not None
        if was_said:
            self.say(line)
        return was_said
