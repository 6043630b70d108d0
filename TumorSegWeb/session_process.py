"""A session in a process of its own, as the front sees it. No trame, no MRML."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from TumorSegLib.errors import TumorSegError
from TumorSegLib.support.child_process import ended_by, environment, module_command
from TumorSegLib.support.leftovers import remove
from TumorSegLib.worker.process_group import end_group, own_group, pipe
from TumorSegLib.worker.shared_memory import remove_orphans

START_SECONDS = 120.0
END_SECONDS = 4.0
"""A session that has not ended by then is killed."""

HOST = "127.0.0.1"
POLL_SECONDS = 0.1

TEMPORARY = ("TMPDIR", "TEMP", "TMP")
"""Variables by which a process knows its folder for temporary files."""


@dataclass(frozen=True)
class Ready:
    """The way to a session.

    Attributes:
        port: on this computer.
        cookie: name and secret that every request must carry.
    """

    port: int
    cookie: tuple[str, str]


class SessionProcess:
    """One session: begun by `start`, ended by `end`; `ended` waits for its end, however it comes.

    What the process is told goes through a pipe, by whose end it learns that the front is gone.

    Attributes:
        ready: the way to it, once it has started.
    """

    def __init__(self, folder: Path, told: Mapping[str, Any], command: Sequence[str] = ()) -> None:
        """Start nothing yet.

        Args:
            folder: for its temporary files; it is made, and goes with the session.
            told: what the process is to do.
            command: that starts it, for tests.
        """
        self._folder, self._told = folder, told
        self._command = list(command) or module_command("TumorSegWeb.session_main")
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: Ready

    async def start(self) -> None:
        """Start the process and wait until its page can be opened.

        Raises:
            TumorSegError: it does not start.
        """
        try:
            self._folder.mkdir(mode=0o700)
            self._process = process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**environment(), **dict.fromkeys(TEMPORARY, str(self._folder))},
                **own_group(),
            )
            async with asyncio.timeout(START_SECONDS):
                self.ready = await asyncio.to_thread(self._tell, process)
        except (OSError, ValueError, TimeoutError):
            raise TumorSegError("a session's process did not start") from None

    async def ended(self) -> str:
        """Wait until the process is gone; return "" if it ended well, else how it ended."""
        process = self._process
        while process is not None and process.poll() is None:
            await asyncio.sleep(POLL_SECONDS)
        return ended_by(process.returncode) if process is not None and process.returncode else ""

    async def end(self) -> None:
        """Ask the process to end, kill it if it does not, and remove what it leaves."""
        process = self._process
        if process is not None:
            with suppress(OSError):
                pipe(process.stdin).close()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self.ended()
            end_group(process)
            await self.ended()
            pipe(process.stdout).close()
        remove(self._folder)
        remove_orphans()

    def _tell(self, process: subprocess.Popen[bytes]) -> Ready:
        """Tell the process what to do, and wait for its answer.

        Raises:
            OSError, ValueError: it ends before.
        """
        told = {**self._told, "folder": str(self._folder)}
        pipe(process.stdin).write(json.dumps(told).encode() + b"\n")
        pipe(process.stdin).flush()
        answer = json.loads(pipe(process.stdout).readline())
        name, secret = answer["cookie"]
        return Ready(int(answer["port"]), (name, secret))
