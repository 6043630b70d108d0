"""Who looks at a session's page, and how long it has not been used. No trame."""

from __future__ import annotations

import time
from collections.abc import Callable

AWAY_LOOKS = 6
"""Looks, a second apart, without a browser after which nobody is there; a reload is quicker."""


class Presence:
    """Counts connections of the page, and looks at which there was none.

    Looks are counted, not seconds: a process that was busy with something long has not heard of a
    browser that was there.

    Attributes:
        connected: how many pages are connected.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Nobody has come yet; `now` returns the time in seconds."""
        self._now = now
        self._used = now()
        self._looks = 0
        self.connected = 0

    def came(self) -> None:
        """Note that a page connects."""
        self.connected += 1
        self.asked()

    def left(self) -> None:
        """Note that a page is gone."""
        self.connected -= 1
        self._looks = 0

    def asked(self) -> None:
        """Note that a browser asks for something, as one that loads the page does."""
        self._looks = 0
        self.used()

    def used(self) -> None:
        """Note that somebody does something, or waits for a run."""
        self._used = self._now()

    def look(self) -> bool:
        """Return whether nobody has been there for some time; call this every second."""
        self._looks = 0 if self.connected else self._looks + 1
        return self._looks >= AWAY_LOOKS

    @property
    def idle_seconds(self) -> float:
        """How long nobody has used it."""
        return self._now() - self._used
