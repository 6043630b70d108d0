"""What a report consists of, whether it becomes a page or a PDF."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import ClassVar

from TumorSegLib.measurement.table import Cell, Table
from TumorSegLib.report.slice_picture import Colour
from TumorSegLib.report.subject import Fact

NUMBER = re.compile(r"-?[\d.]+( (±|x|of) [\d.]+)?")
MOST_LETTERS = 1000
"""Of a name or line; more of one that is no sentence would not fit on a page."""


@dataclass(frozen=True)
class Facts:
    """What is said of several things, each on a line."""

    kind: ClassVar[str] = "facts"
    rows: tuple[Fact, ...]


@dataclass(frozen=True)
class Lines:
    """Paragraphs; of style "text", "note" or "warning"."""

    kind: ClassVar[str] = "lines"
    lines: tuple[str, ...]
    style: str = "text"


@dataclass(frozen=True)
class Rows:
    """A table.

    Attributes:
        table: what it shows.
        colours: beside the first cell of each row, if any.
        note: below.
    """

    kind: ClassVar[str] = "rows"
    table: Table
    colours: tuple[Colour | None, ...] = ()
    note: str = ""

    @property
    def numeric(self) -> list[bool]:
        """Of each column: whether it shows numbers; the first says whose they are."""
        return [
            index > 0 and any(_is_number(row[index]) for row in self.table.rows)
            for index in range(len(self.table.columns))
        ]


def _is_number(cell: Cell) -> bool:
    """Tell whether a cell shows a figure, "105 ± 20" and "43 x 41" included."""
    if isinstance(cell, str):
        return NUMBER.fullmatch(cell) is not None
    return isinstance(cell, int | float)


@dataclass(frozen=True)
class Picture:
    """A picture, encoded.

    Attributes:
        caption: below it, and for whoever cannot see it.
        legend: names below the caption with the colour of each, which the picture cannot have in
            the letters of every script.
        data: bytes of the file.
        media_type: of these.
        size: width and height in pixels.
    """

    caption: str
    data: bytes
    media_type: str
    size: tuple[int, int]
    legend: tuple[tuple[str, Colour], ...] = ()


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side, so many a row on paper."""

    kind: ClassVar[str] = "pictures"
    pictures: tuple[Picture, ...]
    columns: int


Block = Facts | Lines | Rows | Pictures


@dataclass(frozen=True)
class Section:
    """Blocks under a heading, "" for none."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: on top.
        subtitle: below.
        notice: what nobody may miss.
        sections: in order.
        footer: on each page of the PDF, and below the page.
    """

    title: str
    subtitle: str
    notice: str
    sections: tuple[Section, ...]
    footer: str


def printable(text: str) -> str:
    """Return a text without what is no letter: line breaks, controls, halves of characters.

    Marks that turn the direction of writing could make a text say something else. A text that is
    longer than any that somebody would read is cut, with a line of dots at its end.
    """
    kept = []
    line = " ".join(text.split())
    for letter in line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]} ...":
        category = unicodedata.category(letter)
        if category in ("Cc", "Cs", "Co", "Cn"):
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif category != "Cf":
            kept.append(letter)
    return "".join(kept)
