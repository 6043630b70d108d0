"""Pipes to and from a child process on which nothing ever waits. No Qt, no threads.

Slicer's main thread holds Python's interpreter lock while Qt waits for events, so threads that read
or write would starve: each call takes or gives what the pipe has or has room for, and returns.
"""

from __future__ import annotations

import errno
import os
from typing import IO

from TumorSegLib.support import system

PIPE_NOWAIT = 1
CHUNK = 1 << 16
WINDOWS_CHUNK = 512
"""Windows takes a chunk whole or not at all, and its pipes hold 4 KiB."""

EMPTY = {errno.EAGAIN, errno.EINVAL}
FULL = {errno.EAGAIN, errno.ENOSPC}
"""What reading and writing fail with; before Python 3.12 Windows' own EINVAL and ENOSPC."""


def stop_waiting(stream: IO[bytes]) -> None:
    """Have reads and writes of `stream` return at once, from now on."""
    descriptor = stream.fileno()
    if system.is_windows() and not hasattr(os, "set_blocking"):
        _stop_windows_waiting(descriptor)  # Python 3.11
    else:
        os.set_blocking(descriptor, False)


def _stop_windows_waiting(descriptor: int) -> None:
    """Do what `os.set_blocking` does on Windows from Python 3.12 on."""
    import _winapi
    import msvcrt

    handle = msvcrt.get_osfhandle(descriptor)  # type: ignore[attr-defined, unused-ignore]
    set_state = _winapi.SetNamedPipeHandleState  # type: ignore[attr-defined, unused-ignore]
    set_state(handle, PIPE_NOWAIT, None, None)


class LineReader:
    """Whole lines from a pipe."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Read from `stream`."""
        stop_waiting(stream)
        self._stream = stream
        self._partial = b""

    def lines(self) -> tuple[list[bytes], bool]:
        """Return the whole lines that can be read now, and whether the pipe has ended."""
        content, closed = self._partial, False
        while True:
            try:
                chunk = os.read(self._stream.fileno(), CHUNK)
            except OSError as error:
                closed = error.errno not in EMPTY
                break
            if not chunk:
                closed = True
                break
            content += chunk
        *lines, self._partial = content.split(b"\n")
        return lines, closed


class Writer:
    """Bytes for a pipe, in order; what it has no room for now waits here."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to `stream`."""
        stop_waiting(stream)
        self._stream = stream
        self._waiting = bytearray()

    @property
    def waiting(self) -> int:
        """Number of bytes that the pipe has not taken yet."""
        return len(self._waiting)

    def write(self, content: bytes) -> None:
        """Add `content` to what waits, and write what the pipe takes."""
        self._waiting += content
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes of what waits.

        Raises:
            OSError: nobody reads any more.
        """
        size = WINDOWS_CHUNK if system.is_windows() else CHUNK
        while self._waiting:
            try:
                written = os.write(self._stream.fileno(), self._waiting[:size])
            except OSError as error:
                if error.errno in FULL:
                    return
                raise
            del self._waiting[:written]
