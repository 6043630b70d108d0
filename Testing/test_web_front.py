"""What stands before the sessions of several people: password, cookies, places, the way on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="needs aiohttp, which the extra web brings")

from aiohttp import DummyCookieJar, WSMsgType
from aiohttp.test_utils import TestClient, TestServer

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.support import leftovers
from TumorSegWeb import attempts, command, password, session_process, temporary
from TumorSegWeb.attempts import Attempts, place_of
from TumorSegWeb.front import COOKIE, MOST_WAITING, Front
from TumorSegWeb.password import PasswordFile
from TumorSegWeb.presence import AWAY_LOOKS, Presence
from TumorSegWeb.session_process import SessionProcess
from TumorSegWeb.sessions import Sessions

pytestmark = pytest.mark.slow

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in_session.py"))]
GOOD = "four words that differ"


class Clock:
    def __init__(self):
        self.time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A password's file, quick to check."""
    monkeypatch.setattr(password, "COST", 16)
    path = tmp_path / "password"
    PasswordFile(path).set(lambda: GOOD)
    return PasswordFile(path)


def test_the_file_has_no_password_and_belongs_to_its_owner(kept):
    text = kept.path.read_text("utf-8")
    assert GOOD not in text
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600 or os.name == "nt"
    assert kept.matches(GOOD)
    assert not any(kept.matches(wrong) for wrong in ("", GOOD[:-1], GOOD + " ", GOOD * 100))
    other = kept.path.with_name("other")
    PasswordFile(other).set(lambda: GOOD)
    assert other.read_text("utf-8") != text  # the salt


def test_one_letter_typed_in_two_ways_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(password, "COST", 16)
    file = PasswordFile(tmp_path / "password")
    file.set(lambda: "geb\u00e4ude mit turm")
    assert file.matches("geba\u0308ude mit turm")


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, 0, "is not there; make it with tumorseg web --set-password"),
        ("text", 0o600, "is no file of a password"),
        ('{"salt": "zz", "scrypt": "00", "n": 16}', 0o600, "is no file of a password"),
        ('{"salt": "00", "scrypt": "00", "n": 15}', 0o600, "parameters"),
        ('{"salt": "00", "scrypt": "00", "n": 1073741824}', 0o600, "parameters"),
        ('{"salt": "00", "scrypt": "00", "n": 16}', 0o644, "others can read it; run: chmod 600"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, content, mode, why):
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(InputError, match=re.escape(why)) as caught:
        PasswordFile(path).check()
    assert "\n" not in str(caught.value)


def test_a_new_password_is_asked_for_twice_and_another_file_is_left_alone(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "password"
    monkeypatch.setattr(password, "COST", 16)

    def set_password(*typed, terminal=True):
        answers = list(typed)
        monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
        monkeypatch.setattr("getpass.getpass", lambda _prompt: answers.pop(0))
        return words("--set-password", str(path))

    assert "asks on a terminal" in refusal(lambda: set_password(terminal=False))
    assert "12 to 1000" in refusal(lambda: set_password("short", "short"))
    assert "the two differ" in refusal(lambda: set_password(GOOD, GOOD.upper()))
    assert not path.exists()
    assert set_password(GOOD, GOOD) == 0
    assert set_password(GOOD.upper(), GOOD.upper()) == 0
    assert PasswordFile(path).matches(GOOD.upper())
    path.write_text("somebody's notes")
    assert "is no file of a password" in refusal(lambda: set_password(GOOD, GOOD))
    assert path.read_text() == "somebody's notes"


def words(*typed):
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(typed))


