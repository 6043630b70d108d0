"""What asks processes whether they have said something: the page's counterpart of a Qt timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trame_server.state import State

POLL_SECONDS = 0.025


class Poller:
    """Calls again and again while there is something under way; all in the event loop's thread."""

    def __init__(
        self,
        state: State,
        poll: Callable[[], None],
        pending: Callable[[], bool],
        at_once: Callable[[], bool],
    ) -> None:
        """Have nothing to do yet.

        Args:
            state: of the page, which is shown after each call.
            poll: goes on with the work.
            pending: tells whether `poll` must be called again.
            at_once: tells whether that should be soon, as voxels are being copied.
        """
        self._state, self._poll = state, poll
        self._pending, self._at_once = pending, at_once
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._pending():
            with self._state:
                self._poll()
            await asyncio.sleep(0 if self._at_once() else POLL_SECONDS)


class Rest:
    """Calls once, when it was not started again for a moment."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        """Wait for a start; then `seconds`, then `call`."""
        self._seconds, self._call = seconds, call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Wait from now on."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(self._seconds, self._call)

    def stop(self) -> None:
        """Do not call."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
