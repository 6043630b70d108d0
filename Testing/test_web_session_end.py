"""A session lets go of what it holds when nobody looks, and ends when nobody uses it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("aiohttp", reason="needs aiohttp, which the extra web brings")

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from TumorSegWeb import life
from TumorSegWeb.life import Life
from TumorSegWeb.presence import AWAY_LOOKS, Presence


class Clock:
    def __init__(self):
        self.time = 1000.0

    def __call__(self):
        return self.time


class State(SimpleNamespace):
    """What the page is shown."""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass


class Work:
    """A run that goes on, unless it is released."""

    busy = True

    def __init__(self):
        self.calls = []

    def release(self):
        self.calls.append("release")

    def resume(self):
        self.calls.append("resume")


@pytest.fixture
def looks(monkeypatch):
    """Has each look take no time; returns how many were made."""
    made = []

    async def look(_seconds):
        made.append(None)
        await real(0)

    real = asyncio.sleep
    monkeypatch.setattr(life, "asyncio", SimpleNamespace(sleep=look))
    return made


async def turns(looks, count):
    """Let so many looks be made."""
    until = len(looks) + count
    while len(looks) < until:
        await asyncio.sleep(0)


def lived(idle_seconds=None):
    work, state, clock = Work(), State(), Clock()
    made = Life(state, work, idle_seconds)
    made.presence = Presence(clock)
    return made, work, state, clock


def test_what_runs_is_released_when_the_page_is_closed_but_not_when_it_is_loaded_again(looks):
    made, work, _state, _clock = lived()

    async def socket(request):
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for _message in answer:
            pass
        return answer

    async def check():
        application = web.Application()
        made.observe(application)
        application.router.add_get("/ws", socket)
        async with TestClient(TestServer(application)) as client:
            async with client.ws_connect("/ws"):
                watching = asyncio.ensure_future(made.watch())
                await turns(looks, 3 * AWAY_LOOKS)
                assert (made.presence.connected, work.calls) == (1, [])
            while not work.calls:
                await asyncio.sleep(0)
            async with client.ws_connect("/ws"):
                assert work.calls[-1] == "resume"
        watching.cancel()

    asyncio.run(check())


def test_a_page_that_is_asked_for_is_being_loaded(looks):
    made, work, _state, _clock = lived()

    async def check():
        application = web.Application()
        made.observe(application)
        async with TestClient(TestServer(application)) as client:
            for _ in range(3):
                assert not any(made.presence.look() for _ in range(AWAY_LOOKS - 1))
                await client.get("/assets")
        assert work.calls == []

    asyncio.run(check())


def test_a_session_ends_after_a_warning_when_nobody_uses_it(looks):
    made, work, state, clock = lived(1800)
    clock.time += 1800  # it took long to start

    async def check():
        watching = asyncio.ensure_future(made.watch())
        await turns(looks, 2)
        assert not watching.done()
        made.presence.came()
        work.busy = False
        clock.time += 1600
        await turns(looks, 2)
        assert state.ts_ends_in == 0
        clock.time += 101
        await turns(looks, 2)
        assert state.ts_ends_in == 99
        made.used()
        assert state.ts_ends_in == 0
        clock.time += 1790
        work.busy = True  # somebody waits for a run
        await turns(looks, 2)
        work.busy = False
        clock.time += 1790
        await turns(looks, 2)
        assert not watching.done()
        clock.time += 10
        await watching
        assert state.ts_ends_in == 1  # says why, when the socket is closed

    asyncio.run(check())


def test_a_session_on_ones_own_computer_does_not_end_by_itself(looks):
    made, _work, state, clock = lived()

    async def check():
        watching = asyncio.ensure_future(made.watch())
        clock.time += 1e9
        await turns(looks, 3)
        assert not watching.done()
        watching.cancel()

    asyncio.run(check())
    assert (state.ts_hosted, state.ts_ends_in) == (False, 0)
