"""What is done later, between other events: by Qt's timers in the panel, asyncio on the page."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol


class Rest(Protocol):
    """Calls once, when it was not started again for a while."""

    @property
    def waiting(self) -> bool:
        """Whether it is going to call."""

    def start(self) -> None:
        """Wait from now on."""

    def stop(self) -> None:
        """Do not call."""


class Pieces(Protocol):
    """Runs one generator at a time, a few milliseconds of it between other events."""

    @property
    def busy(self) -> bool:
        """Whether there is something to do."""

    def start(self, work: Generator[None, None, Any], done: Callable[[Any], None]) -> None:
        """Begin with `work` in place of what was under way.

        Args:
            work: generator; it may be left between two steps.
            done: called with what it returned.
        """

    def stop(self) -> None:
        """Leave it where it is."""


class Later(Protocol):
    """Makes both."""

    def rest(self, seconds: float, call: Callable[[], object]) -> Rest:
        """Return what calls `call`, `seconds` after it was last started."""

    def pieces(self) -> Pieces:
        """Return what runs generators."""
