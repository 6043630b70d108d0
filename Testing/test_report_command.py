"""`tumorseg segment --report`: which files it writes, what they say, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import refused
from made_up_patient import betrayed, write_patient
from report_reading import read_page
from results import names_in, result_of, two_structures
from tiny_models import brain_specification, ct_specification, write_tiny_bundle

from TumorSegLib import cli
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.report import check_report_place, has_pdf, report_files, write_report
from TumorSegLib.report.identification import ITEMS, chosen_items, readable

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def without_vtk(monkeypatch):
    monkeypatch.setattr("TumorSegLib.report.surface_pictures._has_vtk", lambda: False)


@pytest.fixture
def patient(place):
    """A CT of somebody, as DICOM, and a model for it."""
    write_tiny_bundle(Path("models"), ct_specification(default=True))
    return write_patient(Path("ct"))


def segment(*words):
    return cli.main(["segment", *map(str, words), "-o", "out.seg.nrrd", "--quiet"])


def test_a_folder_gets_page_pdf_and_picture(place, capsys):
    words = ["segment", "flair.nii.gz", "--channel", "t1=t1.nii.gz", "--json"]
    assert cli.main([*words, "-o", "out.seg.nrrd", "--report", "new/folder"]) == 0
    written = json.loads(capsys.readouterr().out)["report"]
    assert sorted(Path(path).name for path in written) == names_in(Path("new/folder"))
    assert {"report.html", "report.png"} <= set(names_in(Path("new/folder")))
    assert ("report.pdf" in names_in(Path("new/folder"))) == has_pdf()
    page = read_page(Path("new/folder/report.html").read_text("utf-8"))
    assert page.facts["Sequences"] == "FLAIR, T1"
    assert page.facts["Model"].startswith("Tiny brain model")


def test_one_file_is_written_if_that_is_named(place):
    assert segment("flair.nii.gz", "--report", "of somebody.HTML") == 0
    assert read_page(Path("of somebody.HTML").read_text("utf-8")).facts
    assert not Path("report.html").exists()


def test_nothing_is_replaced_unless_that_is_asked_for(place, capsys):
    Path("report.html").write_text("mine")
    refused(
        capsys,
        ["segment", "flair.nii.gz", "-o", "out.seg.nrrd", "--report", "report.html"],
        "report.html: is there already",
    )
    Path("folder").mkdir()
    Path("folder/report.html").write_text("mine")
    words = ["segment", "flair.nii.gz", "-o", "out.seg.nrrd", "--report", "folder"]
    refused(capsys, words, "is there already")
    assert cli.main([*words, "--overwrite", "--quiet"]) == 0
    assert Path("folder/report.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_report_names_nobody_unless_asked_to(patient, tmp_path):
    assert segment(patient, "--report", "report", "--overwrite") == 0
    assert betrayed(Path("report")) == {}
    assert (
        segment(patient, "--report", "report", "--overwrite", "--identify", "name, date,birth") == 0
    )
    page = read_page(Path("report/report.html").read_text("utf-8"))
    assert page.facts["Patient's name"] == "Quendelbaum, Ottokarius"
    assert page.facts["Date of the study"] == "2019-08-23"
    assert page.facts["Date of birth"] == "1937-02-11"
    assert "KWH7391842" not in page.text
    assert "Zwetschgenkuchen" not in page.text


def test_a_report_names_none_of_several_volumes(place):
    """Warnings tell what is odd about each, by the names of their files."""
    for sequence in ("FLAIR", "T2"):
        Path("flair.nii.gz").rename(f"QUENDELBAUM_{sequence}.nii.gz")
        shutil.copy(f"QUENDELBAUM_{sequence}.nii.gz", "flair.nii.gz")
    volumes = ("QUENDELBAUM_FLAIR.nii.gz", "--channel", "t1=QUENDELBAUM_T2.nii.gz")
    assert segment(*volumes, "--report", "report") == 0
    assert "its name says T2, expected T1" in Path("report/report.html").read_text("utf-8")
    assert betrayed(Path("report")) == {}


def test_what_an_image_does_not_say_is_not_known(place):
    assert segment("flair.nii.gz", "--report", "x.html", "--identify", "id,volume") == 0
    page = read_page(Path("x.html").read_text("utf-8"))
    assert page.facts["Patient's number"] == "not known"
    assert page.facts["Volume"] == "flair"


def test_unknown_items_are_refused_before_the_run(place, capsys):
    words = ["segment", "flair.nii.gz", "--report", "x.html", "--identify", "name,shoes"]
    refused(capsys, words, "--identify shoes: expected some of name, id")


def test_what_would_be_no_report_is_refused_before_the_run(place, capsys):
    """A folder was made that was called report.docx, and --identify alone said nothing."""
    words = ["segment", "flair.nii.gz", "-o", "out.seg.nrrd"]
    for name in ("report.docx", "report.txt", "report.PNGs", "out.nrrd"):
        refused(capsys, [*words, "--report", name], "expected a folder or a file that ends in .htm")
    refused(capsys, [*words, "--identify", "name"], "add --report")
    Path("my.report").mkdir()
    assert segment("flair.nii.gz", "--report", "my.report") == 0
    assert segment("flair.nii.gz", "--report", "report.v2", "--overwrite") == 0
    assert (names_in(Path("my.report")), Path("report.v2").is_dir()) == (
        ["report.html", *(["report.pdf"] if has_pdf() else []), "report.png"],
        True,
    )


def test_help_lists_all_items(capsys):
    with pytest.raises(SystemExit):
        cli.main(["segment", "--help"])
    said = "".join(capsys.readouterr().out.split())
    assert ",".join(ITEMS) in said


def test_without_reportlab_only_the_pdf_is_missing(place, capsys, monkeypatch):
    monkeypatch.setattr("TumorSegLib.report.has_pdf", lambda: False)
    refused(capsys, ["segment", "flair.nii.gz", "--report", "x.pdf"], "a PDF needs reportlab")
    assert segment("flair.nii.gz", "--report", "folder") == 0
    assert "no PDF of the report: a PDF needs reportlab" in capsys.readouterr().err
    assert names_in(Path("folder")) == ["report.html", "report.png"]


def test_places():
    assert report_files(Path("a/b.pdf")) == [Path("a/b.pdf")]
    assert Path("a.b/report.html") in report_files(Path("a.b"))


def test_places_may_be_strings(tmp_path):
    result = result_of(two_structures() % 2, brain_specification())
    page = tmp_path / "new" / "rep.html"
    check_report_place(str(page.parent))
    assert report_files("a/b.pdf") == [Path("a/b.pdf")]
    assert write_report(result, str(page)) == [page]
    with pytest.raises(OutputError, match="rep.docx: expected a folder or a file"):
        check_report_place("rep.docx")


def test_items_are_chosen_in_their_own_order():
    assert chosen_items("date,name, ") == ("name", "date")
    assert chosen_items("") == ()
    with pytest.raises(InputError):
        chosen_items("Name")


@pytest.mark.parametrize(
    ("keyword", "value", "shown"),
    [
        ("StudyDate", "20240131", "2024-01-31"),
        ("StudyDate", "2024", "2024"),
        ("PatientName", "Doe^Jane^Q^Dr", "Doe, Jane Q"),
        ("PatientName", "Wang^XiaoDong=王^小东", "Wang, XiaoDong / 王, 小东"),
        ("PatientName", "", ""),
        ("PatientID", " 4711 ", "4711"),
    ],
)
def test_values_of_dicom_are_readable(keyword, value, shown):
    assert readable(keyword, value) == shown


def test_python_writes_a_report_alike(tmp_path):
    result = result_of(two_structures() % 2, brain_specification(), name="Doe Jane")
    (path,) = write_report(result, tmp_path / "new" / "one.html")
    assert "Doe Jane" not in path.read_text("utf-8")
    (path,) = write_report(result, tmp_path / "two.html", identify=("volume",))
    assert read_page(path.read_text("utf-8")).facts["Volume"] == "Doe Jane"
