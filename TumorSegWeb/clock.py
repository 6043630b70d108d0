"""What asks processes whether they have said something: the page's counterpart of a Qt timer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from TumorSegWeb.faults import Faults

if TYPE_CHECKING:
    from trame_server.state import State

POLL_SECONDS = 0.025

PACE_SECONDS = 0.25
"""Between two places that sliders and texts show while the wheel turns: for each, the browser goes
through the page."""

WORK_SECONDS = 0.01
"""Longest time that one turn of the event loop spends on a generator."""


class Poller:
    """Calls again and again while there is something under way; all in the event loop's thread."""

    def __init__(
        self,
        state: State,
        poll: Callable[[], None],
        pending: Callable[[], bool],
        at_once: Callable[[], bool],
        faults: Faults,
    ) -> None:
        """Have nothing to do yet.

        Args:
            state: of the page, which is shown after each call.
            poll: goes on with the work.
            pending: tells whether `poll` must be called again.
            at_once: tells whether that should be soon, as voxels are being copied.
            faults: told of an error of `poll`, which ends the calls.
        """
        self._state, self._poll = state, poll
        self._pending, self._at_once = pending, at_once
        self._faults = faults
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        with self._faults.told():
            while self._pending():
                with self._state:
                    self._poll()
                await asyncio.sleep(0 if self._at_once() else POLL_SECONDS)


class Rest:
    """Calls once, when it was not started again for a moment."""

    def __init__(self, seconds: float, call: Callable[[], object], faults: Faults) -> None:
        """Wait for a start; then `seconds`, then `call`."""
        self._seconds, self._call, self._faults = seconds, call, faults
        self._handle: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> bool:
        """Whether it is going to call."""
        return self._handle is not None

    def start(self) -> None:
        """Wait from now on."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(self._seconds, self._called)

    def stop(self) -> None:
        """Do not call."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _called(self) -> None:
        self._handle = None
        with self._faults.told():
            self._call()


class Paced:
    """Calls at once, but then not before a pause is over: asked meanwhile, once more at its end."""

    def __init__(self, state: State, call: Callable[[], object]) -> None:
        """Have nothing to do yet; the page's `state` is shown after a call at a pause's end."""
        self._state, self._call = state, call
        self._pausing = self._asked = False

    def start(self) -> None:
        """Call, now or when the pause is over."""
        if self._pausing:
            self._asked = True
            return
        with suppress(RuntimeError):  # there is no loop any more: the page has ended
            asyncio.get_running_loop().call_later(PACE_SECONDS, self._over)
            self._pausing, self._asked = True, False
        self._call()

    def _over(self) -> None:
        self._pausing = False
        if self._asked:
            with self._state:  # nothing that the user did is answered now
                self.start()


class Pieces:
    """See `TumorSegModule.logic.later.Pieces`."""

    def __init__(self, faults: Faults) -> None:
        """Have nothing to do yet."""
        self._faults = faults
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether there is something to do."""
        return self._task is not None

    def start(self, work: Generator[None, None, Any], done: Callable[[Any], None]) -> None:
        """Begin with `work` in place of what was under way; `done` is told what it returned."""
        self.stop()
        self._task = asyncio.get_running_loop().create_task(self._run(work, done))

    def stop(self) -> None:
        """Leave it where it is."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self, work: Generator[None, None, Any], done: Callable[[Any], None]) -> None:
        with self._faults.told():
            result = await self._result_of(work)
            self._task = None
            done(result)
        if self._task is asyncio.current_task():
            self._task = None

    async def _result_of(self, work: Generator[None, None, Any]) -> Any:
        until = time.perf_counter() + WORK_SECONDS
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + WORK_SECONDS


class Clock:
    """See `TumorSegModule.logic.later.Later`."""

    def __init__(self, faults: Faults) -> None:
        """Tell `faults` of errors in what is called."""
        self._faults = faults

    def rest(self, seconds: float, call: Callable[[], object]) -> Rest:
        """Return what calls `call`, `seconds` after it was last started."""
        return Rest(seconds, call, self._faults)

    def pieces(self) -> Pieces:
        """Return what runs generators."""
        return Pieces(self._faults)
