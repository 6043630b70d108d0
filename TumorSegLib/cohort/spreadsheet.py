"""Tables as spreadsheets save them: CSV with commas, semicolons or tabs, in UTF-8 or UTF-16."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.support.text_coding import decoded

SEPARATORS = ",;\t"
"""Excel separates by semicolons where numbers have decimal commas, its text for Unicode by tabs."""


@dataclass(frozen=True)
class Row:
    """A row that says something.

    Attributes:
        line: of the file, from 1, on which it ends.
        cells: without blanks around them.
    """

    line: int
    cells: list[str]


def read_rows(path: Path, known: str) -> list[Row]:
    """Return the rows of a CSV, that of the headings first; empty ones are left out.

    What separates cells is what the first line says (`sep=;`), else what leaves the heading `known`
    by itself, else what there is most of in the headings.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return list(_rows(decoded(path.read_bytes()), known))
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "is no CSV in UTF-8"
        raise InputError(f"{path}: cannot be read ({reason}); save it as CSV in UTF-8") from None


def _rows(text: str, known: str) -> Iterator[Row]:
    first, _, rest = text.partition("\n")
    said = first.strip().strip('"').lower()
    above = said.startswith("sep=")
    if above:
        text = rest
    separator = said[4:5] if above else _separator(first, known)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator or ",", strict=True)
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield Row(reader.line_num + above, stripped)


def _separator(headings: str, known: str) -> str:
    def fit(separator: str) -> tuple[bool, int]:
        cells = [cell.strip().strip('"').strip() for cell in headings.split(separator)]
        return known in cells and len(cells) > 1, len(cells)

    return max(SEPARATORS, key=fit)
