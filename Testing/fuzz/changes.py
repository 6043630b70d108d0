"""Changes that do not know what a file means: bits, cuts, insertions, files among each other."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Files = dict[str, bytes]
"""An input: contents by path, relative to a folder."""

Change = Callable[[Random, bytes], bytes]
FilesChange = Callable[[Random, Files], Files]

WORDS = (
    *("", " ", "\0", "nan", "inf", "-inf", "1e999", "1e-320", "-1", "0", "1", "2", "3", "4", "17"),
    *("255", "256", "65535", "65536", "2147483647", "2147483648", "-2147483648", "4294967295"),
    *("9223372036854775807", "18446744073709551616", "9" * 5000, "1,5", "1.0", "0x10", "1e3", "½"),
    *("%s%n%s%n", "%9999999d", "../../escaped", "/tmp/tumorseg-fuzz-escaped", "..\\..\\escaped"),
    *("A" * 300, "A" * 1000, "A" * 5000, "\x1b[31mred", "a\nb", "a\rb", "\u202egpj", "\ufeff", "ä"),
    *("true", "none", "null", "[]", "{}", "()", "(1,2,3)", "(nan,0,0)", "LIST", "LOCAL", "raw"),
    *("gzip", "ascii", "hex", "double", "float", "uint64", "\\", '"', "'", "<", "&#0;", "[bold]"),
    *(
        "file:///etc/passwd",
        "http://localhost:9/x",
        "CON",
        "NUL",
        ".",
        "..",
        "/",
        "//",
        "~",
        "$HOME",
    ),
)
"""Words that readers take badly: numbers at the edges of types, foreign signs, places."""

NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
NUMBERS += (2**63 - 1, 2**64 - 1)


def word(rng: Random) -> bytes:
    """Return a hostile word, now and then of bytes that are no text."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.randint(1, 12))
    return rng.choice(WORDS).encode()


def flipped(rng: Random, content: bytes) -> bytes:
    """Flip one to eight bits, more often near the beginning, where headers are."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8)) if content else 0):
        changed[_place(rng, len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwritten(rng: Random, content: bytes) -> bytes:
    """Put a number from the edges of its type anywhere."""
    width = rng.choice((1, 2, 4, 8))
    if len(content) < width:
        return content
    place = _place(rng, len(content) - width + 1)
    number = rng.choice(NUMBERS) % (1 << 8 * width)
    order = rng.choice(("little", "big"))
    return content[:place] + number.to_bytes(width, order) + content[place + width :]


def cut(rng: Random, content: bytes) -> bytes:
    """Cut the end off."""
    return content[: _place(rng, len(content) + 1)]


def zeroed(rng: Random, content: bytes) -> bytes:
    """Zero a stretch, as an incomplete copy does."""
    start = _place(rng, len(content) + 1)
    length = min(rng.choice((1, 16, 128, 1024, 1 << 20)), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def inserted(rng: Random, content: bytes) -> bytes:
    """Put a word, random bytes or a repetition of what is there in between."""
    place = _place(rng, len(content) + 1)
    piece = rng.choice((word(rng), rng.randbytes(rng.randint(1, 64)), content[place : place + 64]))
    return content[:place] + piece * rng.choice((1, 1, 2, 30)) + content[place:]


def removed(rng: Random, content: bytes) -> bytes:
    """Take a stretch out."""
    start = _place(rng, len(content) + 1)
    return content[:start] + content[start + rng.choice((1, 2, 3, 4, 16, 256)) :]


BYTES: tuple[Change, ...] = (flipped, overwritten, cut, zeroed, inserted, removed)


def _place(rng: Random, length: int) -> int:
    if length < 1:
        return 0
    return rng.randrange(min(length, rng.choice((64, 512, length))))


def in_one_file(change: Change, *endings: str) -> FilesChange:
    """Return a change of one file of an input, one of these endings where there are any."""

    def apply(rng: Random, files: Files) -> Files:
        names = sorted(name for name in files if not endings or name.endswith(endings))
        if not names:
            return files
        name = rng.choice(names)
        return {**files, name: change(rng, files[name])}

    apply.__name__ = getattr(change, "__name__", "change")
    return apply


def exchanged(rng: Random, files: Files) -> Files:
    """Take a file away, empty it, or give it another's content or end."""
    names = sorted(files)
    if not names:
        return files
    name, other = rng.choice(names), rng.choice(names)
    place = _place(rng, len(files[name]) + 1)
    match rng.randrange(4):
        case 0:
            return {key: content for key, content in files.items() if key != name}
        case 1:
            return {**files, name: b""}
        case 2:
            return {**files, name: files[other]}
    return {**files, name: files[name][:place] + files[other][place:]}


def spliced(rng: Random, files: Files, others: Files) -> Files:
    """Give a file the second half of the like file of another good input."""
    name, other = rng.choice(sorted(files)), rng.choice(sorted(others))
    place = _place(rng, min(len(files[name]), len(others[other])) + 1)
    return {**files, name: files[name][:place] + others[other][place:]}
