"""The processes that segment: actors of Ray, as many as there is work for.

Ray makes them, gives each its part of a GPU, and tells when one is gone. Between the
first and the most there are as many as orders run at a time; those that had nothing to do for a
while end, and give a GPU's memory back.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from TumorSegLib.remote.protocol import Done, Failed, Order, Started
from TumorSegLib.server.order_memory import Names
from TumorSegLib.server.replica import Replica

IDLE_SECONDS = 600.0


class Lost(Exception):
    """A process that segments is gone."""


class Handle(Protocol):
    """A process that segments."""

    async def load(self, order: Order) -> Started | Failed:
        """See `Replica.load`; raises `Lost`."""

    async def run(self, order: Order, names: Names) -> Done | Failed:
        """See `Replica.run`; raises `Lost`."""


class Replicas(Protocol):
    """Processes that segment.

    Attributes:
        most: of them at a time.
    """

    most: int

    async def take(self) -> Handle:
        """Return one that has nothing to do; raises `Lost` where none comes up."""

    def give_back(self, handle: Handle) -> None:
        """Let others have it."""

    def drop(self, handle: Handle) -> None:
        """Make no more use of one that is gone."""


@dataclass(eq=False)
class RayHandle:
    """An actor, and since when it has had nothing to do."""

    ray: ModuleType
    actor: Any
    since: float = field(default_factory=time.monotonic)

    async def load(self, order: Order) -> Started | Failed:
        """See `Handle`."""
        answer: Started | Failed = await self.answer(self.actor.load.remote(order))
        return answer

    async def run(self, order: Order, names: Names) -> Done | Failed:
        """See `Handle`."""
        answer: Done | Failed = await self.answer(self.actor.run.remote(order, names))
        return answer

    async def answer(self, reference: Any) -> Any:
        """Return what the actor answers.

        Raises:
            Lost: its process is gone.
        """
        try:
            return await asyncio.wrap_future(reference.future())
        except self.ray.exceptions.RayError as error:
            raise Lost(type(error).__name__) from None


class RayReplicas:
    """Actors of a Ray that this process is connected to."""

    def __init__(self, ray: ModuleType, most: int, *, threads: int, gpu: float) -> None:
        """Have no actors yet.

        Args:
            ray: the package, connected.
            most: actors at a time.
            threads: of each.
            gpu: part of a GPU of each.
        """
        self.most = most
        self._ray = ray
        device = "cuda" if gpu else "auto"
        actor = ray.remote(Replica).options(num_cpus=0, num_gpus=gpu, max_restarts=0)
        self._new_actor = actor.remote
        self._arguments = (device, threads)
        self._idle: list[RayHandle] = []

    async def take(self) -> RayHandle:
        """Return the actor that was used last, or a new one.

        Raises:
            Lost: a new one does not come up.
        """
        if self._idle:
            return self._idle.pop()
        handle = RayHandle(self._ray, self._new_actor(*self._arguments))
        await handle.answer(handle.actor.process.remote())
        return handle

    def give_back(self, handle: Handle) -> None:
        """Keep an actor for the next order, and end those that find none, but for one."""
        assert isinstance(handle, RayHandle)
        handle.since = time.monotonic()
        self._idle.append(handle)
        asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end_idle, handle.since)

    def drop(self, handle: Handle) -> None:
        """End what is left of an actor."""
        assert isinstance(handle, RayHandle)
        with suppress(Exception):
            self._ray.kill(handle.actor)

    def end_idle(self, before: float) -> None:
        """End actors that have had nothing to do since `before`, but for the last one used."""
        ended = [handle for handle in self._idle[:-1] if handle.since <= before]
        for handle in ended:
            self._idle.remove(handle)
            self.drop(handle)
