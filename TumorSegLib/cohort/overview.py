"""All cases of a cohort on one page, with pictures, to find those to look at first.

The page lies beside the pictures and needs nothing else: no script or style from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from TumorSegLib.cohort.case_folder import REPORT, RESULT, THUMBNAIL, Record
from TumorSegLib.measurement.quantities import shown
from TumorSegLib.report.blocks import printable
from TumorSegLib.support.atomic_write import write_whole
from TumorSegLib.support.page_templates import page_templates, policy_hash

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "index.html"


@dataclass(frozen=True)
class Line:
    """A case on the page; what is not known is `None` and sorted last.

    Attributes:
        name: of the case.
        reason: why it failed; None: it is done.
        picture: address of its thumbnail.
        links: addresses by what they lead to.
        figures: of its segments, a text each.
        volume_ml: of its lesions together, or of all segments where none is a lesion's.
        uncertainty: of its most uncertain slice.
        correction_mm2: area that is expected to need correction.
        warnings: lines.
        model: id.
        chosen: why these images.
    """

    name: str
    reason: str | None = None
    picture: str | None = None
    links: Mapping[str, str] | None = None
    figures: tuple[str, ...] = ()
    volume_ml: float | None = None
    uncertainty: float | None = None
    correction_mm2: float | None = None
    warnings: tuple[str, ...] = ()
    model: str = ""
    chosen: str = ""


def write_overview(records: Iterable[Record], failures: Mapping[str, str], folder: Path) -> Path:
    """Write the page; return its path.

    Args:
        records: of cases that are done.
        failures: reasons by the names of the others.
        folder: of the results.

    Raises:
        OutputError: it cannot be written.
    """
    lines = [_line(record, folder) for record in records]
    lines += [Line(name, reason) for name, reason in failures.items()]
    lines.sort(key=lambda line: (line.reason is None, -(line.uncertainty or 0.0), line.name))
    path = folder / PAGE
    write_whole(path, page_of(lines))
    return path


def page_of(lines: list[Line]) -> str:
    """Return the page. Its policy allows its own script and style and pictures beside it only."""
    pages = page_templates(
        TEMPLATES, lambda value: printable(value) if type(value) is str else value
    )
    pages.filters["figure"] = lambda value: "" if value is None else shown(float(value))
    parts = {name: (TEMPLATES / f"overview.{name}").read_text("utf-8") for name in ("css", "js")}
    return pages.get_template("overview.html").render(
        lines=lines,
        failed=sum(line.reason is not None for line in lines),
        warned=sum(bool(line.warnings) for line in lines),
        **{name: Markup(text) for name, text in parts.items()},  # noqa: S704 - ours
        **{f"{name}_hash": policy_hash(text) for name, text in parts.items()},
    )


def _line(record: Record, folder: Path) -> Line:
    name = record["case"]
    here = f"cases/{quote(name)}"
    links = {"figures": f"{here}/{RESULT}"}
    if (folder / "cases" / name / REPORT / "report.html").is_file():
        links["report"] = f"{here}/{REPORT}/report.html"
    segments: list[dict[str, Any]] = record["segments"]
    counted = [one for one in segments if one["is_lesion"]] or segments
    return Line(
        name,
        picture=f"{here}/{THUMBNAIL}",
        links=links,
        figures=tuple(f"{one['segment']} {shown(one['volume_ml'])} ml" for one in segments),
        volume_ml=sum(one["volume_ml"] for one in counted),
        uncertainty=record["uncertainty"],
        correction_mm2=record["correction_mm2"],
        warnings=tuple(record["warnings"]),
        model=f"{record['model']} {record['model_version']}",
        chosen=record["chosen"],
    )
