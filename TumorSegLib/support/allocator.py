"""Keeps freed memory in the process while networks run, where the C library allows it."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


def keep_large_blocks() -> None:
    """Tell glibc to reuse large blocks instead of mapping and unmapping them.

    Feature maps over 32 MiB are otherwise fresh memory in every layer, and a third of the time of
    a large network goes into page faults. The setting holds for the whole process, so only
    processes of our own may call this: the command, the worker, training. Elsewhere than on
    Linux with glibc nothing happens.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def release_memory() -> None:
    """Give what `keep_large_blocks` kept back to the system, after a run."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
