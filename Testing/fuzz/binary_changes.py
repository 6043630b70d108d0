"""Changes of binary files field by field: NIfTI, DICOM, safetensors, and what is compressed."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from random import Random

from fuzz.changes import BYTES, NUMBERS, Change, word
from fuzz.tree_changes import tree_changed

NIFTI_FIELDS = {
    **dict.fromkeys((0,), "i"),
    **dict.fromkeys(range(40, 56, 2), "h"),
    **dict.fromkeys((68, 70, 72, 74), "h"),
    **dict.fromkeys(range(76, 120, 4), "f"),
    **dict.fromkeys((120, 252, 254), "h"),
    **dict.fromkeys((122, 123), "B"),
    **dict.fromkeys(range(256, 328, 4), "f"),
    344: "I",
}
"""Offsets and types of the fields of a NIfTI-1 header that mean something."""

NIFTI_2_FIELDS = {
    **dict.fromkeys((0,), "i"),
    **dict.fromkeys((12, 14), "h"),
    **dict.fromkeys(range(16, 80, 8), "q"),
    **dict.fromkeys(range(104, 168, 8), "d"),
    168: "q",
    **dict.fromkeys((176, 184), "d"),
    **dict.fromkeys((344, 348, 500), "i"),
    **dict.fromkeys(range(352, 496, 8), "d"),
}
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e-45, 1e30, 3e38, float("nan"), float("inf"), -float("inf"))
TYPES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 1, 0)


def nifti_changed(rng: Random, content: bytes) -> bytes:
    """Change one field of a NIfTI header."""
    fields = NIFTI_2_FIELDS if content[:1] == b"\x1c" else NIFTI_FIELDS
    offset = rng.choice(sorted(fields))
    kind = fields[offset]
    if kind in "fd":
        number: float = rng.choice((*FLOATS, rng.uniform(-400, 400)))
        written = struct.pack(f"<{kind}", number)
    else:
        size = struct.calcsize(kind)
        whole = rng.choice((*NUMBERS, *TYPES, rng.randrange(20)))
        written = (whole % (1 << 8 * size)).to_bytes(size, "little")
    return content[:offset] + written + content[offset + len(written) :]


def within_gzip(*changes: Change) -> Change:
    """Return changes of what a gzip file holds, which is packed again."""

    def apply(rng: Random, content: bytes) -> bytes:
        try:
            inner = gzip.decompress(content)
        except (OSError, EOFError, ValueError, zlib.error):
            return content
        return gzip.compress(rng.choice(changes)(rng, inner), 1, mtime=0)

    return apply


LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"UC", b"UR")
REPRESENTATIONS = (b"DS", b"IS", b"US", b"CS", b"UI", b"SQ", b"OB", b"UN", b"PN", b"FD", b"XX")


def dicom_elements(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield group and element as one number, and where element, value and next one begin.

    Sequences and items are walked into. The data are explicit, their smallest byte first.
    """
    place = 132
    while place + 8 <= len(content):
        group, element = struct.unpack_from("<HH", content, place)
        if group == 0xFFFE:
            place += 8
            continue
        vr = content[place + 4 : place + 6]
        start = place + (12 if vr in LONG else 8)
        length = int.from_bytes(content[start - (4 if vr in LONG else 2) : start], "little")
        into = vr == b"SQ" or length == 0xFFFFFFFF
        end = start if into else start + length
        if group == 0x7FE0:
            yield group << 16 | element, place, start, len(content)
            return
        yield group << 16 | element, place, start, end
        place = end


def dicom_changed(rng: Random, content: bytes) -> bytes:
    """Change one element of a DICOM file: value, representation, length, or whether it is there."""
    elements = list(dicom_elements(content))
    if not elements:
        return content
    _, place, start, end = rng.choice(elements)
    vr, value = content[place + 4 : place + 6], content[start:end]
    head = content[place : place + 4]
    match rng.randrange(9):
        case 0 | 1 | 2:
            new = element(head, vr, _dicom_value(rng, vr, value))
        case 3:
            new = element(head, rng.choice(REPRESENTATIONS), value)
        case 4:
            length = rng.choice(NUMBERS) % (1 << 32)
            wide = vr in LONG
            written = (
                length.to_bytes(4, "little") if wide else (length % 65536).to_bytes(2, "little")
            )
            new = content[place : start - len(written)] + written + value
        case 5:
            new = b""
        case 6:
            new = content[place:end] * 2
        case 7:
            nested = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
            sequence = struct.pack("<HH2sHI", 0x0021, 0x1001, b"SQ", 0, 0xFFFFFFFF)
            new = (sequence + nested) * rng.choice((1, 3, 33, 2000)) + content[place:end]
        case _:
            other = rng.choice(elements)
            new = content[other[1] : other[3]]
    return content[:place] + new + content[end:]


def element(head: bytes, vr: bytes, value: bytes) -> bytes:
    """Return an element with a length that fits its value."""
    value += b" " * (len(value) % 2)
    if vr in LONG:
        return head + vr + b"\0\0" + len(value).to_bytes(4, "little") + value
    return head + vr + (len(value) % 65536).to_bytes(2, "little") + value


def _dicom_value(rng: Random, vr: bytes, value: bytes) -> bytes:
    if vr in (b"US", b"SS", b"UL"):
        size = 4 if vr == b"UL" else 2
        return (rng.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, "little")
    if b"\\" in value and rng.random() < 0.6:
        parts = value.split(b"\\")
        parts[rng.randrange(len(parts))] = word(rng)
        return b"\\".join(parts)
    return rng.choice((word(rng), word(rng), value * 2, b"", rng.choice(BYTES)(rng, value)))


def safetensors_changed(rng: Random, content: bytes) -> bytes:
    """Change the JSON at the beginning of a safetensors file; what follows it stays."""
    (length,) = struct.unpack_from("<Q", content) if len(content) >= 8 else (0,)
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        return rng.choice(BYTES)(rng, content)
    name = rng.choice(sorted(header))
    if rng.random() < 0.5 and isinstance(header[name], dict):
        with suppress(ValueError, RecursionError):
            header[name] = json.loads(tree_changed(rng, json.dumps(header[name]).encode()))
        changed = json.dumps(header).encode("utf-8", "surrogatepass")
    else:
        changed = tree_changed(rng, json.dumps(header).encode())
    said = len(changed) if rng.random() < 0.9 else rng.choice(NUMBERS)
    return struct.pack("<Q", said % (1 << 64)) + changed + content[8 + length :]
