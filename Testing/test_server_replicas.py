"""How many processes segment, and when one ends; Ray is made up."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.server import course
from TumorSegLib.server import replicas as module
from TumorSegLib.server.replicas import Lost, RayReplicas
from TumorSegLib.server.serving import ReplicaOptions, shares


class RayError(Exception):
    pass


class Ray:
    """What `RayReplicas` uses of Ray."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self):
        self.made, self.killed, self.options_given, self.error = [], [], None, None

    def remote(self, cls):
        return self

    def options(self, **given):
        self.options_given = given
        return SimpleNamespace(remote=self._new)

    def _new(self, *arguments):
        actor = SimpleNamespace(process=SimpleNamespace(remote=self._answer), arguments=arguments)
        self.made.append(actor)
        return actor

    def _answer(self):
        future = Future()
        if self.error is None:
            future.set_result(1)
        else:
            future.set_exception(self.error)
        return SimpleNamespace(future=lambda: future)

    def kill(self, actor):
        self.killed.append(actor)


def test_actors_are_used_again_and_end_when_they_have_nothing_to_do_but_for_one(monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    ray = Ray()

    async def day():
        pool = RayReplicas(ray, 2, threads=1, gpu=0.5)
        one = await pool.take()
        pool.give_back(one)
        assert await pool.take() is one
        other = await pool.take()
        pool.give_back(one)
        pool.give_back(other)
        while not ray.killed:
            await asyncio.sleep(0.01)
        assert ray.killed == [one.actor]
        assert await pool.take() is other

    asyncio.run(day())
    assert len(ray.made) == 2
    assert ray.made[0].arguments == ("cuda", 1)
    assert ray.options_given == {"num_cpus": 0, "num_gpus": 0.5, "max_restarts": 0}


def test_an_actor_that_does_not_come_up_is_lost():
    ray = Ray()
    ray.error = RayError("no memory")
    with pytest.raises(Lost, match="RayError"):
        asyncio.run(RayReplicas(ray, 1, threads=1, gpu=0).take())


@pytest.mark.parametrize(
    ("work", "gpus", "expected"),
    [
        (ReplicaOptions(threads=2), 0, (1, 2, 0.0)),
        (ReplicaOptions(3, threads=1), 0, (3, 1, 0.0)),
        (ReplicaOptions(threads=1), 2, (2, 1, 1.0)),
        (ReplicaOptions(threads=1, gpu=0.5), 1, (2, 1, 0.5)),
        (ReplicaOptions(1, threads=1), 4, (1, 1, 1.0)),
    ],
)
def test_gpus_are_shared_out(work, gpus, expected):
    assert shares(work, gpus) == expected


@pytest.mark.parametrize(("work", "gpus"), [(ReplicaOptions(3), 2), (ReplicaOptions(gpu=0.5), 0)])
def test_more_gpus_than_there_are_is_one_line(work, gpus):
    with pytest.raises(InputError, match="ask for fewer --replicas or a smaller --gpu-share"):
        shares(work, gpus)


@pytest.mark.parametrize(
    ("ends_with", "given_back"),
    [(None, True), (KeyError("a fault"), True), (Lost("gone"), False), ("never", False)],
)
def test_a_process_is_given_back_or_dropped_however_a_stopped_order_ends(
    monkeypatch, ends_with, given_back
):
    monkeypatch.setattr(course, "STOP_SECONDS", 0.05)
    kept, dropped = [], []
    memory = SimpleNamespace(state=np.zeros(8, np.int64))
    replicas = SimpleNamespace(give_back=kept.append, drop=dropped.append)
    order = SimpleNamespace(first=None)
    monkeypatch.setattr(course, "grid_of", lambda _: Grid((2, 3, 4), (1.0, 1.0, 1.0)))

    async def stopped():
        under_way = asyncio.get_running_loop().create_future()
        if ends_with != "never":
            ended = under_way.set_exception if ends_with else under_way.set_result
            asyncio.get_running_loop().call_later(0.01, ended, ends_with)
        await course.Course(order, memory, None, None, replicas)._let_go("process", under_way)

    asyncio.run(stopped())
    assert memory.state[course.CANCELLED] == 1
    assert (kept, dropped) == ((["process"], []) if given_back else ([], ["process"]))
