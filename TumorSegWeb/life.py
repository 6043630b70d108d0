"""What becomes of a session that nobody looks at: it lets go of its processes, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from TumorSegWeb.presence import Presence

if TYPE_CHECKING:
    from trame_server.state import State

LOOK_SECONDS = 1.0
WARN_SECONDS = 120.0
SOCKET = "/ws"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Work(Protocol):
    """What goes on in a session."""

    @property
    def busy(self) -> bool:
        """Whether the user waits for something."""

    def release(self) -> None:
        """End what runs, and let go of processes and memory; the scene stays."""

    def resume(self) -> None:
        """Go on where `release` left off."""


class Life:
    """Looks after a session every second."""

    def __init__(self, state: State, work: Work, idle_seconds: float | None) -> None:
        """Look after `work`.

        Args:
            state: of the page, which is warned before the end.
            work: what goes on.
            idle_seconds: after which a session that nobody uses ends; None: it does not.
        """
        self._state, self._work, self._idle_seconds = state, work, idle_seconds
        self._released = False
        self.presence = Presence()
        state.ts_hosted = idle_seconds is not None
        state.ts_idle_minutes = round((idle_seconds or 0) / 60, 1)
        state.ts_ends_in = 0

    def observe(self, application: web.Application) -> None:
        """Hear of the page's requests and connections."""

        @web.middleware
        async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
            presence = self.presence
            if request.path != SOCKET:
                presence.asked()
                return await handler(request)
            presence.came()
            self._return()
            try:
                return await handler(request)
            finally:
                presence.left()

        application.middlewares.append(noted)

    def used(self) -> None:
        """Note that the user does something."""
        self.presence.used()
        self._state.ts_ends_in = 0

    async def watch(self) -> None:
        """Return when nobody has used the session for so long that it ends."""
        self.presence.used()  # nobody could, until now
        while not self._is_over():
            await asyncio.sleep(LOOK_SECONDS)
            if self._work.busy and self.presence.connected:
                self.presence.used()
            if self.presence.look():
                self._released = True
                self._work.release()

    def _return(self) -> None:
        if self._released:
            self._released = False
            self._work.resume()

    def _is_over(self) -> bool:
        if self._idle_seconds is None:
            return False
        left = self._idle_seconds - self.presence.idle_seconds
        warned = left <= min(WARN_SECONDS, self._idle_seconds / 2)
        with self._state as state:
            state.ts_ends_in = max(1, round(left)) if warned else 0
        return left <= 0