def refusal(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0: others would reach the page; make a password"),
        (["--sessions", "2"], "--sessions: has no effect without --password-file"),
        (["--idle-minutes", "2"], "--idle-minutes: has no effect without --password-file"),
        (["--certificate", "a"], "--certificate: has no effect without --password-file"),
        (["--password-file", "gone"], "--password-file gone: is not there"),
        (["--password-file", "gone", "--host", "0.0.0.0"], "would travel in the clear"),
        (["--password-file", "gone", "--key", "a"], "--key: is of no use without its certificate"),
        (
            ["--password-file", "gone", "--host", "0.0.0.0", "--certificate", "gone"],
            "--certificate gone: cannot be used (No such file",
        ),
    ],
)
def test_what_cannot_be_served_is_one_line_before_anything_starts(monkeypatch, typed, why):
    monkeypatch.setattr(command, "find_spec", lambda _package: True)
    monkeypatch.setattr(session_process.SessionProcess, "start", None)
    assert why in refusal(lambda: words(*typed))


def test_five_wrong_passwords_from_one_place_close_it_for_a_while():
    clock = Clock()
    counted = Attempts(clock)
    for _ in range(attempts.MOST):
        assert counted.seconds_to_wait("here") == 0
        counted.failed("here")
        clock.time += 1
    assert counted.seconds_to_wait("here") == attempts.SECONDS - attempts.MOST
    assert counted.seconds_to_wait("there") == 0
    clock.time += attempts.SECONDS - attempts.MOST
    assert counted.seconds_to_wait("here") == 0
    for number in range(attempts.MOST_PLACES + 10):
        counted.failed(f"place {number}")
    assert len(counted._failed) == attempts.MOST_PLACES


def test_a_place_is_an_address_or_a_network_of_ipv6():
    assert place_of("192.0.2.7") == place_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert place_of("2001:db8::1") == place_of("2001:db8::2:3") != place_of("2001:db8:0:1::1")
    assert place_of("not an address") == place_of("") == "unknown"


def test_nobody_is_there_after_some_looks_in_a_row_without_a_browser():
    clock = Clock()
    seen = Presence(clock)
    looks = [seen.look() for _ in range(AWAY_LOOKS)]
    assert looks == [False] * (AWAY_LOOKS - 1) + [True]
    seen.came()
    assert not any(seen.look() for _ in range(2 * AWAY_LOOKS))
    seen.left()
    assert not any(seen.look() for _ in range(AWAY_LOOKS - 1))
    clock.time += 7
    assert seen.idle_seconds == 7
    seen.asked()  # the page is being loaded again
    assert seen.idle_seconds == 0
    assert not any(seen.look() for _ in range(AWAY_LOOKS - 1))
    assert seen.look()
    clock.time += 7
    assert seen.idle_seconds == 7
    seen.used()
    assert seen.idle_seconds == 0


class House:
    """A front with stand-ins for sessions.

    Attributes:
        client: a browser without cookies of its own.
        said: lines that were printed.
    """

    def __init__(self, file, folder, told):
        self.file, self.folder, self.told = file, folder, told
        self.said: list[str] = []
        self.processes: list[SessionProcess] = []

    def process(self):
        made = SessionProcess(self.folder / f"{len(self.processes)}", self.told, STAND_IN)
        self.processes.append(made)
        return made

    async def log_in(self, text=GOOD, **headers):
        return await self.client.post(
            "/login", data={"password": text}, headers=headers, allow_redirects=False
        )

    async def enter(self):
        """Log in, wait for the session, and return the headers of a browser in it."""
        answer = await self.log_in()
        assert answer.status == 303
        inside = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}
        await self.sessions.find(answer.cookies[COOKIE].value).ready()
        return inside

    async def get(self, path="/", headers=None):
        return await self.client.get(path, headers=headers, allow_redirects=False)


@pytest.fixture
def house(kept, tmp_path):
    """What runs a test's coroutine with a `House`."""

    def run(check, most=2, behind_proxy=False, **told):
        async def within():
            made = House(kept, tmp_path, told)
            made.sessions = Sessions(made.process, most, made.said.append)
            front = Front(
                kept,
                made.sessions,
                behind_proxy=behind_proxy,
                say=made.said.append,
                wrong_seconds=0,
            )
            server = TestServer(front.application())
            async with TestClient(server, cookie_jar=DummyCookieJar()) as made.client:
                try:
                    await check(made)
                finally:
                    await made.sessions.close()
            assert [process._folder.exists() for process in made.processes if process] == [
                False
            ] * len(made.processes)
            assert all(process._process.poll() is not None for process in made.processes)

        asyncio.run(within())

    return run


