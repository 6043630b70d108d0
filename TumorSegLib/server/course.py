"""What happens to one order: it waits, is segmented, and its results are sent; as frames."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, runs_within
from TumorSegLib.remote.protocol import (
    Alive,
    Done,
    Failed,
    Order,
    Part,
    Queued,
    Refused,
    Slices,
    frame,
)
from TumorSegLib.server.order_memory import CANCELLED, TOTAL, WRITTEN, OrderMemory, grid_of
from TumorSegLib.server.queue import Queue, Ticket
from TumorSegLib.server.replicas import Handle, Lost, Replicas

if TYPE_CHECKING:
    from numpy.typing import NDArray

Answer = TypeVar("Answer")

Send = Callable[[bytes], Awaitable[None]]
"""Sends a frame to the client; raises where it has gone."""

TRIES = 3
"""Processes that an order may lose; one that ends each of them is to blame."""
ALIVE_SECONDS = 0.5
"""Without news; a client notices within this time that it is no longer wanted."""
STOP_SECONDS = 60.0
"""In which a process stops that is told to; one that does not hangs, and is ended."""
LOOK_SECONDS = 0.05
"""Between two looks at how far a process has come."""
PART_VOXELS = 4 << 20


class Course:
    """The way of one order through the server.

    Attributes:
        outcome: in a word, for the log.
    """

    def __init__(
        self, order: Order, memory: OrderMemory, ticket: Ticket, queue: Queue, replicas: Replicas
    ) -> None:
        self._order, self._memory, self._ticket = order, memory, ticket
        self._queue, self._replicas = queue, replicas
        self._view: AxialView
        self.outcome = "left"

    async def run(self, send: Send) -> None:
        """Send all frames; when this is cancelled, or `send` raises, the order is stopped."""
        try:
            self._view = AxialView.of(grid_of(self._order.first))
        except InputError as error:
            self.outcome = "failed"
            await send(frame(Failed(str(error))))
            return
        self._queue.wait(self._ticket)
        await self._wait(send)
        for _ in range(TRIES):
            try:
                done = await self._attempt(send)
            except Lost:
                await asyncio.to_thread(self._memory.begin)
                continue
            if isinstance(done, Done):
                await self._send_results(send)
            self.outcome = "done" if isinstance(done, Done) else "failed"
            await send(frame(done))
            return
        self.outcome = "given up"
        line = f"the process that segments it ended {TRIES} times; nothing more is tried"
        await send(frame(Refused("ending", line)))

    async def _wait(self, send: Send) -> None:
        told = None
        while place := self._queue.place(self._ticket):
            await send(frame(Alive() if place == told else Queued(place)))
            told = place
            await self._queue.change(ALIVE_SECONDS)

    async def _attempt(self, send: Send) -> Done | Failed:
        """Return what one process makes of the order.

        Raises:
            Lost: it is gone.
        """
        handle = await self._taken(send)
        under_way: asyncio.Future[Any] | None = None
        try:
            loading = under_way = asyncio.ensure_future(handle.load(self._order))
            begun = await _with_signs_of_life(loading, send)
            if isinstance(begun, Failed):
                return begun
            await send(frame(begun))
            running = handle.run(self._order, self._memory.names)
            segmenting = under_way = asyncio.ensure_future(running)
            await self._send_slices(segmenting, send)
            done: Done | Failed = segmenting.result()
        finally:
            await self._let_go(handle, under_way)
        return done

    async def _taken(self, send: Send) -> Handle:
        """Return a process; one that comes up when nobody waits any more is for others."""
        taking = asyncio.ensure_future(self._replicas.take())
        try:
            return await _with_signs_of_life(taking, send)
        except Lost:
            raise
        except BaseException:
            with suppress(Lost):
                self._replicas.give_back(await _to_its_end(taking))
            raise

    async def _send_slices(self, segmenting: asyncio.Future[Done | Failed], send: Send) -> None:
        labels = self._view.apply(self._memory.labelmap)
        first, last = self._order.slices or (0, len(labels))
        sent = np.zeros(len(labels), np.bool_)
        told = time.monotonic()
        finished = False
        while not finished:
            finished = await _is_done(segmenting, LOOK_SECONDS)
            total = int(self._memory.state[TOTAL]) or last - first
            written = self._memory.state[WRITTEN : WRITTEN + len(labels)] > 0
            for start, stop in runs_within(np.flatnonzero(written & ~sent)):
                payload = await asyncio.to_thread(_deflated, labels[start:stop])
                sent[start:stop] = True
                done = int(np.count_nonzero(sent))
                await send(frame(Slices(start, stop, done, max(done, total)), payload))
                told = time.monotonic()
            if time.monotonic() - told > ALIVE_SECONDS:
                await send(frame(Alive()))
                told = time.monotonic()

    async def _send_results(self, send: Send) -> None:
        names: tuple[Literal["labelmap", "probabilities"], ...] = ("labelmap", "probabilities")
        for name in names:
            voxels = getattr(self._memory, name).reshape(-1)
            for start in range(0, len(voxels), PART_VOXELS):
                part = voxels[start : start + PART_VOXELS]
                payload = await asyncio.to_thread(_deflated, part)
                await send(frame(Part(name, start, len(part)), payload))

    async def _let_go(self, handle: Handle, under_way: asyncio.Future[Any] | None) -> None:
        """Have a process stop, and give it back when it has, however this order ends."""
        lost = False
        if under_way is not None:
            if not under_way.done():
                self._memory.state[CANCELLED] = 1
                with suppress(Exception):  # how it ended is looked at below
                    await _to_its_end(under_way, STOP_SECONDS)
            lost = not under_way.done() or isinstance(under_way.exception(), Lost)
        (self._replicas.drop if lost else self._replicas.give_back)(handle)


async def _with_signs_of_life(future: asyncio.Future[Answer], send: Send) -> Answer:
    while not await _is_done(future, ALIVE_SECONDS):
        await send(frame(Alive()))
    return future.result()


async def _to_its_end(future: asyncio.Future[Answer], seconds: float | None = None) -> Answer:
    """Wait for a future although this task is cancelled: what it holds has to be given back.

    Raises:
        InvalidStateError: it is not done within so many seconds.
    """
    end = None if seconds is None else time.monotonic() + seconds
    while not future.done() and (end is None or time.monotonic() < end):
        with suppress(asyncio.CancelledError):
            await asyncio.wait({future}, timeout=seconds)
    return future.result()


async def _is_done(future: asyncio.Future[Any], seconds: float) -> bool:
    done, _ = await asyncio.wait({future}, timeout=seconds)
    return bool(done)


def _deflated(voxels: NDArray[np.uint8]) -> bytes:
    return zlib.compress(voxels.tobytes(), 1)
