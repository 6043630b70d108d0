"""Who is next: orders are taken in the order in which their voxels have arrived."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from TumorSegLib.remote.protocol import Refusal
from TumorSegLib.server.limits import Limits

MIB = 1 << 20


class RefusedOrder(Exception):
    """An order is not taken; see `TumorSegLib.remote.protocol.Refused`."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason: Refusal = reason
        self.message = message


@dataclass(eq=False)
class Ticket:
    """An order that has been let in.

    Attributes:
        user: whose it is.
        bytes: of memory that it takes.
        number: counts up, for the log.
    """

    user: str
    bytes: int
    number: int = field(default_factory=count(1).__next__)


class Queue:
    """Orders that have been let in: arriving, waiting, running."""

    def __init__(self, limits: Limits, at_once: int) -> None:
        """Have no orders; `at_once` of them may run at a time."""
        self._limits, self._at_once = limits, at_once
        self._arriving: set[Ticket] = set()
        self._waiting: list[Ticket] = []
        self._running: set[Ticket] = set()
        self._changed = asyncio.Event()

    @property
    def running(self) -> int:
        """Orders that are under way."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Orders that wait or whose voxels are on their way."""
        return len(self._waiting) + len(self._arriving)

    def enter(self, user: str, size: int) -> Ticket:
        """Let in an order that takes `size` bytes of memory, before its voxels come.

        Raises:
            RefusedOrder: there are too many.
        """
        inside = [*self._arriving, *self._waiting, *self._running]
        free = self._at_once - self.running
        if self.waiting - max(0, free) >= self._limits.queue:
            line = f"{self.waiting} orders wait already, it takes no more; try again later"
            raise RefusedOrder("busy", line)
        own = sum(ticket.user == user for ticket in inside)
        if own >= self._limits.a_user:
            line = f"{own} orders of yours are there already; wait for one of them"
            raise RefusedOrder("busy", line)
        used = sum(ticket.bytes for ticket in inside)
        if used + size > self._limits.memory_bytes:
            line = (
                f"it has {(self._limits.memory_bytes - used) // MIB} MiB of memory left for orders,"
                f" this one needs {size // MIB}; try again later"
            )
            raise RefusedOrder("busy", line)
        ticket = Ticket(user, size)
        self._arriving.add(ticket)
        return ticket

    def wait(self, ticket: Ticket) -> None:
        """Line up an order whose voxels are there."""
        self._arriving.discard(ticket)
        self._waiting.append(ticket)
        self._tell()

    def place(self, ticket: Ticket) -> int:
        """Return an order's place, 1 for the next; 0 if it now runs."""
        place = self._waiting.index(ticket) + 1
        if place > self._at_once - len(self._running):
            return place
        self._waiting.remove(ticket)
        self._running.add(ticket)
        self._tell()
        return 0

    def leave(self, ticket: Ticket) -> None:
        """Forget an order, wherever it is."""
        self._arriving.discard(ticket)
        self._running.discard(ticket)
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        self._tell()

    async def change(self, seconds: float) -> None:
        """Wait until something changes, or for so long."""
        with suppress(TimeoutError):  # `wait_for` of Python 3.11 may swallow a cancellation
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
