"""Changes of files that are lines of names and values: NRRD, MetaImage, TOML; and of XML."""

from __future__ import annotations

import re
from random import Random

from fuzz.changes import Change, word

SEPARATORS = re.compile(rb":=|: |=|:")
NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
ATTRIBUTE = re.compile(rb'([\w:]+)="([^"]*)"')
ELEMENT = re.compile(rb"<(\w+)[^<>]*?(/>|>)")
HEADER_BYTES = 1 << 16


def header_lines(end: bytes) -> Change:
    """Return a change of one line of a header that ends with `end`, which is not in it itself."""

    def change_line(rng: Random, content: bytes) -> bytes:
        header, mark, rest = content.partition(end)
        lines = header.split(b"\n")
        place = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                del lines[place]
            case 1:
                lines.insert(rng.randrange(len(lines) + 1), lines[place])
            case 2:
                lines[place] = lines[place].upper() if rng.random() < 0.5 else lines[place].lower()
            case 3:
                lines.insert(place, word(rng) + rng.choice((b": ", b":=", b" = ", b"")) + word(rng))
            case 4:
                lines[place] += word(rng) * rng.choice((1, 1, 200))
            case 5 | 6:
                lines[place] = value_changed(rng, lines[place])
            case 7:
                lines[place] = number_changed(rng, lines[place])
        return b"\n".join(lines) + mark + rest

    return change_line


def value_changed(rng: Random, line: bytes) -> bytes:
    """Give a line's name another value."""
    found = SEPARATORS.search(line)
    return word(rng) if found is None else line[: found.end()] + word(rng)


def number_changed(rng: Random, content: bytes) -> bytes:
    """Put a hostile word in the place of one number."""
    numbers = list(NUMBER.finditer(content[:HEADER_BYTES]))
    if not numbers:
        return content
    found = rng.choice(numbers)
    return content[: found.start()] + word(rng) + content[found.end() :]


def attribute_changed(rng: Random, content: bytes) -> bytes:
    """Change an attribute of an XML element: its value, a number in it, or that it is there."""
    attributes = list(ATTRIBUTE.finditer(content))
    if not attributes:
        return content
    found = rng.choice(attributes)
    name, value = found[1], found[2]
    other = rng.choice(attributes)[2]
    new = rng.choice((word(rng), number_changed(rng, value), other, b"", value * 20))
    written = rng.choice((b'%s="%s"' % (name, new),) * 4 + (b"",))
    return content[: found.start()] + written + content[found.end() :]


def element_changed(rng: Random, content: bytes) -> bytes:
    """Take an XML element away, write it twice, call it something else, or put it in itself."""
    elements = list(ELEMENT.finditer(content))
    if not elements:
        return content
    found, other = rng.choice(elements), rng.choice(elements)
    text = found[0]
    new = rng.choice((b"", text * 2, text.replace(found[1], other[1], 1), text * 500, other[0]))
    return content[: found.start()] + new + content[found.end() :]
