"""On the page in a browser: doubts, corrections, a report, a case for retraining, the cards."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pytest
from waiting import wait_until

pytest.importorskip("trame_slicer", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs playwright")

import SimpleITK as sitk
from web_page import START, Page, served

pytestmark = pytest.mark.slow

IN_AXIAL_VIEW = (640, 480)
"""Pixels of the window, in the phantom's healthy white matter."""


@pytest.fixture(scope="module")
def drawn(browser, tmp_path_factory):
    """A page on the brain phantom, segmented, with a stroke of the brush through five slices."""
    with served(tmp_path_factory.mktemp("session")) as session:
        page = Page(browser, session)
        page.open_phantom()
        page.segment()
        wait_until(lambda: page.page.locator("#correction").is_visible())
        assert page.page.locator("#correction").inner_text() == "Not corrected so far."
        page.tool("mdi-brush")
        page.page.get_by_label("Open segmentation panel").click()
        page.page.get_by_label("Sphere brush").click()
        page.page.get_by_label("Open TumorSeg").click()
        page.page.wait_for_selector("#correction")
        x, y = IN_AXIAL_VIEW
        page.stroke((x, y), (x + 40, y))
        page.page.wait_for_selector("#restore")
        yield page
        page.page.close()


def saved(page, button, folder):
    with page.page.expect_download() as download:
        page.page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    page.page.wait_for_selector("#saving", state="detached")
    return path


