"""The report as PDF: on A4, whole tables, text that can be searched, every name shown somehow."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from results import result_of, two_structures
from test_report_page import EVIL, liver_result, specks
from tiny_models import ALTERED, MASS, brain_specification

from TumorSegLib.measurement.table import Column, Table
from TumorSegLib.model.specification import Label
from TumorSegLib.report.blocks import Document, Lines, Rows, Section
from TumorSegLib.report.content import NOTICE, document_of
from TumorSegLib.report.page import page_of
from TumorSegLib.report.subject import subject_of

pypdf = pytest.importorskip("pypdf")
pytest.importorskip("reportlab")

from TumorSegLib.report import pdf_fonts  # noqa: E402
from TumorSegLib.report.pdf_document import pdf_of  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def without_vtk(monkeypatch):
    monkeypatch.setattr("TumorSegLib.report.surface_pictures._has_vtk", lambda: False)


@pytest.fixture
def without_system_fonts(monkeypatch):
    monkeypatch.setattr(pdf_fonts, "_font_files", lambda: iter(()))
    for cached in (pdf_fonts._system_fonts, pdf_fonts._other_font):
        cached.cache_clear()
    yield
    for cached in (pdf_fonts._system_fonts, pdf_fonts._other_font):
        cached.cache_clear()


def written(subject):
    return pypdf.PdfReader(io.BytesIO(pdf_of(document_of(subject))))


def text_of(reader):
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in reader.pages))


def named(name):
    """A subject whose only structure has this name."""
    label = Label(1, name, (255, 0, 0), ALTERED, MASS)
    return subject_of(result_of(two_structures() % 2, brain_specification(labels=(label,))))


def test_it_has_the_content_of_the_page_on_a4():
    result = replace(liver_result(), warnings=("slices are thick",))
    reader = written(subject_of(result, identification=(("Patient's name", "Doe, Jane"),)))
    for page in reader.pages:
        assert (float(page.mediabox.width), float(page.mediabox.height)) == pytest.approx(
            (595.3, 841.9), abs=0.1
        )
        assert NOTICE in re.sub(r"\s+", " ", page.extract_text())
    text = text_of(reader)
    for words in (
        "Doe, Jane",
        "slices are thick",
        "Tumour burden",
        "Liver tumour 1, the largest",
        "0.53 (0.40 to 0.66)",
        "CC BY-NC-ND 4.0",
        "Reviewed by",
    ):
        assert words in text
    pictures = page_of(document_of(subject_of(result))).count("<img ")
    assert sum(len(page.images) for page in reader.pages) == pictures


def test_nothing_identifies_unless_asked_for():
    result = replace(liver_result(name="DOE_JANE_1970"), warnings=("DOE_JANE_1970: thick",))
    reader = written(subject_of(result))
    assert "DOE" not in text_of(reader)
    assert "DOE" not in str(reader.metadata)
    assert reader.metadata.title == "Segmentation report"
    assert not reader.metadata.author


def test_a_table_goes_on_with_its_headings_and_rows_are_whole():
    table = Table(
        (Column("Lesion"), Column("Volume", "ml")), tuple((f"L{n}", n) for n in range(150))
    )
    section = Section("Measurements", (Rows(table, note="and 2 more"),))
    reader = pypdf.PdfReader(io.BytesIO(pdf_of(Document("Report", "", "", (section,), ""))))
    pages = [page.extract_text() for page in reader.pages]
    assert len(pages) > 2
    assert all("Volume (ml)" in page for page in pages)
    rows = [re.findall(r"L(\d+)\s+(\d+)", page) for page in pages]
    assert [int(number) for page in rows for number, _ in page] == list(range(150))
    assert all(name == value for page in rows for name, value in page)


@pytest.mark.parametrize("lines_before", range(30, 66, 4))
def test_a_section_begins_on_the_page_of_its_first_pictures(lines_before):
    document = document_of(subject_of(liver_result()))
    slices = next(section for section in document.sections if section.title == "Slices")
    before = Section("Findings", tuple(Lines(("a finding",)) for _ in range(lines_before)))
    reader = pypdf.PdfReader(io.BytesIO(pdf_of(replace(document, sections=(before, slices)))))
    (begun,) = [page for page in reader.pages if "Slices" in page.extract_text()]
    assert "The patient's right" in begun.extract_text()
    assert len(begun.images) > 0


def test_many_lesions_fit():
    assert "and 370 more" in text_of(written(subject_of(liver_result(specks()))))


def test_patches_of_colour_are_not_copied_with_the_text():
    assert re.search(r"\(HU\)\s+Liver\s+[\d.]+\s", text_of(written(subject_of(liver_result()))))


@pytest.mark.parametrize("name", [EVIL, "<b>bold</b>", "&amp; <font name='no'>", "</para>"])
def test_names_are_no_markup(name):
    assert re.sub(r"\s+", "", name) in re.sub(r"\s+", "", text_of(written(named(name))))


def test_western_letters_are_embedded():
    reader = written(named("Läsion µ ½ Å"))
    assert "Läsion µ ½ Å" in text_of(reader)
    fonts = {}
    for page in reader.pages:
        fonts |= {one["/BaseFont"]: one for one in map(_resolved, _fonts(page))}
    embedded = [name for name, one in fonts.items() if "/FontFile2" in _descriptor(one)]
    assert any("Vera" in name for name in embedded)


def test_chinese_is_set_in_a_font_that_readers_bring(without_system_fonts):
    reader = written(named("肝转移灶"))
    names = {one["/BaseFont"] for page in reader.pages for one in map(_resolved, _fonts(page))}
    assert any("STSong" in name for name in names)
    assert "are boxes here" not in text_of(reader)


def test_letters_without_a_font_are_seen_to_be_missing(without_system_fonts):
    text = text_of(written(named("печень ok")))
    assert "?????? ok" in text
    assert "are boxes here" in text or "are shown as" in text


def test_long_words_and_many_names_do_not_stop_it():
    assert "x" * 20 in text_of(written(named("x" * 3000)))


def test_a_damaged_font_of_the_system_is_passed_over(without_system_fonts, monkeypatch, tmp_path):
    damaged = tmp_path / "DejaVuSans.ttf"
    damaged.write_bytes(b"no font")
    monkeypatch.setattr(pdf_fonts, "_font_files", lambda: iter([damaged]))
    assert written(named("печень")).pages


def _fonts(page):
    return page["/Resources"]["/Font"].values()


def _resolved(found):
    return found.get_object()


def _descriptor(font):
    holder = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
    return _resolved(holder.get("/FontDescriptor", pypdf.generic.DictionaryObject()))
