"""Commands that install something, one after the other in processes of their own. No Qt, no MRML.

Output goes to a file that is read whenever `poll` is called: nothing here ever waits.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.worker.process_group import end_group_and_wait, own_group

KEPT_LINES = 2000
PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
"""What pip prints with `--progress-bar raw`, for programs that show a bar of their own."""

TOLD_BY_PIP = ("Collecting ", "Downloading ", "Installing collected packages")


@dataclass(frozen=True)
class Step:
    """A command.

    Attributes:
        title: what it does, for the user.
        words: returns the command's words when it is its turn; may raise RuntimeError, whose line
            the user is shown.
    """

    title: str
    words: Callable[[], list[str]]


@dataclass
class State:
    """How an installation stands.

    Attributes:
        stage: "idle", "running", "done", "failed" or "cancelled".
        title: of the step under way, or of the one that failed.
        doing: pip's last word on what it does.
        got: bytes of a download.
        total: bytes of a download, 0 if none is under way.
    """

    stage: str = "idle"
    title: str = ""
    doing: str = ""
    got: int = 0
    total: int = 0


class InstallProcess:
    """Runs steps; each starts when the one before has ended well.

    Attributes:
        state: of the installation.
        lines: what the processes printed, without the counts of bytes.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        """Remember the steps."""
        self.state = State()
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._steps = list(steps)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._read_to, self._partial = 0, b""

    @property
    def busy(self) -> bool:
        """Whether a process runs."""
        return self._process is not None

    def start(self) -> None:
        """Start the first step."""
        self._next()

    def poll(self) -> None:
        """Take in what was printed, and go on when a process has ended."""
        if self._process is None:
            return
        status = self._process.poll()  # before reading, so that no line is missed
        self._take()
        if status is None:
            return
        self._close()
        if status == 0:
            self._next()
        else:
            self.state.stage = "failed"

    def cancel(self) -> None:
        """End the process and all that it started; a package may stay incomplete."""
        if self._process is not None:
            end_group_and_wait(self._process)
            self._close()
            self.state.stage = "cancelled"

    def _next(self) -> None:
        if not self._steps:
            self.state = State("done")
            return
        step = self._steps.pop(0)
        self.state = State("running", step.title)
        try:
            words = step.words()
            self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            with self._output.open("wb") as output:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={
                        **os.environ,
                        "PYTHONSAFEPATH": "1",  # a folder of data may hold a file called like one
                        "PYTHONUNBUFFERED": "1",
                        "PYTHONIOENCODING": "utf-8",
                    },
                    **own_group(),
                )
        except (OSError, RuntimeError) as error:
            self.lines.append(str(error))
            self._close()
            self.state.stage = "failed"

    @property
    def _output(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "output.log"

    def _take(self) -> None:
        """Read what was printed since the last look, but for a last line that is not whole."""
        with self._output.open("rb") as file:
            file.seek(self._read_to)
            content = file.read()
        self._read_to += len(content)
        *lines, self._partial = (self._partial + content).split(b"\n")
        for line in lines:
            self._follow(_text(line))

    def _follow(self, line: str) -> None:
        state, counts = self.state, PROGRESS.fullmatch(line)
        if counts:
            state.got, state.total = (int(count) for count in counts.groups())
            if state.got >= state.total:
                state.got = state.total = 0
            return
        if line:
            self.lines.append(line)
        if line.strip().startswith(TOLD_BY_PIP):
            state.doing = line.strip()

    def _close(self) -> None:
        """Let go of a process that has ended and of what it printed."""
        if self._partial:
            self.lines.append(_text(self._partial))
        self._read_to, self._partial = 0, b""
        self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip()