def array_of(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def axial_view(page):
    return page.page.screenshot(clip={"x": 480, "y": 70, "width": 440, "height": 640})


def test_what_the_model_doubted_is_laid_over_the_views_and_taken_off(drawn):
    before = axial_view(drawn)
    switch = drawn.page.locator("#uncertainty")
    switch.check()
    wait_until(lambda: axial_view(drawn) != before)
    switch.uncheck()
    wait_until(lambda: axial_view(drawn) == before)


def test_a_report_tells_of_the_stroke_and_names_nothing_unasked(drawn, tmp_path):
    drawn.page.click("#save-report")
    report = saved(drawn, "#report-html", tmp_path)
    page = report.read_text("utf-8")
    assert report.name == "report.html"
    assert "Corrected by hand" in page
    assert re.search(r"Slices changed: [\d, ]*\b12, 13, 14\b", page)
    assert "phantom flair" not in page
    drawn.page.click("#save-report")
    drawn.page.get_by_label("Volume: phantom flair").check()
    named = saved(drawn, "#report-html", tmp_path)
    assert named.name == "phantom flair.html"
    assert "phantom flair" in named.read_text("utf-8")


def test_a_case_for_retraining_is_what_the_command_exports(drawn, tmp_path, monkeypatch):
    from tumorseg_training.case import reader_options_for
    from tumorseg_training.readers.nnunet import read_nnunet
    from TumorSegLib import cli
    from TumorSegLib.model.catalogue import default_catalogue

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    drawn.page.click("#save-training")
    drawn.page.locator("#training").get_by_label("Case reviewed").check()
    archive = saved(drawn, "#training-zip", tmp_path)
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path)
    (ours,) = (path for path in tmp_path.iterdir() if path.is_dir())

    assert cli.main(["demo", "-o", str(tmp_path / "demo")]) == 0
    channels = [
        f"--channel={name}={tmp_path / 'demo' / f'phantom-{name}.nii.gz'}"
        for name in ("flair", "t1", "t1c")
    ]
    labels = drawn.save("labels", tmp_path)
    theirs = tmp_path / "command" / ours.name
    words = ["export", str(labels), *channels, "--dataset", str(theirs), "--reviewed"]
    assert cli.main(words) == 0

    def kinds(folder):
        return sorted({(path.parent.name, path.suffix) for path in folder.rglob("*.*")})

    assert kinds(ours) == kinds(theirs)
    described = [json.loads((one / "dataset.json").read_text("utf-8")) for one in (ours, theirs)]
    for key in ("channel_names", "labels", "numTraining", "file_ending", "name"):
        assert described[0][key] == described[1][key]
    for kind in ("imagesTr", "labelsTr"):
        pairs = zip(*(sorted((one / kind).iterdir()) for one in (ours, theirs)), strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(array_of(one), array_of(other))
    (record,) = (json.loads(path.read_text("utf-8")) for path in (ours / "cases").iterdir())
    assert record["reviewed"] is True
    assert record["correction"]["slices"] == 5
    model = default_catalogue().default_for("MR").specification
    read = read_nnunet(ours, reader_options_for(model))
    assert len(read.cases) == 1
    assert not read.unusable


def test_the_models_mask_is_brought_back_and_that_undone(drawn, tmp_path):
    drawn_on = array_of(drawn.save("labels", tmp_path))
    drawn.page.click("#restore")
    drawn.page.get_by_text("Tumour, on all slices").click()
    wait_until(lambda: drawn.page.locator("#correction").inner_text() == "Not corrected so far.")
    assert (array_of(drawn.save("labels", tmp_path)) != drawn_on).any()
    drawn.undo()
    drawn.page.wait_for_selector("#restore")
    np.testing.assert_array_equal(array_of(drawn.save("labels", tmp_path)), drawn_on)


def test_a_scene_is_saved_from_one_place_and_as_often_as_one_likes(drawn, tmp_path):
    assert drawn.page.locator("button:has(.mdi-file-download)").count() == 0
    for _again in range(2):
        with zipfile.ZipFile(saved(drawn, "#save-scene", tmp_path)) as scene:
            assert any(name.endswith(".mrml") for name in scene.namelist())


def choose(page, label, title):
    page.page.locator(f".v-select:has(label:text-is('{label}'))").first.click()
    page.page.locator(".v-overlay--active .v-list-item").get_by_text(title, exact=True).click()


def test_a_corrected_segmentation_is_reached_beside_a_new_one(drawn, tmp_path):

    def labels():
        return array_of(drawn.save("labels", tmp_path))

    corrected = labels()
    assert drawn.page.locator("#segmentation").count() == 0
    drawn.page.click("#segment")
    drawn.page.locator("#question").get_by_text("New segmentation", exact=True).click()
    drawn.page.wait_for_selector("#segmentation")
    assert "saved" in drawn.page.locator("#segmentation").get_attribute("title")
    drawn.page.wait_for_selector("#segment")
    assert (labels() != corrected).any()
    choose(drawn, "Segmentation", "phantom flair segmentation")
    wait_until(lambda: np.array_equal(labels(), corrected))
    choose(drawn, "Volume", "phantom t1")
    drawn.page.wait_for_selector("#downloads", state="detached")
    choose(drawn, "Volume", "phantom flair")
    drawn.page.wait_for_selector("#downloads")
    np.testing.assert_array_equal(labels(), corrected)


def test_a_model_is_chosen_by_its_card(drawn):
    page = drawn.page
    page.click("#show-cards")
    page.locator("#cards input").fill("linknet")
    page.wait_for_function("document.querySelectorAll('#cards .card').length === 1")
    page.locator("#cards .card").click()
    page.wait_for_selector("#card >> text=Known failures")
    page.click("#use-model")
    page.wait_for_selector("text=Brain tumour, LinkNet")
    page.wait_for_selector("#cards", state="hidden")


def test_models_that_cannot_be_used_stand_below_the_others(browser, tmp_path, monkeypatch):
    path = tmp_path / "models" / "stroke" / "model.json"
    path.parent.mkdir(parents=True)
    path.write_text("no JSON")
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    with served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.open_phantom()
        page.page.click("#show-cards")
        told = page.page.locator("#cards .unusable")
        told.wait_for()
        assert told.inner_text().startswith(f"Cannot be used\n{path}: not JSON")
        page.page.locator("#cards input").fill("stroke")
        wait_until(lambda: page.page.locator("#cards .card").count() == 0)
        assert told.is_visible()
        page.page.locator("#cards input").fill("linknet")
        told.wait_for(state="detached")
        page.page.close()


BROKEN = START.replace(
    "sys.exit(",
    "import TumorSegWeb.samples as samples;"
    " samples._abdomen.__code__ = (lambda: [][1]).__code__; sys.exit(",
)
"""A page whose second phantom has an error in it."""


def test_an_unexpected_error_is_told_on_the_page_which_goes_on(browser, tmp_path):
    with served(tmp_path / "session", start=BROKEN) as session:
        page = Page(browser, session)
        page.page.get_by_text("Abdomen phantom").click()
        page.page.wait_for_selector("text=IndexError")
        assert "terminal" in page.page.locator(".v-snackbar__content").first.inner_text()
        assert "IndexError" in session.printed
        page.open_phantom()
        page.page.close()
