"""`tumorseg web`: the page in a real browser, from a phantom to files."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from http.cookiejar import CookieJar

import numpy as np
import pytest
from waiting import wait_until

from TumorSegLib import cli

pytest.importorskip("trame_slicer", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs playwright")

import SimpleITK as sitk
from PIL import Image
from web_page import Page, runs, served, shared_blocks

pytestmark = pytest.mark.slow

IN_AXIAL_VIEW = (640, 480)
"""Pixels of the window, in the phantom's healthy white matter."""


@pytest.fixture
def session(tmp_path):
    with served(tmp_path / "session") as session:
        yield session


@pytest.fixture
def page(browser, session):
    page = Page(browser, session)
    yield page
    page.page.close()


def status_of(address, headers=None, opener=None):
    request = urllib.request.Request(address, headers=headers or {})
    try:
        with (opener or urllib.request.build_opener()).open(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def array_of(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_only_who_has_the_address_is_let_in(session):
    other = session.address[:-1] + ("0" if session.address[-1] != "0" else "1")
    for refused in ("/", "/index.html", "/ws", "/index.html?secret=wslink-secret", "/assets/"):
        assert status_of(session.root + refused) == 403
    assert status_of(other) == 403
    inside = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    assert status_of(session.address, opener=inside) == 200
    assert status_of(f"{session.root}/index.html", opener=inside) == 200
    elsewhere = {"Origin": "http://127.0.0.1:1"}  # a page of another program on this computer
    assert status_of(f"{session.root}/index.html", elsewhere, inside) == 403


def test_what_is_not_named_is_out_of_reach(session, tmp_path):
    (tmp_path / "secret.txt").write_text("a patient")
    inside = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    status_of(session.address, opener=inside)
    for path in ("/../../secret.txt", "/%2e%2e/%2e%2e/secret.txt", f"/{tmp_path}/secret.txt"):
        assert status_of(session.root + path, opener=inside) in (403, 404)


def test_the_result_is_the_commands_can_be_drawn_on_undone_and_saved(page, tmp_path):
    page.open_phantom()
    page.segment()
    found = array_of(page.save("labels", tmp_path))
    assert cli.main(["demo", "-o", str(tmp_path / "demo")]) == 0
    expected = array_of(tmp_path / "demo" / "segmentation.seg.nrrd")
    assert expected.any()
    np.testing.assert_array_equal(found, expected)

    page.tool("mdi-brush")
    x, y = IN_AXIAL_VIEW
    page.stroke((x, y), (x + 40, y))
    wait_until(lambda: (array_of(page.save("labels", tmp_path)) != expected).any())
    drawn = array_of(page.save("labels", tmp_path)) != expected
    assert np.count_nonzero(drawn.any(axis=(1, 2))) == 1
    segments = array_of(page.save("segmentation", tmp_path))
    assert np.count_nonzero(segments) == np.count_nonzero(expected) + np.count_nonzero(drawn)
    page.undo()
    wait_until(lambda: np.array_equal(array_of(page.save("labels", tmp_path)), expected))
    page.undo()  # the whole result, in one step
    page.page.wait_for_selector("#downloads", state="detached")


def test_a_lesion_is_removed_and_brought_back(page, tmp_path):
    page.open_phantom()
    page.segment()
    page.page.wait_for_selector(".lesion")
    before = page.page.locator(".lesion").count()
    page.page.locator(".lesion .change").first.click()
    wait_until(lambda: page.page.locator(".lesion").count() == before - 1)
    page.undo()
    wait_until(lambda: page.page.locator(".lesion").count() == before)
    rows = page.save("lesions", tmp_path).read_text("utf-8-sig").splitlines()
    assert len(rows) == before + 1


def test_the_way_to_unsure_slices(page):
    page.open_phantom()
    page.segment()
    line = page.page.locator("#review-line")
    first = line.inner_text()
    page.page.get_by_text("Next unsure").click()
    wait_until(lambda: line.inner_text() != first)
    shown = line.inner_text()
    page.page.keyboard.press("n")
    wait_until(lambda: line.inner_text() != shown)


def yellow_pixels(page):
    """How many pixels of the views have the colour of the tumour."""
    views = page.page.screenshot(clip={"x": 480, "y": 70, "width": 880, "height": 670})
    red, _green, blue = np.moveaxis(np.asarray(Image.open(io.BytesIO(views)), np.int16), -1, 0)[:3]
    return int(np.count_nonzero(red - blue > 60))


def test_slices_appear_as_they_are_computed(page):
    page.open_phantom()
    assert yellow_pixels(page) == 0
    page.segment(wait=False)
    wait_until(lambda: yellow_pixels(page) > 100)
    assert page.page.locator("#cancel").is_visible()


def test_a_run_that_is_cancelled_changes_nothing(page):
    page.open_phantom()
    page.segment(wait=False)
    page.page.wait_for_function("document.querySelector('#stage')?.innerText.startsWith('slice')")
    page.page.click("#cancel")
    page.page.wait_for_selector("#segment")
    assert page.page.locator("#line").inner_text() == "Cancelled; nothing was changed."
    assert page.page.locator("#downloads").count() == 0


def test_a_run_goes_on_while_the_page_is_loaded_again(page):
    page.open_phantom()
    page.segment(wait=False)
    page.page.wait_for_selector("#cancel")
    page.page.reload()
    page.page.wait_for_selector("#downloads")
    assert "Segmented in" in page.page.locator("#line").inner_text()
    assert page.page.locator("#review .bar").count() == 24


def test_nothing_is_left_when_a_session_ends(browser, tmp_path):
    with served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.open_phantom()
        page.segment(wait=False)
        page.page.wait_for_selector("#cancel")
        wait_until(lambda: session.children)
        started = [session.process.pid, *session.children]
        session.end()
        wait_until(lambda: not any(runs(pid) for pid in started))
        assert shared_blocks(started) == []
        assert list(session.temporary.iterdir()) == []
        page.page.close()


def test_two_sessions_do_not_see_each_other(browser, session, tmp_path):
    with served(tmp_path / "other") as other:
        token = session.address.partition("token=")[2]
        assert status_of(f"{other.root}/?token={token}") == 403
        pages = [Page(browser, one) for one in (session, other)]
        pages[0].open_phantom()
        pages[1].page.wait_for_selector("#welcome")
        for page in pages:
            page.page.close()


def test_a_file_that_is_named_is_open_and_one_that_is_dropped_is_added(browser, tmp_path):
    assert cli.main(["demo", "-o", str(tmp_path / "demo")]) == 0
    with served(tmp_path / "session", str(tmp_path / "demo" / "phantom-flair.nii.gz")) as session:
        page = Page(browser, session)
        page.page.wait_for_selector("#segment")
        files = page.page.locator("header input[type=file]").first
        files.set_input_files(str(tmp_path / "demo" / "phantom-t1.nii.gz"))
        page.page.wait_for_selector("text=phantom-t1")
        files.set_input_files(str(tmp_path / "demo" / "scene.mrb"))
        page.page.wait_for_selector("#downloads")
        files.set_input_files(str(tmp_path / "demo" / "report" / "report.html"))
        page.page.wait_for_selector("#problem, .v-snackbar__content")
        page.page.close()
