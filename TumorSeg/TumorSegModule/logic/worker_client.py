"""The panel's end of the worker process: starts it, talks to it, ends it. No Qt, no threads.

Nothing here waits for the worker: what it has written is read, and what it has not read yet is
written, whenever `poll` is called.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import TumorSegLib
from TumorSegLib.worker.process_group import end_group, own_group, pipe
from TumorSegLib.worker.protocol import Command, Forget, Share, from_line, to_line
from TumorSegLib.worker.shared_memory import SharedBlock, remove_orphans
from TumorSegModule.logic.pipes import LineReader, Writer
from TumorSegModule.logic.translation import tr as _

KEPT_LOG_LINES = 200


@dataclass(frozen=True)
class WorkerEnded:
    """The worker is gone though nobody asked it to; `details` is the end of what it printed."""

    status: int | None
    details: str


def library_environment(first: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment of a process that imports our packages.

    Nothing is imported from the folder that it is started in: a folder of data may hold a file
    that is called like a package.

    Args:
        first: folders in which it looks for packages before all others.
    """
    beside = Path(TumorSegLib.__file__).parent.parent
    training = beside / "training"  # of a checkout
    source_folders = [str(path) for path in (beside, training) if path.is_dir()]
    paths = [*first, *source_folders, os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(path for path in paths if path)
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",  # not Windows' code page
    }


def python_command() -> list[str]:
    """Return the words that start Slicer's own Python."""
    return [shutil.which("PythonSlicer") or sys.executable]


class WorkerClient:
    """One worker process at a time, started when it is first needed.

    Attributes:
        log: the last lines that worker and libraries printed.
    """

    def __init__(
        self, python: Sequence[str], *, packages: Callable[[], Sequence[str]] = tuple
    ) -> None:
        """Have no worker yet.

        Args:
            python: words that start an interpreter like this one.
            packages: returns folders in which a worker looks for packages first.
        """
        self._python = list(python)
        self._packages = packages
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: list[subprocess.Popen[bytes]] = []
        self._commands: Writer
        self._events: LineReader
        self._printed: LineReader
        self._shared: dict[str, SharedBlock] = {}
        self.log: deque[str] = deque(maxlen=KEPT_LOG_LINES)

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None if there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the worker if none runs; returns at once.

        Raises:
            OSError: the interpreter cannot be started.
        """
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is not None:
            return
        remove_orphans()
        process = subprocess.Popen(
            [*self._python, "-m", "TumorSegLib.worker.process", "--own-group"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=library_environment(self._packages()),
            bufsize=0,
            **own_group(),
        )
        self._process = process
        self._commands = Writer(pipe(process.stdin))
        self._events = LineReader(pipe(process.stdout))
        self._printed = LineReader(pipe(process.stderr))

    def new_block(self, size: int) -> Generator[None, None, SharedBlock]:
        """Return a block of `size` zero bytes that the worker shares, as a generator.

        It can be left between two steps. The block's name is gone when the worker has attached to
        it, or has died.

        Raises:
            MemoryError: there is not enough shared memory, with a line for the user.
        """
        try:
            block = yield from SharedBlock.creating(size)
        except OSError as error:
            line = _("no shared memory of {size} MiB: {reason}; close other data")
            line = line.format(size=size >> 20, reason=error.strerror)
            raise MemoryError(line) from None
        self._shared[block.name] = block
        self.send(Share(block.name, len(block.memory)))
        return block

    def has(self, block: SharedBlock) -> bool:
        """Tell whether the running worker was told of `block`."""
        return self._process is not None and block.name in self._shared

    def forget(self, block: SharedBlock) -> None:
        """Have the worker let go of `block`."""
        if self.has(block):
            del self._shared[block.name]
            self.send(Forget(block.name))
            block.unlink()

    def send(self, command: Command) -> None:
        """Send a command; that the worker has died shows in `poll`.

        What the worker does not take at once follows with the next calls of `poll`.
        """
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._commands.write(to_line(command))

    @property
    def sending(self) -> bool:
        """Whether the worker has not taken all commands yet, so that `poll` must be called."""
        return self._process is not None and self._commands.waiting > 0

    def poll(self) -> list[Any]:
        """Return the events since the last call, `WorkerEnded` last if the worker has died."""
        self._ended = [process for process in self._ended if process.poll() is None]
        if self._process is None:
            return []
        with contextlib.suppress(OSError):
            self._commands.flush()
        died = self._process.poll() is not None
        lines, closed = self._events.lines()
        printed, _closed = self._printed.lines()
        self.log.extend(line.decode(errors="replace").rstrip() for line in printed)
        events = [from_line(line) for line in lines]
        if died or closed:
            status = self._process.returncode
            self.stop()
            events.append(WorkerEnded(status, "\n".join(list(self.log)[-20:])))
        return events

    def stop(self) -> None:
        """End the worker with all its descendants and free its shared memory; returns at once."""
        process, self._process = self._process, None
        if process is None:
            return
        end_group(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            pipe(stream).close()
        if process.poll() is None:
            self._ended.append(process)
        for block in self._shared.values():
            block.unlink()
        self._shared.clear()
