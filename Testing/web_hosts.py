"""`tumorseg web` for several people, in a process of its own, and people who log in."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from web_page import MOST_MILLISECONDS, Page, Served

from TumorSegWeb.password import PasswordFile

PASSWORD = "four words that differ"


class Hosted(Served):
    """A front and its sessions; see `Served`."""

    def __init__(self, place: Path, *words: str) -> None:
        """Start it with a certificate and a password."""
        PasswordFile(place / "password").set(lambda: PASSWORD)
        super().__init__(
            place,
            *("--port", "0", "--password-file", str(place / "password")),
            *("--certificate", str(place / "chain.pem"), "--key", str(place / "key.pem")),
            *words,
        )

    def _says_where(self) -> str:
        assert self.process.poll() is None, self._printed.read_text()
        found = re.search(r"at (https://\S+)", self._printed.read_text())
        return found[1] if found else ""

    @property
    def left(self) -> list[str]:
        """Names in its folder for temporary files."""
        return [path.name for path in self.temporary.iterdir()]


def write_certificate(folder: Path) -> None:
    """Write a certificate for this computer and its key, as docs/web.md says."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "chain.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@contextmanager
def hosted(place: Path, *words: str) -> Iterator[Hosted]:
    """A host that is ended with the block."""
    place.mkdir(exist_ok=True)
    write_certificate(place)
    host = Hosted(place, *words)
    try:
        yield host
    finally:
        host.end()


class Person(Page):
    """Somebody with a browser of their own; see `Page`."""

    def __init__(self, browser, host: Hosted) -> None:
        """Open the first page."""
        self.context = browser.new_context(
            ignore_https_errors=True, viewport={"width": 1366, "height": 768}
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(MOST_MILLISECONDS)
        self.page.goto(host.address)

    def log_in(self, password: str = PASSWORD) -> None:
        """Type a password, with the keyboard alone."""
        self.page.wait_for_selector("#password:focus")  # which it has some time after the load
        self.page.keyboard.type(password)
        self.page.keyboard.press("Enter")

    def says(self) -> str:
        """What a plain page says."""
        return self.page.locator("[role=alert]").inner_text()
