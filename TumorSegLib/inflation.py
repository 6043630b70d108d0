"""Whether compressed data in a file are whole."""

from __future__ import annotations

import zlib
from pathlib import Path

CHUNK = 1 << 16
GZIP = b"\x1f\x8b"
ZLIB_OR_GZIP = 47
"""zlib's code for finding out by itself which of its two formats a stream has."""


def inflated_size(path: Path, offset: int = 0) -> int:
    """Return the bytes that the zlib or gzip data from `offset` on hold, checksums compared.

    Raises:
        zlib.error: the data are damaged or end too early.
    """
    size = 0
    stream = zlib.decompressobj(ZLIB_OR_GZIP)
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK):
            while chunk:
                if stream.eof:
                    if not chunk.startswith(GZIP):
                        return size
                    stream = zlib.decompressobj(ZLIB_OR_GZIP)
                size += len(stream.decompress(chunk))
                chunk = stream.unused_data
    if not stream.eof:
        raise zlib.error("ends too early")
    return size