def test_outside_there_is_a_page_for_the_password_and_nothing_else(house):
    async def check(house):
        page = await house.get()
        text = await page.text()
        assert (page.status, 'name="password"' in text) == (200, True)
        assert "script" not in text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        for path in ("/ws", "/assets/a.js", "/index.html/../ws"):
            assert (await house.get(path)).status == 403
        for path in ("/login", "/logout"):  # where the browser has been before
            answer = await house.get(path)
            assert (answer.status, answer.headers["Location"]) == (303, "/")
        forged = {"Cookie": f"{COOKIE}=0123"}
        assert (await house.get("/ws", forged)).status == 403
        assert "has ended" in await (await house.get("/", forged)).text()
        # a link on another site, with which browsers keep the cookie back
        again = await house.get("/", {"Sec-Fetch-Site": "cross-site"})
        assert 'http-equiv="refresh"' in await again.text()
        assert house.processes == []

    house(check)


def test_a_wrong_password_says_nothing_and_is_counted(house):
    async def check(house):
        for wrong in ("", "no", GOOD[:-1], GOOD.upper(), GOOD + "x"):
            answer = await house.log_in(wrong)
            assert (answer.status, COOKIE in answer.cookies) == (403, False)
        refused = await house.log_in(GOOD)  # the right one, too
        assert refused.status == 429
        assert 0 < int(refused.headers["Retry-After"]) <= attempts.SECONDS
        assert house.processes == []
        assert not any(GOOD in line for line in house.said)

    house(check)


def test_guesses_wait_for_one_another_and_few_may_wait(house, monkeypatch):
    checks = []

    def slow(_file, text):
        checks.append(text)
        gate.wait()
        return False

    import threading

    gate = threading.Event()
    monkeypatch.setattr(PasswordFile, "matches", slow)

    async def check(house):
        asked = [asyncio.ensure_future(house.log_in("x")) for _ in range(MOST_WAITING + 5)]
        while sum(one.done() for one in asked) < 5:
            await asyncio.sleep(0.01)
        assert len(checks) == 1
        gate.set()
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status for answer in answers) == [403] * 5 + [429] * MOST_WAITING
        assert len(checks) == attempts.MOST

    house(check)


def test_behind_a_proxy_places_are_those_that_it_names(house):
    async def check(house):
        for _ in range(attempts.MOST):
            await house.log_in("no", **{"X-Forwarded-For": "192.0.2.9, 192.0.2.1"})
        assert (await house.log_in("no", **{"X-Forwarded-For": "192.0.2.1"})).status == 429
        assert (await house.log_in("no", **{"X-Forwarded-For": "192.0.2.9"})).status == 403

    house(check, behind_proxy=True)

    async def check_without(house):
        for number in range(attempts.MOST):
            await house.log_in("no", **{"X-Forwarded-For": f"192.0.2.{number}"})
        assert (await house.log_in("no", **{"X-Forwarded-For": "192.0.2.99"})).status == 429

    house(check_without)


def test_two_people_have_a_session_each_and_see_it_alone(house):
    async def check(house):
        one, two = await house.enter(), await house.enter()
        heard = [await (await house.get("/a/b%20c?d=e", who)).json() for who in (one, two)]
        assert [h["path"] for h in heard] == ["/a/b%20c?d=e"] * 2
        assert heard[0]["folder"] != heard[1]["folder"]
        for answer in heard:
            assert answer["cookies"] == {"stand-in": "its-secret"}  # not the browser's
            assert answer["host"] == f"127.0.0.1:{house.client.port}"
        given = await house.get("/", one)
        assert "Set-Cookie" not in given.headers
        assert given.headers["X-Kept"] == "yes"
        assert (await house.get("/away", one)).headers["Location"] == "/elsewhere"
        full = await house.log_in()
        assert (full.status, COOKIE in full.cookies) == (503, False)
        assert "All 2 places are taken" in await full.text()
        elsewhere = {**one, "Origin": "https://elsewhere.org"}
        assert (await house.get("/", elsewhere)).status == 403
        assert (await house.client.post("/logout", headers=elsewhere)).status == 403
        assert (await house.client.post("/ws", headers=one)).status == 405
        assert (await house.client.post("/logout", headers=one)).status == 200
        while len(house.sessions) > 1:
            await asyncio.sleep(0.01)
        assert (await house.get("/ws", one)).status == 403
        assert (await house.get("/ws2", two)).status == 200
        await house.enter()

    house(check)


