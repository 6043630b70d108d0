"""Compressed DICOM pictures through GDCM, which reads only what was written for it, and apart.

GDCM takes what it finds in a header at its word, rescales by rules of its own, and some damaged
pictures end the process that decodes them. It therefore gets a file with nothing but the pictures
and their sizes, in a process of its own.
"""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
import threading
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.reading.dicom_files import DicomFile
from TumorSegLib.support import leftovers
from TumorSegLib.support.child_process import environment, module_command

PREFIX = "tumorseg-pictures-"
"""Begins the names of folders that hold a slice while it is decoded."""
SECONDS = 120
"""That the pictures of a file may take."""
MEMORY_RATIO = 16
"""Bytes that decoders take for a byte of pixels, at most."""
WHOLE_BITS = (8, 16, 32)

EXPLICIT = "<HH2sH"
SECONDARY_CAPTURE, OF_FRAMES = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.3"
"""SOP classes of pictures without a meaning that GDCM knows."""
UID = "2.25.1"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
UNDEFINED = b"\xff\xff\xff\xff"


class Gdcm:
    """Decodes files one by one; its process begins with the first and ends with `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def decode(self, file: DicomFile) -> NDArray[Any]:
        """Return the stored values (frame, rows, columns) of a file.

        Raises:
            InputError: they cannot be decoded.
        """
        content = picture_file(file)
        shape = (file.frames, *file.shape)
        needed = prod(shape) * file.header.bits // 8
        process = self._process or self._begin()
        deadline = threading.Timer(SECONDS, process.kill)
        deadline.start()
        try:
            found = _asked(process, content, needed * MEMORY_RATIO, needed)
        except (OSError, EOFError):
            self.close()
            raise undecodable(file.path) from None
        finally:
            deadline.cancel()
        if found is None or found.shape != shape:
            raise undecodable(file.path)
        return found

    def close(self) -> None:
        """End the process, whatever it is doing, and remove its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._folder is not None:
            leftovers.remove(self._folder)
            self._folder = None

    def _begin(self) -> subprocess.Popen[bytes]:
        place = Path(tempfile.gettempdir())
        leftovers.remove_left_over(place, PREFIX)
        self._folder = place / f"{PREFIX}{leftovers.owned_name()}"
        self._folder.mkdir(mode=0o700)
        self._process = subprocess.Popen(
            module_command("TumorSegLib.reading.gdcm_process", str(self._folder)),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._process


def _asked(
    process: subprocess.Popen[bytes], content: bytes, memory: int, needed: int
) -> NDArray[Any] | None:
    """Return what the process decodes, `None` if that is nothing or more than `needed` bytes.

    Raises:
        OSError, EOFError: the process has ended.
    """
    asked, answers = cast("Any", process.stdin), cast("Any", process.stdout)
    asked.write(f"{len(content)} {memory}\n".encode() + content)
    asked.flush()
    line = answers.readline()
    if not line:
        raise EOFError
    if not line.strip():
        return None
    kind, shape = json.loads(line)
    dtype = np.dtype(kind)
    pixels = answers.read(prod(shape) * dtype.itemsize)
    if len(pixels) < prod(shape) * dtype.itemsize:
        raise EOFError
    return np.frombuffer(pixels, dtype).reshape(shape)


def picture_file(file: DicomFile) -> bytes:
    """Return a DICOM file with the pictures of `file`, their sizes, and nothing else.

    Raises:
        InputError: a pixel takes a number of bits that none does.
    """
    header = file.header
    bits = header.bits
    stored = header.whole("BitsStored", bits)
    if bits not in WHOLE_BITS or stored > bits:
        raise InputError(
            f"{file.path}: found {stored} of {bits} bits in each compressed pixel, expected 8, 16"
            " or 32; convert the series to NRRD first"
        )
    assert header.pixels is not None
    _, offset, _ = header.pixels
    end = sum(header.fragments[-1])
    with file.path.open("rb") as opened:
        opened.seek(offset)
        pictures = opened.read(end - offset)
    sop_class = OF_FRAMES if file.frames > 1 else SECONDARY_CAPTURE
    meta = _text(0x0002, 0x0002, "UI", sop_class) + _text(0x0002, 0x0003, "UI", UID)
    meta += _text(0x0002, 0x0010, "UI", header.syntax)
    length = struct.pack(f"{EXPLICIT}I", 0x0002, 0x0000, b"UL", 4, len(meta))
    elements = (
        _text(0x0008, 0x0016, "UI", sop_class),
        _text(0x0008, 0x0018, "UI", UID),
        _text(0x0008, 0x0060, "CS", "OT"),
        _number(0x0002, 1),
        _text(0x0028, 0x0004, "CS", file.photometric),
        _text(0x0028, 0x0008, "IS", str(file.frames)) if file.frames > 1 else b"",
        _number(0x0010, file.shape[0]),
        _number(0x0011, file.shape[1]),
        _number(0x0100, bits),
        _number(0x0101, stored),
        _number(0x0102, stored - 1),
        _number(0x0103, min(header.whole("PixelRepresentation"), 1)),
        struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OB", 0) + UNDEFINED,
    )
    return bytes(128) + b"DICM" + length + meta + b"".join(elements) + pictures + SEQUENCE_END


def undecodable(path: Path) -> InputError:
    """Return the error for pixels that cannot be decoded."""
    return InputError(
        f"{path}: its pixels cannot be decoded, damaged or truncated; copy or export the series"
        " again"
    )


def _text(group: int, element: int, representation: str, text: str) -> bytes:
    value = text.encode("latin-1", "replace")[:64]
    value += (b"\0" if representation == "UI" else b" ") * (len(value) % 2)
    return struct.pack(EXPLICIT, group, element, representation.encode(), len(value)) + value


def _number(element: int, number: int) -> bytes:
    """Return an element of group 28 with an unsigned number of two bytes."""
    return struct.pack(f"{EXPLICIT}H", 0x0028, element, b"US", 2, number)
