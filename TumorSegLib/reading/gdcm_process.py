"""Decodes compressed DICOM pictures by GDCM, in a process that damaged ones may end.

`python -m TumorSegLib.reading.gdcm_process FOLDER` reads files from its standard input: a line with
their length and the bytes of memory that may be taken, then the file. To each it answers a line of
JSON with the type and shape (frame, rows, columns) of the pixels, then the pixels; an empty line if
they cannot be decoded. FOLDER holds a file while it is decoded.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import SimpleITK as sitk

OWN_BYTES = 2 << 30
"""Address space that Python and its libraries take by themselves."""


def main(folder: str) -> None:
    """Decode until the standard input is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    path = Path(folder) / "picture.dcm"
    while line := sys.stdin.buffer.readline():
        length, memory = map(int, line.split())
        _limit(OWN_BYTES + memory)
        path.write_bytes(sys.stdin.buffer.read(length))
        _answer(path, answers)
        answers.flush()


def _answer(path: Path, answers: BinaryIO) -> None:
    try:
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    except (RuntimeError, MemoryError):
        answers.write(b"\n")
        return
    finally:
        path.unlink()
    array = sitk.GetArrayFromImage(image)
    array = array.reshape(-1, *array.shape[-2:])
    answers.write(json.dumps([array.dtype.str, array.shape]).encode() + b"\n")
    answers.write(array.tobytes())


def _limit(memory: int) -> None:
    """Take no more than this address space, where the system can be told so."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        wanted = memory if most == resource.RLIM_INFINITY else min(memory, most)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


if __name__ == "__main__":
    main(sys.argv[1])
