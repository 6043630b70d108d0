"""Cases that a table names: CSV or Parquet, a row a case, a column a channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from TumorSegLib.cohort.case import FIRST, Case, Refused, Source
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.spreadsheet import Row, read_rows
from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.reading.file_path import readable
from TumorSegLib.reading.source_files import folder_and_series, source_files
from TumorSegLib.support.extras import pip_install

ENDINGS = (".csv", ".tsv", ".parquet")
CASE, MODEL, VOLUME = "case", "model", "volume"
"""Columns that are no channel; `volume` is the image to segment, whatever the model calls it."""


def read_manifest(path: Path, models: Models) -> Iterator[Case | Refused]:
    """Yield the cases of a manifest; a row that cannot be used is refused, not the others.

    Args:
        path: of the table; files that it names lie beside it or are absolute.
        models: of the run.

    Raises:
        InputError: it cannot be read, has no column `case`, or none for an image.
    """
    headings, *rows = _parquet(path) if path.name.lower().endswith(".parquet") else _csv(path)
    if not rows:
        raise InputError(f"{path}: has no rows, expected one a case below a line of headings")
    columns = [name for name in headings.cells if name]
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise InputError(f"{path}: has several columns {', '.join(twice)}, expected one of each")
    channels = [name for name in columns if name not in (CASE, MODEL)]
    if CASE not in columns or not channels:
        raise InputError(
            f"{path}: found the columns {', '.join(columns) or 'none'}; expected {CASE}, perhaps"
            f" {MODEL}, and {VOLUME} or the model's channels, such as flair"
        )
    seen: set[str] = set()
    for row in rows:
        named = dict(zip(headings.cells, row.cells, strict=False))
        name = named.get(CASE, "") or f"line {row.line}"
        if name in seen:
            yield Refused(name, f"line {row.line}: the case is there twice")
            continue
        seen.add(name)
        try:
            _check_width(row, headings)
            yield _case(name, named, channels, path.parent, models)
        except TumorSegError as error:
            yield Refused(name, f"line {row.line}: {error}")


def _check_width(row: Row, headings: Row) -> None:
    """Refuse rows with more than headings tell of, as of a path with commas that is not quoted.

    Raises:
        InputError: a cell lies beyond the last heading.
    """
    if beyond := [cell for cell in row.cells[len(headings.cells) :] if cell]:
        raise InputError(
            f"has {beyond[0]} beyond the last heading; what holds the separator has to be quoted"
        )


def _case(
    name: str, row: Mapping[str, str], channels: list[str], folder: Path, models: Models
) -> Case:
    """Return the case of a row.

    Raises:
        InputError: it names no image, or one that is not there or that the model does not take.
        ModelError: there is no such model.
    """
    given = {channel: row[channel] for channel in channels if row.get(channel)}
    model = row.get(MODEL) or None
    bundle = models.catalogue.find(model) if model else models.named
    if bundle is not None and model is not None and model != bundle.id:
        model = str(bundle.folder.absolute())
    if bundle is not None and bundle.specification.task != "segmentation":
        raise InputError(f"{bundle.id} detects, expected a model that segments")
    sources = {
        FIRST if channel == VOLUME else channel: _source(named, folder)
        for channel, named in given.items()
    }
    if not sources:
        raise InputError(f"names no image, expected one in {' or '.join(channels)}")
    if FIRST in sources:
        sources = {FIRST: sources.pop(FIRST), **sources}
    bundle = bundle or (models.by_modality.get("MR") if set(sources) - {FIRST} else None)
    if bundle is not None:
        known = [channel.name for channel in bundle.specification.input.channels]
        if unknown := sorted(set(sources) - {FIRST, *known}):
            raise InputError(f"{bundle.id} takes {', '.join(known)}, not {', '.join(unknown)}")
        if FIRST not in sources and known[0] not in sources:
            raise InputError(f"names no {known[0]}, which {bundle.id} segments")
        if {FIRST, known[0]} <= set(sources):
            raise InputError(f"names {VOLUME} and {known[0]}, which are the same for {bundle.id}")
        sources = {key: sources[key] for key in (FIRST, *known) if key in sources}
    return Case(name, sources, model=model, chosen="as the manifest says")


def _source(named: str, folder: Path) -> Source:
    """Return the image that a cell names.

    Raises:
        InputError: it is not there.
    """
    path, series = folder_and_series(str(folder / named))
    readable(path)
    return Source(path, series, tuple(file for file in source_files(path) if file.is_file()))


def _csv(path: Path) -> list[Row]:
    """Return the rows of a CSV, that of the headings first; that one alone where there is none."""
    return read_rows(path, CASE) or [Row(1, [])]


def _parquet(path: Path) -> list[Row]:
    if find_spec("pyarrow") is None:
        raise InputError(
            f"{path}: Parquet needs pyarrow, which is not installed; run {pip_install('cohort')}"
        )
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            table = file.read()
        columns: list[list[Any]] = [column.to_pylist() for column in table.columns]
    except (OSError, ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__}), no Parquet?") from None
    texts = [["" if value is None else str(value).strip() for value in one] for one in columns]
    rows = enumerate(zip(*texts, strict=True), 2)
    filled = [Row(number, list(cells)) for number, cells in rows if any(cells)]
    return [Row(1, [name.strip() for name in table.column_names]), *filled]
