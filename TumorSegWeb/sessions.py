"""Who is in which session: a random cookie for each, and no way from one to another. No trame."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Protocol

from TumorSegLib.errors import TumorSegError
from TumorSegWeb.session_process import Ready


class Process(Protocol):
    """See `TumorSegWeb.session_process.SessionProcess`."""

    ready: Ready

    async def start(self) -> None:
        """Start it and wait until it is ready."""

    async def ended(self) -> str:
        """Wait for its end."""

    async def end(self) -> None:
        """End it and remove what it leaves."""


class Full(TumorSegError):
    """There are as many sessions as there may be."""


class Session:
    """A process, from its start to when nothing of it is left.

    Attributes:
        number: by which messages name it.
    """

    def __init__(self, number: int, process: Process) -> None:
        """Start nothing yet."""
        self.number = number
        self._process = process
        self._started = asyncio.Event()
        self._problem: TumorSegError | None = None
        self._asked = asyncio.Event()

    @property
    def starting(self) -> bool:
        """Whether `ready` would have to wait."""
        return not self._started.is_set()

    async def ready(self) -> Ready:
        """Wait until it has started, and return the way to it.

        Raises:
            TumorSegError: it did not start.
        """
        await self._started.wait()
        if self._problem is not None:
            raise self._problem
        return self._process.ready

    def end(self) -> None:
        """Have it end soon."""
        self._asked.set()

    async def run(self) -> str:
        """Start it, wait for its end and see to it; return how it ended, "" if as it should."""
        try:
            try:
                await self._process.start()
            except TumorSegError as error:
                self._problem = error
                return str(error)
            finally:
                self._started.set()
            return await self._end_of_process()
        finally:
            await self._process.end()

    async def _end_of_process(self) -> str:
        ended = asyncio.ensure_future(self._process.ended())
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else ""
        finally:
            ended.cancel()
            asked.cancel()


class Sessions:
    """All that there are."""

    def __init__(self, make: Callable[[], Process], most: int, say: Callable[[str], None]) -> None:
        """Have none.

        Args:
            make: returns a process that is not started yet.
            most: how many there may be at once.
            say: told of beginnings and ends.
        """
        self._make, self._most, self._say = make, most, say
        self._by_cookie: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    def __len__(self) -> int:
        """Return how many there are, those that are ending among them."""
        return len(self._tasks)

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a browser, None if it is in none."""
        return self._by_cookie.get(cookie or "")

    def begin(self) -> str:
        """Begin a session, and return its cookie.

        Raises:
            Full: there are as many as there may be.
        """
        if len(self) >= self._most:
            raise Full(f"All {self._most} places are taken; try again when somebody has left.")
        self._count += 1
        cookie = secrets.token_hex(32)
        session = Session(self._count, self._make())
        self._by_cookie[cookie] = session
        task = asyncio.get_running_loop().create_task(self._follow(cookie, session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._say(f"session {session.number}: begins ({len(self)} of {self._most})")
        return cookie

    async def close(self) -> None:
        """End all, let nobody in, and wait until nothing of them is left."""
        self._most = 0
        for session in self._by_cookie.values():
            session.end()
        await asyncio.gather(*self._tasks)

    async def _follow(self, cookie: str, session: Session) -> None:
        how = "unexpected fault"
        try:
            how = await session.run()
        finally:
            self._by_cookie.pop(cookie, None)
            self._say(f"session {session.number}: ended{f' ({how})' if how else ''}")
