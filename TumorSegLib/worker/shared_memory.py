"""Memory that two processes see, without a file on disk.

`multiprocessing.shared_memory` is not used: before Python 3.13 it starts a resource tracker, which
inside 3D Slicer means a second Slicer, and which unlinks a block as soon as the process that
merely attached to it ends.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from TumorSegLib.support import leftovers
from TumorSegLib.support.steps import finished

PREFIX = "tumorseg-"

RESERVED_BYTES = 1 << 22
"""Bytes reserved in one step; the system fills them with zeros, which takes a few milliseconds."""


@dataclass(frozen=True)
class SharedBlock:
    """A block of shared memory.

    The memory lives as long as a process maps it. The name is only needed to attach to it, and is
    removed as soon as that has happened: from then on nothing is left behind, whichever process is
    killed. The mapping itself ends when the last array on it is garbage.

    Attributes:
        name: by which another process attaches.
        memory: the mapping.
    """

    name: str
    memory: mmap.mmap

    @classmethod
    def create(cls, size: int) -> SharedBlock:
        """Return a new block of `size` zero bytes.

        Raises:
            OSError: there is not enough shared memory.
        """
        return finished(cls.creating(size))

    @classmethod
    def creating(cls, size: int) -> Generator[None, None, SharedBlock]:
        """Return the same, as a generator that can be left between two steps, also for good.

        Raises:
            OSError: there is not enough shared memory.
        """
        name = f"{PREFIX}{leftovers.owner()}-{uuid.uuid4().hex[:6]}"  # macOS allows 31 characters
        return cls(name, (yield from _mapping(name, max(size, 1))))

    @classmethod
    def attach(cls, name: str, size: int) -> SharedBlock:
        """Return the block that another process created with `size`.

        Raises:
            OSError: it is not there.
        """
        return cls(name, _map(name, max(size, 1)))

    def unlink(self) -> None:
        """Remove the name; does nothing where it has been removed already."""
        unlink(self.name)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array on the block, which it keeps alive."""
        return np.frombuffer(self.memory, dtype, count=prod(shape)).reshape(shape)


if sys.platform == "win32":

    def _map(name: str, size: int) -> mmap.mmap:
        return mmap.mmap(-1, size, tagname=name)

    def _mapping(name: str, size: int) -> Generator[None, None, mmap.mmap]:
        yield from ()
        return _map(name, size)

    def unlink(name: str) -> None:
        """Do nothing: Windows removes a block's name with its last mapping."""

else:
    import _posixshmem  # type: ignore[import-not-found]

    def _map(name: str, size: int) -> mmap.mmap:
        descriptor = _posixshmem.shm_open(f"/{name}", os.O_RDWR)
        try:
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def _mapping(name: str, size: int) -> Generator[None, None, mmap.mmap]:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        descriptor = _posixshmem.shm_open(f"/{name}", flags, mode=0o600)
        try:
            os.ftruncate(descriptor, size)
            if hasattr(os, "posix_fallocate"):  # else a page that is not there ends the process
                yield from _reserved(descriptor, size)
            return mmap.mmap(descriptor, size)
        except BaseException:  # GeneratorExit, too
            unlink(name)
            raise
        finally:
            os.close(descriptor)

    def _reserved(descriptor: int, size: int) -> Generator[None, None, None]:
        room = os.fstatvfs(descriptor)
        if room.f_bavail * room.f_frsize < size:  # at once, not when all of it is taken
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for start in range(0, size, RESERVED_BYTES):
            os.posix_fallocate(descriptor, start, min(RESERVED_BYTES, size - start))
            yield

    def unlink(name: str) -> None:
        """Remove a block's name; does nothing where it has been removed already."""
        with contextlib.suppress(FileNotFoundError):
            _posixshmem.shm_unlink(f"/{name}")


def remove_orphans() -> None:
    """Remove names that a process left between making a block and its being attached to.

    That takes a kill within a fraction of a millisecond, and Linux, where names can be listed.
    """
    leftovers.remove_left_over(Path("/dev/shm"), PREFIX)  # noqa: S108 # nosec B108
