"""Tables of measurements, as CSV and as text for the clipboard.

CSV is UTF-8 with a byte order mark: without one Excel takes it for the system's own encoding and
garbles names that are not English; pandas and LibreOffice pass over it. Lines end as RFC 4180 has
it, decimals have points whatever the language. Text that a spreadsheet would take for a formula
gets an apostrophe in front, which spreadsheets do with such text themselves.
"""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.derived import SYMBOLS, DerivedValue
from TumorSegLib.measurement.quantities import QUANTITIES
from TumorSegLib.measurement.segment import Measurement
from TumorSegLib.support.atomic_write import atomic_write

Cell = str | int | float | bool | None

FORMULA = ("=", "+", "-", "@")
"""What a text begins with that spreadsheets compute; in Japan and China in full width, too."""


@dataclass(frozen=True)
class Column:
    """A column: its title, its unit, and the decimals of its numbers; None: six figures."""

    title: str
    unit: str = ""
    decimals: int | None = 1

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def text(self, cell: Cell) -> str:
        """Return what a cell of the column shows."""
        if cell is None:
            return ""
        if isinstance(cell, bool):
            return "yes" if cell else "no"
        if isinstance(cell, float):
            return f"{cell:.6g}" if self.decimals is None else f"{cell:.{self.decimals}f}"
        return str(cell)


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def headings(self) -> list[str]:
        """Of the columns."""
        return [column.heading for column in self.columns]

    @property
    def texts(self) -> list[list[str]]:
        """What the cells show, row by row."""
        pairs = [zip(self.columns, row, strict=True) for row in self.rows]
        return [[column.text(cell) for column, cell in row] for row in pairs]


def _column(figure: str, decimals: int | None = 1) -> Column:
    quantity = QUANTITIES[figure]
    return Column(quantity.title, quantity.unit, decimals)


LESION_COLUMNS = (
    Column("Segment"),
    Column("Number"),
    _column("volume_ml", 3),
    _column("longest_axial_diameter_mm"),
    _column("perpendicular_diameter_mm"),
    _column("longest_diameter_mm"),
    _column("surface_mm2", 0),
    _column("mean", None),
    _column("standard_deviation", None),
    Column("Certainty", decimals=2),
    Column("Slice"),
    Column("Centroid L", "mm"),
    Column("Centroid P", "mm"),
    Column("Centroid S", "mm"),
    Column("Cut by the border"),
)


def lesion_table(measured: Sequence[Measurement]) -> Table:
    """Return a table of the components of some segments, the largest of each first."""
    rows = [_lesion(segment.name, part) for segment in measured for part in segment.parts]
    return Table(LESION_COLUMNS, tuple(rows))


def _lesion(segment: str, part: Component) -> tuple[Cell, ...]:
    return (
        segment,
        part.number,
        part.volume_ml,
        part.longest_axial_diameter_mm,
        part.perpendicular_diameter_mm,
        part.longest_diameter_mm,
        part.surface_mm2,
        part.mean,
        part.standard_deviation,
        part.certainty,
        part.slice_index + 1,
        *part.centroid_mm,
        part.cut_by_border,
    )


def value_table(values: Sequence[DerivedValue]) -> Table:
    """Return a table of derived values."""
    columns = (Column("Figure"), Column("Value", decimals=3), Column("Unit"))
    rows = [(value.name, value.value, SYMBOLS.get(value.unit, value.unit)) for value in values]
    return Table(columns, tuple(rows))


def as_csv(table: Table) -> bytes:
    """Return a table as the content of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(safe_text(heading) for heading in table.headings)
    writer.writerows(_safe_cells(table))
    return text.getvalue().encode("utf-8-sig", "replace")


def write_csv(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV; the file is whole or absent.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_write(Path(path)) as new:
        new.write_bytes(as_csv(table))


def as_clipboard(table: Table) -> str:
    """Return a table as lines of cells between tabs, which reports and spreadsheets take."""
    lines = [[safe_text(heading) for heading in table.headings], *_safe_cells(table)]
    return "\n".join("\t".join(line) for line in lines) + "\n"


def _safe_cells(table: Table) -> list[list[str]]:
    """Return what the cells show; numbers may begin with a minus, text may not."""
    return [
        [
            safe_text(text) if isinstance(cell, str) else text
            for cell, text in zip(row, texts, strict=True)
        ]
        for row, texts in zip(table.rows, table.texts, strict=True)
    ]


def safe_text(text: str) -> str:
    """Return a text on one line, without what is no letter, that no spreadsheet computes."""
    line = " ".join(text.split())
    line = "".join(letter for letter in line if unicodedata.category(letter) not in ("Cc", "Cs"))
    seen = (letter for letter in line if unicodedata.category(letter) != "Cf")
    begins = unicodedata.normalize("NFKC", next(seen, ""))
    return f"'{line}" if begins.startswith(FORMULA) else line
