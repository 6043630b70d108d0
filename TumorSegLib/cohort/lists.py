"""What sums a cohort up: tables, the page, and which files each case is of."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from TumorSegLib.cohort.case import Case, Refused
from TumorSegLib.cohort.case_folder import Results
from TumorSegLib.cohort.overview import write_overview
from TumorSegLib.cohort.plan import Plan
from TumorSegLib.cohort.table import rows_of, write_tables
from TumorSegLib.measurement.table import safe_text
from TumorSegLib.support.atomic_write import atomic_write

SOURCES = "sources.csv"


def write_lists(plan: Plan, results: Results) -> dict[str, str]:
    """Write tables and page of all that is known by now; return why cases failed, by name."""
    failures = {one.name: one.reason for one in plan.refused}
    records = []
    for name in plan.names:
        if name in failures:
            continue
        failure = None if name in plan.done else results.failure(name)
        if failure is not None:
            failures[name] = str(failure["reason"])
        elif (record := results.record(name)) is not None:
            records.append(record)
    write_tables(rows_of(records, failures), results.folder)
    write_overview(records, failures, results.folder)
    return failures


def write_sources(found: Iterable[Case | Refused], results: Results) -> None:
    """Write which files each case is of, for its owner's eyes: paths may name the patient."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(("case", "channel", "path", "series"))
    for case in found:
        for channel, place, series in _places(case):
            path = os.path.abspath(place)  # noqa: PTH100 - links stay as they are
            # a whole path begins no formula, and is kept to the letter
            rows.writerow((safe_text(case.name), safe_text(channel), path, safe_text(series)))
    with atomic_write(results.folder / SOURCES) as new:
        flags = os.O_CREAT | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        descriptor = os.open(new, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.getvalue().encode("utf-8-sig", "surrogateescape"))


def _places(case: Case | Refused) -> Iterator[tuple[str, Path, str]]:
    """Yield the channel, path and series of each image; of what was refused, only its folders."""
    if isinstance(case, Refused):
        yield from (("", folder, "") for folder in case.folders)
        return
    for channel, source in case.sources.items():
        yield channel, source.path, source.series or ""
