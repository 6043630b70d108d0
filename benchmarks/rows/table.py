"""Rows as Markdown, and their place in a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from rows.pairs import Row, Series

HEAD = (
    "",
    "ours",
    "seconds",
    "processor seconds",
    "peak memory, MiB",
    "of the convolution rate",
    "beside",
    "seconds",
    "processor seconds",
    "peak memory, MiB",
    "of the convolution rate",
    "times as fast",
    "times less processor time",
)
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
MIB = 1 << 20


def markdown(families: Mapping[str, Sequence[Row]]) -> str:
    """Return one table of all rows, by family; notes and what is left out stand beneath."""
    remarks: list[str] = []
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for title, rows in families.items():
        lines.append(_line([f"**{title}**", *[""] * (len(HEAD) - 1)]))
        lines += [_line(_cells(row, remarks)) for row in rows]
    notes = [f"{number}. {remark}" for number, remark in enumerate(remarks, 1)]
    return "\n".join([*lines, "", *notes] if notes else lines) + "\n"


def replaced(page: str, table: str) -> str:
    """Return a page with `table` in the place of the one that it holds.

    Raises:
        ValueError: the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _cells(row: Row, remarks: list[str]) -> list[str]:
    marks = []
    for remark in (row.note, f"Left out: {row.left_out}." if row.left_out else ""):
        if remark and remark not in remarks:
            remarks.append(remark)
        if remark:
            marks.append(f" ({remarks.index(remark) + 1})")
    ratios = [_spread(row.ratios), _spread(row.processor_ratios)]
    return [row.what + "".join(marks), *_side(row.ours), *_side(row.peer), *ratios]


def _side(series: Series | None) -> list[str]:
    if series is None:
        return [""] * 5
    peak = "" if series.peak_bytes is None else f"{series.peak_bytes / MIB:.0f}"
    shares = f"{median(series.shares):.0%}" if series.shares else ""
    processor = _spread(series.processor_seconds)
    return [series.name, _spread(series.seconds), processor, peak, shares]


def _spread(values: Sequence[float]) -> str:
    """Return the median, and the least and the most of several in brackets."""
    if not values:
        return ""
    if len(values) == 1:
        return digits(values[0])
    return f"{digits(median(values))} ({digits(min(values))}-{digits(max(values))})"


def digits(value: float) -> str:
    """Return a number with three significant digits at most, and no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
