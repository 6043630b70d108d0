"""A page for several people: password, sessions of their own, and what is left of them."""

from __future__ import annotations

import os
import signal

import pytest
from waiting import wait_until

pytest.importorskip("trame_slicer", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs playwright")

from web_hosts import Person, hosted
from web_page import runs, shared_blocks

pytestmark = pytest.mark.slow


def test_each_who_has_the_password_gets_a_session_of_their_own(browser, tmp_path):
    with hosted(tmp_path / "host", "--sessions", "2") as host:
        first, second, third = (Person(browser, host) for _ in range(3))
        first.log_in("not the password")
        first.page.wait_for_selector("text=Wrong password.")
        assert host.children == []
        first.log_in()
        first.open_phantom()
        (cookie,) = first.context.cookies()
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
        second.log_in()
        second.page.wait_for_selector("#welcome")  # nothing of the other's
        third.log_in()
        third.page.wait_for_selector("text=All 2 places are taken")
        second.page.click("#log-out")
        second.page.wait_for_selector("text=You have logged out")
        wait_until(lambda: "session 2: ended" in host.printed)
        assert len(host.children) == 1
        third.page.goto(host.address)
        third.log_in()
        third.page.wait_for_selector("#welcome")
        first.segment()  # goes on all the while
        assert "four words" not in host.printed
    assert host.left == []


def test_a_session_that_nobody_uses_ends_and_leaves_nothing(browser, tmp_path):
    with hosted(tmp_path / "host", "--idle-minutes", "0.5") as host:
        person = Person(browser, host)
        person.log_in()
        person.open_phantom()
        person.segment(wait=False)
        person.page.wait_for_selector("#cancel")
        wait_until(lambda: host.children)
        started = host.children
        person.page.wait_for_selector("#downloads")  # a run counts as use
        person.page.wait_for_selector("#ends")
        person.page.click("#go-on")
        person.page.wait_for_selector("#ends", state="hidden")
        person.page.wait_for_selector("#ended")
        assert "This session has ended" in person.page.locator("#ended").inner_text()
        wait_until(lambda: not any(runs(pid) for pid in started) and not host.children)
        assert shared_blocks(started) == []
        wait_until(lambda: host.left == [])
        person.page.click("text=Open the page again")
        person.page.wait_for_selector("text=Your session has ended.")
        assert [path for path in (tmp_path / "host" / "home").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("killed", ["session", "front"])
def test_nothing_is_left_of_what_is_killed(browser, tmp_path, killed):
    with hosted(tmp_path / "host") as host:
        person = Person(browser, host)
        person.log_in()
        person.open_phantom()
        person.segment(wait=False)
        person.page.wait_for_function(
            "document.querySelector('#stage')?.innerText.includes('slice')"
        )
        started = host.children
        os.kill(started[0] if killed == "session" else host.process.pid, signal.SIGKILL)
        wait_until(lambda: not any(runs(pid) for pid in started))
        wait_until(lambda: host.left == [])
        assert shared_blocks(started) == []
        person.page.wait_for_selector("#ended")
