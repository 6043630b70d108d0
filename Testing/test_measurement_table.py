"""Tables as CSV and for the clipboard, whatever segments are called."""

from __future__ import annotations

import csv
import io
import unicodedata

import numpy as np
import pytest
from rich.console import Console

from TumorSegLib.commands.segment import show_derived, show_lesions
from TumorSegLib.errors import OutputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.measurement.derived import DerivedValue
from TumorSegLib.measurement.quantities import shown, shown_mean
from TumorSegLib.measurement.segment import measure_segment
from TumorSegLib.measurement.table import (
    Column,
    Table,
    as_clipboard,
    as_csv,
    lesion_table,
    value_table,
    write_csv,
)

GRID = Grid((4, 10, 12), (1.0, 2.0, 5.0), (-30.0, -20.0, 10.0))
NAMES = [
    "肝臓の腫瘍",
    "<script>alert('x')</script>",
    'a "quoted", name',
    "Überlappung; naïve",
    "two\nlines\tand tabs",
]
FORMULAS = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1",
    "  =1+1",
    "\u00a0=1+1",
    "\uff1d1+1",
    "\x00=1+1",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\udc80=1+1",
    '=HYPERLINK("http://x","y")',
]


def measured(name, count=2):
    mask = np.zeros(GRID.shape, np.bool_)
    for index in range(count):
        mask[1, 1 : 4 + index, 1 + 5 * index : 4 + 5 * index] = True
    voxels = np.full(GRID.shape, -7.25)
    return measure_segment(mask, GRID, name=name, voxels=voxels)


def read(content):
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\n") == content.count(b"\r\n")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_columns_have_units_and_numbers_have_points():
    heading, first, second = read(as_csv(lesion_table([measured("Tumour")])))
    row = dict(zip(heading, first, strict=True))
    assert row["Segment"] == "Tumour"
    assert row["Volume (ml)"] == "0.120"
    assert row["Longest axial diameter (mm)"] == "8.2"
    assert row["Perpendicular diameter (mm)"] == "3.1"  # 3 mm, slanting as 1 to 4
    assert row["Surface area (mm²)"].isdigit()
    assert row["Mean"] == "-7.25"  # a negative number is no formula
    assert row["Centroid L (mm)"] == "-23.0"
    assert row["Slice"] == "2"
    assert row["Certainty"] == ""
    assert row["Cut by the border"] == "no"
    assert second[1] == "2"


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept(name):
    (_, first, _) = read(as_csv(lesion_table([measured(name)])))
    assert first[0] == " ".join(name.split())
    lines = as_clipboard(lesion_table([measured(name)])).splitlines()
    assert len(lines) == 3
    assert {line.count("\t") for line in lines} == {14}
    assert lines[1].startswith(" ".join(name.split()))


@pytest.mark.parametrize("name", FORMULAS)
def test_no_name_is_computed(name):
    for table in (
        lesion_table([measured(name)]),
        value_table([DerivedValue("key", name, 1.5, "ml")]),
        Table((Column(name),), ()),
    ):
        cells = [row[0] for row in read(as_csv(table))]
        lines = as_clipboard(table).splitlines()
        for cell in [*cells, *(line.split("\t")[0] for line in lines)]:
            seen = [letter for letter in cell if unicodedata.category(letter)[0] not in "CZ"]
            assert seen[0] not in "=+-@\uff1d", cell


def test_what_is_small_is_not_shown_as_nothing():
    """A speck of 1.7 mm³ had 0.00 ml, and MRI from 0 to 1 a mean of 0 ± 0."""
    assert [shown(value) for value in (0.00168, 0.0, 0.0123, 12.34, 1534.4, 3)] == [
        *("0.0017", "0.00", "0.01", "12.3", "1534", "3")
    ]
    assert shown_mean(104.6, 20.3) == "105 ± 20"
    assert shown_mean(0.354, 0.021) == "0.35 ± 0.02"
    assert shown_mean(-7.25, None) == "-7.25"
    mask = np.zeros((3, 4, 4), np.bool_)
    mask[1, 1, 1] = True
    speck = measure_segment(mask, Grid((3, 4, 4), (0.7, 0.8, 3.0)), name="s", voxels=mask * 0.354)
    row = read(as_csv(lesion_table([speck])))[1]
    assert (row[2], row[7], row[8]) == ("0.002", "0.354", "0")


def test_empty_tables_have_headings():
    nothing = measured("Tumour", count=0)
    assert len(read(as_csv(lesion_table([nothing])))) == 1


def test_derived_values():
    values = [DerivedValue("a", "Burden", 12.345, "%"), DerivedValue("b", "Ratio", None, "1")]
    assert (
        as_clipboard(value_table(values)) == "Figure\tValue\tUnit\nBurden\t12.345\t%\nRatio\t\t\n"
    )


def test_files_are_whole_or_absent(tmp_path):
    path = tmp_path / "läsionen.csv"
    table = lesion_table([measured(NAMES[0])])
    write_csv(table, str(path))
    assert path.read_bytes() == as_csv(table)
    with pytest.raises(OutputError, match="does not exist"):
        write_csv(table, tmp_path / "none" / "out.csv")
    assert [found.name for found in tmp_path.iterdir()] == ["läsionen.csv"]


def test_the_terminal_shows_lesions_and_values():
    text = io.StringIO()
    console = Console(file=text, width=100, markup=False)
    show_lesions(console, [measured("Tumour")])
    show_derived(console, [DerivedValue("a", "Tumour burden", 2.5, "%")])
    assert "Tumour 1  0.12 ml" in text.getvalue()
    assert "8.2 x 3.1 mm" in text.getvalue()
    assert "Tumour burden  2.50 %" in text.getvalue()
    show_lesions(console, [measured("Nothing", count=0)])
    assert "Nothing" not in text.getvalue()


def test_of_many_lesions_the_terminal_shows_the_largest():
    grid = Grid((1, 60, 60), (1.0, 1.0, 1.0))
    mask = np.zeros(grid.shape, np.bool_)
    mask[0, ::6, ::6] = True
    text = io.StringIO()
    show_lesions(Console(file=text, width=100), [measure_segment(mask, grid, name="Speck")])
    lines = text.getvalue().splitlines()
    assert len(lines) == 22
    assert lines[-1] == "and 80 more"
