"""Takes the standard input away from libraries, for a process that reads commands from it."""

from __future__ import annotations

import os
from typing import BinaryIO

from TumorSegLib.support import system

STDIN = 0
"""The descriptor that C code reads, whatever `sys.stdin` is."""

STD_INPUT_HANDLE = -10


def take_standard_input() -> BinaryIO:
    """Return a private copy of the standard input; from now on everybody else finds it empty.

    While a thread reads a pipe, Windows keeps whoever merely asks for the type of that pipe waiting
    until something arrives. Fortran's run-time library, which comes with SciPy's and NumPy's
    OpenBLAS, asks as soon as it is loaded, so that `import scipy` would wait for the next command
    (numpy/numpy#24290). Call this before a thread reads.
    """
    copy = os.dup(STDIN)  # not inherited by child processes, either
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, STDIN)
    os.close(nowhere)
    if system.is_windows():
        _set_standard_handle(STDIN)
    return os.fdopen(copy, "rb")


def _set_standard_handle(descriptor: int) -> None:
    """Have Windows hand out the descriptor's handle as the standard input.

    The C library does so itself, but only in programs that were linked for the console.
    """
    import ctypes
    import msvcrt

    handle = msvcrt.get_osfhandle(descriptor)  # type: ignore[attr-defined, unused-ignore]
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
    kernel.SetStdHandle(ctypes.c_ulong(STD_INPUT_HANDLE & 0xFFFFFFFF), ctypes.c_void_p(handle))
