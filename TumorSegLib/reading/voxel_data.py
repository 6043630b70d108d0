"""The bytes of voxels, read from where a header says that they are: all of them, or an error.

Nothing is taken from elsewhere, no memory is taken before the file was seen to be long enough, and
what is compressed is decompressed to its end, where its checksum stands.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.reading.file_path import readable

RAW, DEFLATE, BZIP2, TEXT, HEX = "raw", "deflate", "bzip2", "text", "hex"

ZLIB_OR_GZIP = 47
"""zlib's code for finding out by itself which of its two formats a stream has."""
GZIP_MAGIC = b"\x1f\x8b"
MEMBERS = {DEFLATE: GZIP_MAGIC, BZIP2: b"BZh"}
"""What a further stream behind the first begins with."""
DEFLATE_RATIO = 1040
"""Deflate packs at most 1032 bytes into one."""

CHUNK = 1 << 20
TEXT_BYTES = 64
"""Bytes that a number takes in text at the most."""


@dataclass(frozen=True)
class DataPart:
    """Where some of an image's voxels are.

    Attributes:
        path: of the file.
        encoding: one of the five above.
        offset: bytes before the voxels in the file, or in what is decompressed if `skip` says so;
            -1: the voxels stand at the file's end.
        lines: lines to pass over after `offset`.
        skip: bytes to pass over in the decompressed data.
        length: bytes of the compressed data, where the header says so.
    """

    path: Path
    encoding: str
    offset: int = 0
    lines: int = 0
    skip: int = 0
    length: int | None = None


def read_voxels(
    header: Path, parts: Sequence[DataPart], dtype: np.dtype[Any], count: int
) -> tuple[NDArray[Any], bool]:
    """Return `count` voxels in the machine's byte order, and whether there is more than them.

    Args:
        header: the image's file, for messages.
        parts: hold equal shares of the voxels, in order.
        dtype: of the stored voxels, with their byte order.
        count: of all of them.

    Raises:
        InputError: a file is missing, too short or damaged.
    """
    share, rest = divmod(count, len(parts))
    if rest or not share:
        raise InputError(f"{header}: {count} voxels cannot be in {len(parts)} files of one size")
    for part in parts:
        _check_length(header, part, share * dtype.itemsize)
    try:
        buffer = np.zeros(count, dtype)
    except MemoryError:
        size = count * dtype.itemsize / 1e9
        raise InputError(f"{header}: needs {size:.1f} GB of memory, which are not free") from None
    surplus = False
    for number, part in enumerate(parts):
        target = buffer[number * share : (number + 1) * share]
        try:
            with part.path.open("rb") as file:
                more = _fill(target, file, part)
        except (OSError, ValueError, EOFError, zlib.error) as error:
            if isinstance(error, OSError) and error.strerror:
                raise InputError(f"{part.path}: cannot be read ({error.strerror})") from None
            raise damaged(part.path) from None
        if more and len(parts) > 1:
            raise InputError(f"{part.path}: holds more than its share of {header.name}'s voxels")
        surplus |= more
    if not dtype.isnative:
        buffer = buffer.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return buffer, surplus


def damaged(path: Path) -> InputError:
    """Return the error for voxels that are not all there."""
    return InputError(f"{path}: its voxels are damaged or truncated; copy or export it again")


