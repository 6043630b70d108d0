"""Errors that nobody expected: a line on the page, the details in the terminal."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trame_server.state import State

SENDERS = ("wslink.protocol", "aiohttp.server", "asyncio")
"""Loggers that tell of what cannot be sent to a page."""


def tell_of_no_departures() -> None:
    """Have nothing printed where a page is closed, or loaded again, amid what is sent to it."""
    for name in SENDERS:
        logging.getLogger(name).addFilter(_is_no_departure)


def _is_no_departure(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    said = record.getMessage()
    if record.name == "wslink.protocol" and said == "Exception raised":  # and what follows is which
        return False
    return not isinstance(error, ConnectionResetError) and "ConnectionResetError" not in said


class Faults:
    """Keeps the page usable after an error in what a click or a timer has begun."""

    def __init__(self, state: State) -> None:
        """Show lines as `ts_problem` of the page's `state`; `ts_hosted`: for a colleague."""
        self._state = state
        self._recoveries: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = False

    def recover_by(self, call: Callable[[], None]) -> None:
        """Have `call` called after an error; it ends what was under way."""
        self._recoveries.append(call)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell of an error in the block, and go on after it."""
        try:
            yield
        except Exception as error:
            self.tell(error)

    def tell(self, error: Exception) -> None:
        """Print an error, end what was under way, and say on the page that it was there."""
        traceback.print_exception(error, file=sys.stderr)
        if self._telling:  # an error of what recovers
            return
        self._telling = True
        try:
            with self._state as state:
                for recover in self._recoveries:
                    with self.told():
                        recover()
                state.ts_problem = (
                    f"An unexpected error ({_in_a_line(error)}) ended what was under way; the"
                    " scene is still there."
                )
                if not state.ts_hosted:  # a host's terminal names no files and patients
                    state.ts_problem += " The terminal in which the page was started says more."
        finally:
            self._telling = False

    def guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return what calls `call`, and tells of an error instead of raising it."""

        def guarded(*arguments: Any, **named: Any) -> Any:
            with self.told():
                return call(*arguments, **named)
            return None

        return guarded

    def in_background(self, work: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        """Return what begins with `work`: the page's socket is read again only when a call is over.

        An answer to a question, or Cancel, would not be heard before.
        """

        async def told(*arguments: Any) -> None:
            with self.told():
                await work(*arguments)

        def begin(*arguments: Any) -> None:
            task = asyncio.get_running_loop().create_task(told(*arguments))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return begin


def _in_a_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
