"""`tumorseg web` in a process of its own, and chromium on its page."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import wait_until

MOST_MILLISECONDS = 300_000
"""Ends a wait of the browser that hangs; nothing is expected to be done by then."""

START = (
    "import sys; from TumorSegLib.cli import main; from TumorSegWeb.commands import COMMANDS;"
    " sys.exit(main(sys.argv[1:], COMMANDS))"
)
"""The command also where the package's entry points are those of another installation."""


class Served:
    """A session, and what it leaves.

    Attributes:
        address: of the page, with the token.
        root: address without path.
        process: that serves it.
        temporary: its temporary folder.
    """

    def __init__(self, place: Path, *words: str, start: str = START) -> None:
        """Start it and wait until it says where it is."""
        self.temporary = place / "temporary files"
        self.temporary.mkdir()
        self._printed = place / "printed"
        home = place / "home"
        home.mkdir()
        with self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, "-c", start, "web", "--no-browser", *words],
                stdout=subprocess.DEVNULL,
                stderr=printed,
                cwd=place,
                env={**os.environ, "TMPDIR": str(self.temporary), "HOME": str(home)},
            )
        wait_until(self._says_where, state=self._printed.read_text)
        self.address = self._says_where()
        self.root = self.address.partition("/?")[0]

    def _says_where(self) -> str:
        assert self.process.poll() is None, self._printed.read_text()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", self._printed.read_text())
        return found[0] if found else ""

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        return self._printed.read_text()

    @property
    def children(self) -> list[int]:
        """The processes that it has started and that still run."""
        return descendants(self.process.pid)

    def end(self) -> None:
        """Ask it to end, as Ctrl-C does, and wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait()


def descendants(pid: int) -> list[int]:
    """The processes below one, as Linux lists them."""
    found = []
    for path in Path("/proc", str(pid), "task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *descendants(child)]
    return found


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def shared_blocks(pids: list[int]) -> list[str]:
    """Names of shared memory that these processes have made."""
    made = (f"tumorseg-{pid}-" for pid in pids)
    return [path.name for one in made for path in Path("/dev/shm").glob(f"{one}*")]


@contextmanager
def served(place: Path, *words: str, start: str = START) -> Iterator[Served]:
    """A session that is ended with the block."""
    place.mkdir(exist_ok=True)
    session = Served(place, *words, start=start)
    try:
        yield session
    finally:
        session.end()


@contextmanager
def chromium():
    """A browser without a window."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Page:
    """The page as a user sees it.

    Attributes:
        page: Playwright's.
    """

    def __init__(self, browser, session: Served) -> None:
        """Open it."""
        self.page = browser.new_page(viewport={"width": 1366, "height": 768})
        self.page.set_default_timeout(MOST_MILLISECONDS)
        self.page.goto(session.address)

    def open_phantom(self, name: str = "Brain phantom") -> None:
        self.page.get_by_text(name).click()
        self.page.wait_for_selector("#segment")

    def segment(self, *, wait: bool = True) -> None:
        """Click Segment, accept what is asked, and wait for the result."""
        self.page.click("#segment")
        self.page.locator("#question:visible, #cancel:visible").first.wait_for()
        while (question := self.page.locator("#question")).is_visible():
            title = question.inner_text()
            question.locator("button").first.click()
            self.page.wait_for_function(
                "title => !(document.querySelector('#question')?.innerText === title)", arg=title
            )
            self.page.locator("#question:visible, #cancel:visible").first.wait_for()
        if wait:
            self.page.wait_for_selector("#downloads")
            self.page.wait_for_selector("#segment")
            self.page.wait_for_selector("#lesions")

    def save(self, kind: str, folder: Path) -> Path:
        """Save a result; return its file."""
        with self.page.expect_download() as download:
            self.page.click(f"#save-{kind}")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def tool(self, icon: str) -> None:
        """Choose one of trame-slicer's tools by its icon, in the bar beside the views."""
        button = f".v-navigation-drawer button:has(.{icon}):visible"
        self.page.locator(button).last.click()
        self.page.wait_for_selector(f"{button}.v-btn--active")

    def undo(self) -> None:
        """Click Undo, as soon as there is something to undo."""
        self.page.locator(".v-navigation-drawer button:has(.mdi-undo):visible").click()

    def stroke(self, start: tuple[int, int], stop: tuple[int, int]) -> None:
        """Draw with the mouse, from one place of the window to another."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*stop, steps=8)
        mouse.up()
