"""What a user does on the page with files of their own, in one session for most of it."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from waiting import wait_until

from TumorSegLib import cli

pytest.importorskip("trame_slicer", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs playwright")

import SimpleITK as sitk
from web_page import Page, served

from TumorSegLib.image.itk import to_sitk
from TumorSegLib.phantom import brain_phantom

pytestmark = pytest.mark.slow

MAIN_CONTROLS = "header button, .v-navigation-drawer button, #segment, #downloads button, footer"

DROP = """
(files) => {
  const carried = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    carried.items.add(new File([bytes], name));
  }
  return carried;
}
"""

OUT_OF_REACH = """
(selector) => [...document.querySelectorAll(selector)].filter((control) => {
  if (!control.checkVisibility()) return false;
  const place = control.getBoundingClientRect();
  let box = control.parentElement;
  while (box && !/auto|scroll/.test(getComputedStyle(box).overflowY)) box = box.parentElement;
  const scrolls = box && box.scrollHeight > box.clientHeight;
  return place.left < 0 || place.right > innerWidth
    || !scrolls && (place.top < 0 || place.bottom > innerHeight);
}).map((control) => control.outerHTML)
"""
"""Controls that lie beyond the window's sides, or above or below it where nothing scrolls."""

TURN_THE_WHEEL = """
([x, y, turns]) => {
  const place = document.elementFromPoint(x, y);
  let taken = 0;
  place.closest('.remote-controlled-area').addEventListener('wheel', () => { taken += 1; });
  for (let turn = 0; turn < turns; turn += 1)
    place.dispatchEvent(new WheelEvent('wheel',
      {deltaY: 120, clientX: x, clientY: y, bubbles: true, cancelable: true}));
  return taken;
}
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with served(tmp_path_factory.mktemp("session")) as session:
        yield session


@pytest.fixture(scope="module")
def page(browser, session, tmp_path_factory):
    """A page on which three sequences were dropped, and that shows a result."""
    folder = tmp_path_factory.mktemp("case")
    volumes, _labelmap = brain_phantom(shape=(12, 128, 128), spacing=(1.8, 1.8, 10.0))
    paths = [folder / f"case_{name}.nii.gz" for name in volumes]
    for path, volume in zip(paths, volumes.values(), strict=True):
        sitk.WriteImage(to_sitk(volume.voxels, volume.grid), str(path))
    page = Page(browser, session)
    page.page.wait_for_selector("#welcome")
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    page.page.dispatch_event(
        "#welcome", "drop", {"dataTransfer": page.page.evaluate_handle(DROP, files)}
    )
    page.page.wait_for_selector("#segment:not([disabled])")
    page.segment()
    yield page
    page.page.close()


def array_of(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_files_that_are_dropped_are_the_sequences_of_a_case(page):
    text = page.page.locator(".v-navigation-drawer:has(#segment)").inner_text()
    for name in ("case_flair", "case_t1", "case_t1c"):
        assert name in text


def test_the_sensitivity_draws_the_result_anew_and_a_new_result_puts_it_back(page, tmp_path):

    def labels():
        return array_of(page.save("labels", tmp_path))

    first = labels()
    assert first.any()
    thumb = page.page.locator(".v-slider:has(#sensitivity) [role=slider]")
    thumb.focus()
    thumb.press("End")
    wait_until(lambda: (labels() != first).any())
    most = labels()
    assert np.count_nonzero(most) > np.count_nonzero(first)
    page.segment()
    assert thumb.get_attribute("aria-valuenow") == "0"
    np.testing.assert_array_equal(labels(), first)
    page.undo()  # of the result alone: the slider's way back is no step
    wait_until(lambda: np.array_equal(labels(), most))
    page.undo()
    wait_until(lambda: np.array_equal(labels(), first))


def test_the_wheel_does_not_run_ahead_of_the_pictures(page):
    assert page.page.evaluate(TURN_THE_WHEEL, [640, 300, 50]) == 3


def test_the_sides_of_the_slices_have_letters(page):
    texts = page.page.locator(".direction").all_inner_texts()
    found = sorted("".join(texts[first : first + 4]) for first in range(0, len(texts), 4))
    assert found == ["APSI", "RLAP", "RLSI"]


@pytest.mark.parametrize(("size", "least"), [((683, 384), 300), ((400, 800), 150)])
def test_in_a_narrow_window_the_panel_lies_over_the_views(page, size, least):
    width, height = size
    page.page.set_viewport_size({"width": width, "height": height})
    view = page.page.locator(".remote-controlled-area").first
    wait_until(lambda: view.bounding_box()["width"] >= least)
    panel = page.page.locator(".v-navigation-drawer:has(#segment)")
    bar = page.page.get_by_label("Close TumorSeg")
    wait_until(lambda: panel.bounding_box()["width"] <= width - 40)
    wait_until(lambda: bar.bounding_box()["x"] >= panel.bounding_box()["width"])
    bar.click()
    page.page.get_by_label("Open TumorSeg").click()
    bar.wait_for()
    assert view.bounding_box()["width"] >= least
    page.page.set_viewport_size({"width": 1366, "height": 768})
    wait_until(lambda: page.page.evaluate(OUT_OF_REACH, MAIN_CONTROLS) == [])


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1366, 768), (2560, 1440)])
def test_all_controls_are_within_reach(page, size, theme):
    width, height = size
    page.page.set_viewport_size({"width": width, "height": height})
    application = page.page.locator(".v-application")
    if f"v-theme--{theme}" not in application.get_attribute("class"):
        page.page.get_by_label("Light or dark").click()
    page.page.wait_for_selector(f".v-application.v-theme--{theme}")
    assert page.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.page.evaluate(OUT_OF_REACH, MAIN_CONTROLS) == []


def test_a_real_patients_mask_is_the_commands(browser, shared, tmp_path):
    image = shared / "data" / "volumes" / "abdomen_ct_small.nii.gz"
    result = tmp_path / "command.nii.gz"
    assert cli.main(["segment", str(image), "-o", str(result)]) == 0
    expected = array_of(result)
    with served(tmp_path / "session", str(image)) as session:
        page = Page(browser, session)
        page.page.wait_for_selector("#segment:not([disabled])")
        page.segment()
        found = array_of(page.save("labels", tmp_path))
        page.page.close()
    assert expected.any()
    np.testing.assert_array_equal(found, expected)
