"""Memory that two processes see, without a file on disk.

`multiprocessing.shared_memory` is not used: before Python 3.13 it starts a resource tracker, which
inside 3D Slicer means a second Slicer, and which unlinks a block as soon as the process that
merely attached to it ends.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import uuid
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

PREFIX = "tumorseg-"


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
        name = f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}"  # macOS allows 31 characters
        return cls(name, _map(name, max(size, 1), create=True))

    @classmethod
    def attach(cls, name: str, size: int) -> SharedBlock:
        """Return the block that another process created with `size`.

        Raises:
            OSError: it is not there.
        """
        return cls(name, _map(name, max(size, 1), create=False))

    def unlink(self) -> None:
        """Remove the name; does nothing where it has been removed already."""
        unlink(self.name)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array on the block, which it keeps alive."""
        return np.frombuffer(self.memory, dtype, count=prod(shape)).reshape(shape)


if sys.platform == "win32":

    def _map(name: str, size: int, *, create: bool) -> mmap.mmap:
        return mmap.mmap(-1, size, tagname=name)

    def unlink(name: str) -> None:
        """Do nothing: Windows removes a block's name with its last mapping."""

else:
    import _posixshmem  # type: ignore[import-not-found]

    def _map(name: str, size: int, *, create: bool) -> mmap.mmap:
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        descriptor = _posixshmem.shm_open(f"/{name}", flags, mode=0o600)
        try:
            if create:
                os.ftruncate(descriptor, size)
                if hasattr(os, "posix_fallocate"):  # else a page that is not there ends the process
                    os.posix_fallocate(descriptor, 0, size)
            return mmap.mmap(descriptor, size)
        except BaseException:
            if create:
                unlink(name)
            raise
        finally:
            os.close(descriptor)

    def unlink(name: str) -> None:
        """Remove a block's name; does nothing where it has been removed already."""
        with contextlib.suppress(FileNotFoundError):
            _posixshmem.shm_unlink(f"/{name}")


def remove_orphans() -> None:
    """Remove names that a process left between making a block and its being attached to.

    That takes a kill within a fraction of a millisecond, and Linux, where names can be listed.
    """
    for path in Path("/dev/shm").glob(f"{PREFIX}*-*"):  # noqa: S108 # nosec B108
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            unlink(path.name)
