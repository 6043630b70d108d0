"""The measurements of a cohort as one table: a row a segment, a row a case that has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from TumorSegLib.cohort.case_folder import Record
from TumorSegLib.cohort.case_record import FIGURES
from TumorSegLib.measurement.table import Cell, Column, Table, write_csv
from TumorSegLib.support.atomic_write import atomic_write

DONE, FAILED = "done", "failed"

OF_CASE = ("case", "state", "reason", "chosen", "modality", "model", "model_version")
OF_SEGMENT = ("segment", "label", "is_lesion", *FIGURES)
OF_RUN = (
    *("slices", "uncertainty", "correction_mm2", "warnings"),
    "device",
    "precision",
    "seconds",
)
COLUMNS = (*OF_CASE, *OF_SEGMENT, *OF_RUN)

WHOLE = ("label", "components", "slices")
NUMBERS = (*FIGURES, "uncertainty", "correction_mm2", "seconds")

Row = dict[str, Cell]


def rows_of(records: Iterable[Record], failures: Mapping[str, str]) -> list[Row]:
    """Return the rows, sorted by case.

    Args:
        records: of cases that are done.
        failures: reasons by the names of the others.
    """
    rows = [row for record in records for row in _rows(record)]
    for name, reason in failures.items():
        rows.append(dict.fromkeys(COLUMNS) | {"case": name, "state": FAILED, "reason": reason})
    return sorted(rows, key=lambda row: (str(row["case"]), row["label"] or 0))


def _rows(record: Record) -> Iterator[Row]:
    whole: Row = dict.fromkeys(COLUMNS)
    whole |= {name: record.get(name) for name in (*OF_CASE, *OF_RUN)}
    whole |= {"state": DONE, "reason": None, "warnings": "; ".join(record["warnings"]) or None}
    for segment in record["segments"]:
        yield whole | {name: segment.get(name) for name in OF_SEGMENT}


def write_tables(rows: list[Row], folder: Path) -> list[Path]:
    """Write the rows as CSV for spreadsheets and as Parquet for programs; return the paths.

    Raises:
        OutputError: a file cannot be written.
    """
    table = Table(
        tuple(Column(name, decimals=None) for name in COLUMNS),
        tuple(tuple(row[name] for name in COLUMNS) for row in rows),
    )
    paths = [folder / "measurements.csv", folder / "measurements.parquet"]
    write_csv(table, paths[0])
    _write_parquet(rows, paths[1])
    return paths


def _write_parquet(rows: list[Row], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types: dict[str, Any] = dict.fromkeys(COLUMNS, pa.string())
    types |= dict.fromkeys(WHOLE, pa.int64()) | {"is_lesion": pa.bool_()}
    types |= {name: pa.float64() for name in NUMBERS if name not in WHOLE}
    schema = pa.schema(list(types.items()))
    with atomic_write(path) as new:
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), new)
