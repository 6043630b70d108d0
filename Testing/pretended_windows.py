"""What Windows does to a process that talks to another one, as far as Linux can pretend it.

Pipes hold 4 KiB and take a chunk whole or not at all; before Python 3.12 there is no
`os.set_blocking` and pipes that do not wait fail with errors of their own; there are no process
groups, and `taskkill` ends a tree. The child process itself is one of this system.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
from pathlib import PureWindowsPath

import pytest

PIPE_BYTES = 4096
CREATE_NO_WINDOW = 0x08000000


class Pipes:
    """Stands in for `os` in the module that reads and writes pipes."""

    def __init__(self, python):
        self.blocking = set()
        if python >= (3, 12):
            self.set_blocking = os.set_blocking
        self._old = python < (3, 12)

    def read(self, descriptor, size):
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            if self._old:
                raise OSError(errno.EINVAL, "Invalid argument") from None
            raise

    def write(self, descriptor, content):
        assert len(content) <= PIPE_BYTES, "a chunk that no pipe of Windows takes whole"
        try:
            return os.write(descriptor, content)
        except BlockingIOError:
            if self._old:
                raise OSError(errno.ENOSPC, "No space left on device") from None
            raise


class Windows:
    """A pretended Windows.

    Attributes:
        killed: process ids that `taskkill` was given.
        has_taskkill: whether the user may run it.
    """

    def __init__(self, monkeypatch, python):
        import TumorSegModule.logic.pipes as pipes
        from TumorSegLib.support import system
        from TumorSegLib.worker import process_group

        self.killed, self.has_taskkill = [], True
        self._popen, self._killpg = subprocess.Popen, os.killpg
        monkeypatch.setattr(system, "is_windows", lambda: True)
        monkeypatch.setattr(pipes, "os", Pipes(python))
        monkeypatch.setattr(
            pipes, "_stop_windows_waiting", lambda number: os.set_blocking(number, False)
        )
        monkeypatch.setattr(process_group.subprocess, "Popen", self.start)
        monkeypatch.setattr(process_group.os, "killpg", self._refuse)
        monkeypatch.setattr(process_group.os, "setpriority", self._refuse)

    def start(self, words, **options):
        """Start a process as Windows does."""
        flags = options.pop("creationflags", 0)
        assert "start_new_session" not in options
        if PureWindowsPath(words[0]).stem == "taskkill":
            assert PureWindowsPath(words[0]).is_absolute(), "one beside the images is started"
            assert flags & CREATE_NO_WINDOW, "a black window flashes up"
            return self._taskkill(words)
        process = self._popen(words, start_new_session=True, **options)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return process

    def _taskkill(self, words):
        if not self.has_taskkill:
            raise PermissionError(errno.EACCES, "blocked by group policy")
        assert words[1:4] == ["/F", "/T", "/PID"]
        self.killed.append(int(words[4]))
        self._killpg(self.killed[-1], signal.SIGKILL)

    def _refuse(self, *_):
        pytest.fail("Windows has no such call")


def end(process):
    """End a child of a test and its descendants, whatever has become of them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
