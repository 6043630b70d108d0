"""Errors that nobody expected are told on the page, and end what was under way."""

from __future__ import annotations

import asyncio
import logging
import traceback
from types import SimpleNamespace

import pytest

from TumorSegWeb.clock import Pieces, Poller, Rest
from TumorSegWeb.faults import SENDERS, Faults, tell_of_no_departures
from TumorSegWeb.questions import CANCEL, Questions


class State:
    """What the page shows, sent to the browser whenever a block ends."""

    def __init__(self):
        self.ts_problem, self.ts_hosted = "", False
        self.shown = []

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.shown.append(self.ts_problem)


@pytest.fixture
def state():
    return State()


@pytest.fixture
def faults(state):
    return Faults(state)


def breaks(*_arguments):
    raise KeyError("of a programmer")


async def until_told(state):
    while not state.ts_problem:
        await asyncio.sleep(0)


def test_an_error_of_a_click_is_told_with_what_to_do(state, faults, capsys):
    async def work():
        breaks()

    async def click():
        faults.in_background(work)()
        await until_told(state)

    asyncio.run(click())
    assert "KeyError: 'of a programmer'" in state.ts_problem
    assert "terminal" in state.ts_problem
    assert "\n" not in state.ts_problem
    assert state.shown == [state.ts_problem]
    assert "in breaks" in capsys.readouterr().err


def test_a_page_that_is_closed_amid_what_is_sent_to_it_is_no_error(caplog):
    tell_of_no_departures()
    wslink, aiohttp, loop = map(logging.getLogger, SENDERS)
    for error in (ConnectionResetError("Cannot write to closing transport"), KeyError("a")):
        try:
            raise error
        except Exception as raised:
            wslink.error("Exception raised")
            wslink.error(repr(raised))
            wslink.error(traceback.format_exc())
            aiohttp.exception("Error handling request")
            loop.error("Task exception was never retrieved", exc_info=raised)
    told = [record for record in caplog.records if record.name in SENDERS]
    assert len(told) == 4
    assert "ConnectionResetError" not in caplog.text
    for logger in (wslink, aiohttp, loop):
        logger.filters.clear()


def test_who_is_not_at_the_hosts_terminal_is_not_sent_there(state, faults):
    state.ts_hosted = True
    faults.guarded(breaks)()
    assert "unexpected error" in state.ts_problem
    assert "terminal" not in state.ts_problem


def test_an_error_ends_what_was_under_way(state, faults):
    ended = []
    faults.recover_by(breaks)
    faults.recover_by(lambda: ended.append(True))
    assert faults.guarded(breaks)() is None
    assert ended == [True]
    assert "of a programmer" in state.ts_problem


def test_what_does_not_break_is_as_it_would_be(state, faults):
    assert faults.guarded(lambda a, b: a + b)(1, b=2) == 3
    assert state.ts_problem == ""


def test_polling_ends_with_its_error_and_can_begin_again(state, faults):
    calls = []

    def poll():
        calls.append(True)
        breaks()

    async def run():
        poller = Poller(state, poll, lambda: True, lambda: True, faults)
        for _again in range(2):
            state.ts_problem = ""
            poller.start()
            await until_told(state)
            await asyncio.sleep(0)

    asyncio.run(run())
    assert len(calls) == 2


def test_a_rest_and_a_generator_tell_of_their_errors(state, faults):
    def works():
        yield
        breaks()

    async def run():
        rest, pieces = Rest(0, breaks, faults), Pieces(faults)
        rest.start()
        assert rest.waiting
        await until_told(state)
        assert not rest.waiting
        state.ts_problem = ""
        pieces.start(works(), breaks)
        await until_told(state)
        await asyncio.sleep(0)
        assert not pieces.busy

    asyncio.run(run())


def test_a_generator_gives_what_it_returns_and_a_new_one_takes_its_place(faults):
    def works(value):
        yield
        return value

    async def run():
        pieces, results = Pieces(faults), []
        pieces.start(works("left"), results.append)
        pieces.start(works("done"), results.append)
        while pieces.busy:
            await asyncio.sleep(0)
        return results

    assert asyncio.run(run()) == ["done"]


def test_a_question_that_takes_anothers_place_stays_until_it_is_answered(state):
    """As where Segment is clicked twice before the browser shows what is asked."""

    async def check():
        questions = Questions(SimpleNamespace(state=state))
        first, second = (
            asyncio.ensure_future(questions.ask(title, [], {"yes": "Accept"}))
            for title in ("first", "second")
        )
        assert await first == CANCEL
        await asyncio.sleep(0)
        assert state.ts_question["title"] == "second"
        questions.answer("yes")
        assert await second == "yes"
        assert state.ts_question is None

    asyncio.run(check())