def _check_length(header: Path, part: DataPart, needed: int) -> None:
    """Refuse a file that is too short for its voxels, before memory is taken for them."""
    if part.path != header and not part.path.exists():
        raise InputError(
            f"{header}: its data file {part.path.name} is missing; copy both to one folder"
        )
    size = readable(part.path).stat().st_size
    if part.encoding == RAW:
        least = max(0, part.offset) + part.skip + needed
    elif part.encoding in (TEXT, HEX):
        least = part.offset + needed // 8  # a number of 8 bytes may be one digit
    else:
        least = part.offset + (part.length or 0)
        if part.encoding == DEFLATE:
            least = max(least, part.offset + needed // DEFLATE_RATIO)
    if size < least:
        raise damaged(part.path)


def _fill(target: NDArray[Any], file: BinaryIO, part: DataPart) -> bool:
    """Read the voxels of one part; tell whether there is more.

    Raises:
        ValueError: there are not enough, or they are no numbers.
        EOFError: the stream ends too early.
        zlib.error: it is damaged.
        OSError: it cannot be read, or is damaged.
    """
    raw = target.view(np.uint8)
    file.seek(part.offset, 0) if part.offset >= 0 else file.seek(-raw.size, 2)
    _pass_lines(file, part.lines)
    if part.encoding == TEXT:
        return _fill_from_text(target, file)
    if part.encoding == HEX:
        found = bytes.fromhex(file.read(4 * raw.size).decode("ascii"))
        if len(found) < raw.size:
            raise EOFError
        raw[:] = np.frombuffer(found, np.uint8, raw.size)
        return len(found) > raw.size
    if part.encoding == RAW:
        file.seek(part.skip, 1)
        if file.readinto(raw.data) != raw.size:  # type: ignore[attr-defined]
            raise EOFError
        return part.offset >= 0 and bool(file.read(1))
    done = -part.skip
    for chunk in _decompressed(file, part):
        begin = max(0, -done)
        kept = chunk[begin : begin + max(0, raw.size - max(0, done))]
        if kept.count(0) != len(kept):  # pages that are never written take no memory
            raw[max(0, done) : max(0, done) + len(kept)] = np.frombuffer(kept, np.uint8)
        done += len(chunk)
    if done < raw.size:
        raise EOFError
    return done > raw.size


def _pass_lines(file: BinaryIO, count: int) -> None:
    """Read on behind `count` lines.

    Raises:
        EOFError: there are fewer.
    """
    for _ in range(count):
        while (line := file.readline(CHUNK)) and not line.endswith(b"\n"):
            pass
        if not line:
            raise EOFError


def _decompressed(file: BinaryIO, part: DataPart) -> Iterator[bytes]:
    """Yield what a compressed file holds, in chunks; checksums are compared at its streams' ends.

    Raises:
        EOFError: it has no end.
        zlib.error: it is damaged.
        OSError: it is damaged.
    """
    stored = _chunks(file, part.length)
    data = next(stored, b"")
    while True:
        stream = _Stream(part.encoding)
        while not stream.ended:
            if not data:
                raise EOFError
            yield from stream.take(data)
            data = stream.rest or next(stored, b"")
        if not data.startswith(MEMBERS[part.encoding]):
            return


def _chunks(file: BinaryIO, length: int | None) -> Iterator[bytes]:
    """Yield what is stored, no more than `length` bytes where that is given."""
    left = length
    while chunk := file.read(CHUNK if left is None else min(CHUNK, left)):
        yield chunk
        left = None if left is None else left - len(chunk)


class _Stream:
    """A compressed stream that is decompressed piece by piece.

    Attributes:
        ended: whether its end was there.
        rest: what was handed in beyond it.
    """

    def __init__(self, encoding: str) -> None:
        self.ended, self.rest = False, b""
        self._bzip2 = bz2.BZ2Decompressor() if encoding == BZIP2 else None
        self._inflate = zlib.decompressobj(ZLIB_OR_GZIP)

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` holds, at most `CHUNK` bytes at once."""
        stream: Any = self._bzip2 or self._inflate
        yield stream.decompress(data, CHUNK)
        while not stream.eof and (more := self._pending()) is not None:
            yield stream.decompress(more, CHUNK)
        self.ended, self.rest = stream.eof, stream.unused_data

    def _pending(self) -> bytes | None:
        """Return what to hand in for more of the same data, `None` if all of it was used."""
        if self._bzip2 is not None:
            return None if self._bzip2.needs_input else b""
        return self._inflate.unconsumed_tail or None


def _fill_from_text(target: NDArray[Any], file: BinaryIO) -> bool:
    """Read numbers that are written out; tell whether there are more than `target` takes."""
    words = file.read(TEXT_BYTES * (target.size + 1)).split()
    if len(words) < target.size:
        raise EOFError
    if target.dtype.kind == "f":
        target[:] = [float(word) for word in words[: target.size]]
        return len(words) > target.size
    numbers = [int(word) for word in words[: target.size]]
    limits = np.iinfo(target.dtype)
    if not limits.min <= min(numbers) <= max(numbers) <= limits.max:
        raise ValueError
    target[:] = numbers
    return len(words) > target.size
