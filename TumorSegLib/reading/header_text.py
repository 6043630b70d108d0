"""Text headers: their lines and numbers, with errors that name the file and the field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.errors import InputError

MAXIMUM_BYTES = 1 << 20
"""Where a header ends at the latest."""

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True)
class HeaderFields:
    """The fields of a header.

    Attributes:
        path: of the file.
        kind: of the file, for messages.
        values: text by name.
    """

    path: Path
    kind: str
    values: Mapping[str, str]

    def text(self, *names: str) -> str | None:
        """Return the text of the first of these fields that is there."""
        return next((self.values[name] for name in names if name in self.values), None)

    def needed(self, *names: str) -> str:
        """Return the text of a field that must be there.

        Raises:
            InputError: it is not.
        """
        text = self.text(*names)
        if text is None:
            raise self.error(f"the field {names[0]} is missing")
        return text

    def whole_numbers(self, name: str, text: str, count: int | None = None) -> tuple[int, ...]:
        """Return the whole numbers of a field, `count` of them where that is given.

        Raises:
            InputError: they are not such numbers.
        """
        words = text.split()
        if count not in (None, len(words)) or not all(map(WHOLE_NUMBER.fullmatch, words)):
            raise self.unexpected(name, text, f"{count or 'some'} whole numbers")
        return tuple(int(word) for word in words)

    def sizes(self, axes_name: str, name: str, most_axes: int) -> tuple[int, ...]:
        """Return the size along each axis from the fields of the number of axes and of the sizes.

        Raises:
            InputError: they are missing, more than `most_axes`, or not positive.
        """
        axes = self.whole_numbers(axes_name, self.needed(axes_name), 1)[0]
        if not 1 <= axes <= most_axes:
            raise self.unexpected(axes_name, str(axes), f"1 to {most_axes}")
        sizes = self.whole_numbers(name, self.needed(name), axes)
        if min(sizes) < 1:
            raise self.unexpected(name, self.needed(name), "positive numbers")
        return sizes

    def numbers(self, name: str, text: str, count: int | None = None) -> tuple[float, ...]:
        """Return the numbers of a field, `count` of them where that is given.

        Raises:
            InputError: they are not such numbers.
        """
        try:
            found = tuple(float(word) for word in text.replace(",", " ").split())
        except ValueError:
            raise self.unexpected(name, text, "numbers") from None
        if count not in (None, len(found)):
            raise self.unexpected(name, text, f"{count} numbers")
        return found

    def unexpected(self, name: str, text: str, expected: str) -> InputError:
        """Return the error for a field that cannot be what it says."""
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        return self.error(f"found {name} {shown!r}, expected {expected}")

    def error(self, reason: str) -> InputError:
        """Return the error for a header that cannot be used for `reason`."""
        return InputError(
            f"{self.path}: cannot be read as {self.kind}, damaged or of another format: {reason};"
            " copy or export it again"
        )


def header_lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the lines with which a file begins, and how many bytes each with those before takes.

    At most `MAXIMUM_BYTES` are read; lines come without their ends.
    """
    length = 0
    with path.open("rb") as file:
        while line := file.readline(MAXIMUM_BYTES - length):
            length += len(line)
            yield line.decode("utf-8", "replace").rstrip("\r\n"), length
