"""The panel's end of the worker process: starts it, talks to it, ends it. No Qt, no threads.

Slicer's main thread holds Python's interpreter lock while Qt waits for events, so a reading
thread would starve. Pipes are therefore read without blocking whenever `poll` is called.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import TumorSegLib
from TumorSegLib.shared_block import SharedBlock, remove_orphans
from TumorSegLib.worker_protocol import Forget, Share, from_line, to_line

KEPT_LOG_LINES = 200
PATIENT = 10
"""Niceness of processes for which nobody waits."""


@dataclass(frozen=True)
class WorkerEnded:
    """The worker is gone though nobody asked it to; `details` is the end of what it printed."""

    status: int | None
    details: str


def library_environment():
    """Return the environment of a process that imports our packages."""
    library = str(Path(TumorSegLib.__file__).parent.parent)
    paths = [library, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def own_group(*, patient=False):
    """Return the options of a process that can be ended with all its descendants.

    A `patient` one leaves the processor to others, on Windows; elsewhere see `make_patient`.
    """
    if sys.platform == "win32":
        priority = subprocess.BELOW_NORMAL_PRIORITY_CLASS if patient else 0
        return {"creationflags": subprocess.CREATE_NO_WINDOW | priority}
    return {"start_new_session": True}  # killing PythonSlicer alone kills only a launcher


def make_patient(process):
    """Have a process that has just been started leave the processor to others."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, process.pid, PATIENT)


def end_group(process):
    """End a process of its own group with all its descendants; returns at once."""
    if sys.platform == "win32":
        subprocess.Popen(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)],
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class WorkerClient:
    """One worker process at a time, started when it is first needed.

    Attributes:
        log: the last lines that worker and libraries printed.
    """

    def __init__(self, python):
        """Remember `python`, the list of words that starts an interpreter like this one."""
        self._python = list(python)
        self._process = None
        self._ended = []
        self._partial = {}
        self._shared = {}
        self.log = deque(maxlen=KEPT_LOG_LINES)

    @property
    def pid(self):
        """Process id of the worker, None if there is none."""
        return self._process.pid if self._process else None

    def start(self):
        """Start the worker if none runs; returns at once.

        Raises:
            OSError: the interpreter cannot be started.
        """
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is not None:
            return
        remove_orphans()
        self._process = subprocess.Popen(
            [*self._python, "-m", "TumorSegLib.worker", "--own-group"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=library_environment(),
            bufsize=0,
            **own_group(),
        )
        for stream in (self._process.stdout, self._process.stderr):
            os.set_blocking(stream.fileno(), False)
            self._partial[stream] = b""

    def new_block(self, size):
        """Return a block of `size` zero bytes that the worker shares.

        Its name is gone when the worker has attached to it, or has died.

        Raises:
            MemoryError: there is not enough shared memory, with a line for the user.
        """
        try:
            block = SharedBlock.create(size)
        except OSError as error:
            line = f"no shared memory of {size >> 20} MiB: {error.strerror}; close other data"
            raise MemoryError(line) from None
        self._shared[block.name] = block
        self.send(Share(block.name, len(block.memory)))
        return block

    def has(self, block):
        """Tell whether the running worker was told of `block`."""
        return self._process is not None and block.name in self._shared

    def forget(self, block):
        """Have the worker let go of `block`."""
        if self.has(block):
            del self._shared[block.name]
            self.send(Forget(block.name))
            block.unlink()

    def send(self, command):
        """Send a command; that the worker has died shows in `poll`."""
        with contextlib.suppress(AttributeError, OSError):
            self._process.stdin.write(to_line(command))

    def poll(self):
        """Return the events since the last call, `WorkerEnded` last if the worker has died."""
        self._ended = [process for process in self._ended if process.poll() is None]
        if self._process is None:
            return []
        died = self._process.poll() is not None
        lines, closed = self._read(self._process.stdout)
        printed, _ = self._read(self._process.stderr)
        self.log.extend(line.decode(errors="replace").rstrip() for line in printed)
        events = [from_line(line) for line in lines]
        if died or closed:
            status = self._process.returncode
            self.stop()
            events.append(WorkerEnded(status, "\n".join(list(self.log)[-20:])))
        return events

    def stop(self):
        """End the worker with all its descendants and free its shared memory; returns at once."""
        process, self._process = self._process, None
        if process is None:
            return
        end_group(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        if process.poll() is None:
            self._ended.append(process)
        self._partial.clear()
        for block in self._shared.values():
            block.unlink()
        self._shared.clear()

    def _read(self, stream):
        """Return the whole lines that can be read now, and whether the stream has ended."""
        content, closed = self._partial[stream], False
        while True:
            try:
                chunk = os.read(stream.fileno(), 1 << 16)
            except BlockingIOError:
                break
            except OSError:
                closed = True
                break
            if not chunk:
                closed = True
                break
            content += chunk
        *lines, self._partial[stream] = content.split(b"\n")
        return lines, closed