def test_a_socket_goes_both_ways_and_ends_with_either(house):
    async def check(house):
        who = await house.enter()
        async with house.client.ws_connect("/ws", headers=who, max_msg_size=0) as socket:
            for message in (b"", b"x" * (4 << 20)):
                await socket.send_bytes(message)
                assert await socket.receive_bytes() == message
            await socket.send_str("text")
            assert await socket.receive_str() == "text"
            await socket.send_str("end")
            assert (await socket.receive()).type == WSMsgType.CLOSE
        async with house.client.ws_connect("/ws", headers=who, max_msg_size=0) as socket:
            with suppress(ConnectionError):
                await socket.send_bytes(b"x" * (5 << 20))
            ends = (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
            assert (await socket.receive()).type in ends
        elsewhere = {**who, "Origin": "https://elsewhere.org"}
        refused = await house.client.get("/ws", headers={**elsewhere, "Upgrade": "websocket"})
        assert refused.status == 403

    house(check)


def test_a_session_that_dies_is_told_of_and_leaves_no_files(house):
    async def check(house):
        who = await house.enter()
        (process,) = house.processes
        assert (process._folder / "a temporary file").exists()
        os.kill(process._process.pid, signal.SIGTERM)
        while len(house.sessions):
            await asyncio.sleep(0.01)
        assert not process._folder.exists()
        assert house.said[-1] == "session 1: ended (SIGTERM)"
        assert "has ended" in await (await house.get("/", who)).text()

    house(check)


def test_a_session_that_does_not_start_is_no_place_taken(house):
    async def check(house):
        answer = await house.log_in()
        who = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}
        waits = await house.get("/", who)
        assert 'http-equiv="refresh"' in await waits.text()
        while len(house.sessions):
            await asyncio.sleep(0.01)
        assert house.said[-1] == "session 1: ended (a session's process did not start)"
        with pytest.raises(TumorSegError, match="did not start"):
            await SessionProcess(house.folder / "x", {}, ["no-such-program"]).start()

    house(check, fails=True)


def test_a_session_that_nothing_is_seen_to_has_ended_all_the_same():
    class Process:
        async def start(self):
            raise TumorSegError("it did not start")

        async def end(self):
            raise PermissionError

    async def check():
        said = []
        sessions = Sessions(Process, 1, said.append)
        cookie = sessions.begin()
        while len(sessions):
            await asyncio.sleep(0)
        assert sessions.find(cookie) is None
        assert said[-1] == "session 1: ended (unexpected fault)"

    asyncio.run(check())


def test_a_session_that_does_not_want_to_end_is_killed(house, monkeypatch):
    monkeypatch.setattr(session_process, "END_SECONDS", 0.2)

    async def check(house):
        await house.enter()

    house(check, stubborn=True)


def test_a_password_that_is_changed_counts_at_once_and_one_that_is_gone_lets_nobody_in(house):
    async def check(house):
        house.file.set(lambda: GOOD.upper())
        assert (await house.log_in()).status == 403
        assert (await house.log_in(GOOD.upper())).status == 303
        house.file.path.unlink()
        assert (await house.log_in(GOOD.upper())).status == 503
        assert "is not there" in house.said[-1]

    house(check)


def test_folders_of_killed_processes_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = temporary.owned_folder()
    ours.mkdir()
    machine = leftovers.owner().partition("-")[0]
    left = tmp_path / f"{temporary.PREFIX}{machine}-{2**22 + 1}-abcd"
    left.mkdir()
    (left / "image").touch()
    temporary.remove_left_over()
    assert ours.exists()
    assert not left.exists()
