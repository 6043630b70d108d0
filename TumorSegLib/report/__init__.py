"""Reports of segmentations: a page (HTML), the same as PDF, and one picture."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from TumorSegLib.errors import OutputError
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.report.blocks import Document
from TumorSegLib.report.content import document_of
from TumorSegLib.report.identification import facts_of, said_by
from TumorSegLib.report.overview_picture import report_picture
from TumorSegLib.report.page import page_of
from TumorSegLib.report.subject import Subject, subject_of
from TumorSegLib.support.atomic_write import (
    atomic_write,
    ensure_makeable,
    ensure_writable,
    write_whole,
)
from TumorSegLib.support.extras import pip_install

PICTURE, PAGE, PDF = "report.png", "report.html", "report.pdf"
"""Files of a report in a folder."""

ENDINGS = (".html", ".htm", ".pdf", ".png")
"""Of a report that is one file."""
OTHER_FILE = re.compile(r"\.[A-Za-z]{2,5}")
"""Ends what is meant as a file: report.docx, but not a folder that is called report.v2."""


def report_files(place: str | os.PathLike[str]) -> list[Path]:
    """Return the files that a report at `place` consists of.

    One that ends like a file of a report is that file alone; any other is a folder.
    """
    place = Path(place)
    if place.suffix.lower() in ENDINGS and not place.is_dir():
        return [place]
    return [place / name for name in (PICTURE, PAGE, *([PDF] if has_pdf() else []))]


def has_pdf() -> bool:
    """Tell whether PDFs can be written."""
    return find_spec("reportlab") is not None


def why_no_pdf() -> str:
    """Return what to do where they cannot."""
    return f"a PDF needs reportlab, which is not installed; run {pip_install('report')}"


def check_report_place(place: str | os.PathLike[str]) -> None:
    """Refuse a place at which no report can be written, before any work is done.

    Raises:
        OutputError: a file of another kind is named, or the folder is none, or it or the one above
            cannot be written to, or the PDF that is asked for needs a package that is not there.
    """
    place = Path(place)
    ending = place.suffix.lower()
    if OTHER_FILE.fullmatch(ending) and ending not in ENDINGS and not place.is_dir():
        raise OutputError(f"{place}: expected a folder or a file that ends in {', '.join(ENDINGS)}")
    files = report_files(place)
    if _is_pdf(files[0]) and not has_pdf():
        raise OutputError(f"{place}: {why_no_pdf()}")
    ensure_makeable(files[0].parent)
    if files[0].parent.is_dir():
        ensure_writable(files[0])


def write_report(
    result: SegmentationResult,
    place: str | os.PathLike[str],
    *,
    options: RunOptions | None = None,
    identify: Sequence[str] = (),
    sequences: Sequence[str] = (),
) -> list[Path]:
    """Write a report on a run to a folder, made if it is missing, or as one file.

    Slices look as radiologists read them: anterior up, the patient's right on the left. The first
    label's contours are yellow, further labels' have the model's colours. The PDF is left out of a
    folder where reportlab is not installed.

    Args:
        result: of the run.
        place: folder, or file that ends in `.html`, `.pdf` or `.png`.
        options: with which it was run.
        identify: what to say of patient and image, keys of
            `TumorSegLib.report.identification.ITEMS`; by default nothing.
        sequences: titles of the sequences that the model was given.

    Returns:
        The paths of the files written.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    said = said_by(result.volume) if identify else {}
    subject = subject_of(
        result,
        options,
        identification=facts_of(identify, said, result.volume.name),
        sequences=tuple(sequences),
    )
    return write_files(subject, place, result, named="volume" in identify)


def write_files(
    subject: Subject,
    place: str | os.PathLike[str],
    result: SegmentationResult | None = None,
    *,
    named: bool = False,
) -> list[Path]:
    """Write the report on a subject; see `write_report`.

    Args:
        subject: of the report.
        place: folder or file.
        result: of the run, for the picture, which is left out without.
        named: show the volume's name in the picture.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    files = report_files(place)
    folder = files[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from None
    document, written = None, []
    for path in files:
        if path.suffix.lower() == ".png":
            if result is None:
                continue
            measured = [finding.measurement for finding in subject.findings]
            picture = report_picture(result, named=named, measurements=measured)
            with atomic_write(path) as new:
                picture.save(new)
        else:
            document = document or document_of(subject)
            write_whole(path, _pdf(document) if _is_pdf(path) else page_of(document))
        written.append(path)
    return written


def _is_pdf(path: Path) -> bool:
    return path.suffix.lower() == ".pdf"


def _pdf(document: Document) -> bytes:
    from TumorSegLib.report.pdf_document import pdf_of

    return pdf_of(document)
