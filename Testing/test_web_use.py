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
from dicom_writing import write_slices
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

AFTER_A_PART = """
(then) => {
  const trigger = window.trame.trigger.bind(window.trame);
  window.parts = 0;
  window.trame.trigger = async (name, given) => {
    const ofFiles = given?.some((one) => one?.[0] instanceof File);
    if (ofFiles && window.parts === 1 && then === 'break') throw new Error('broken');
    await trigger(name, given);
    window.parts += ofFiles;
    if (ofFiles && then === 'wait') await new Promise(() => {});
  };
}
"""
"""The second part of an upload is not sent, as on a slow network, or cannot be."""

ADD_INPUT = """
() => {
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', multiple: true, className: 'dropped' });
  document.body.append(input);
}
"""

DROP_ALL = """
() => [...document.querySelectorAll('.dropped')].forEach((input) => {
  const dataTransfer = new DataTransfer();
  [...input.files].forEach((file) => dataTransfer.items.add(file));
  document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, dataTransfer }));
})
"""

OUT_OF_REACH = """
(selector) => [...document.querySelectorAll(selector)].filter((control) => {
  if (!control.checkVisibility()) return false;
  const place = control.getBoundingClientRect();
  let scrolls = false;
  for (let box = control.parentElement; box; box = box.parentElement)
    scrolls ||= /auto|scroll/.test(getComputedStyle(box).overflowY)
      && box.scrollHeight > box.clientHeight;
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


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Files of a series of each of two patients, too large for one part."""
    folder = tmp_path_factory.mktemp("patients")
    voxels = np.arange(2400 * 2400).reshape(2400, 2400).astype(np.int16)
    return [
        write_slices(
            folder / name,
            [voxels, voxels // 2, voxels // 3],
            [(0, 0, 2 * z) for z in range(3)],
            series=f"1.2.{number}",
            SeriesDescription=name,
            PatientID=f"{number}",
        )
        for number, name in enumerate(("Alpha", "Beta"), 1)
    ]


@pytest.fixture
def empty_page(browser, tmp_path):
    with served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.page.wait_for_selector("#welcome")
        yield page
        page.page.close()


def titles(page):
    return [one["title"] for one in page.page.evaluate("trame.state.get('ts_volumes')")]


def open_files(page, paths):
    page.page.locator("header input[type=file]").first.set_input_files(paths)


def test_an_upload_that_its_page_did_not_end_leaves_nothing_to_the_next(empty_page, patients):
    empty_page.page.evaluate(AFTER_A_PART, "wait")
    open_files(empty_page, patients[0])
    empty_page.page.wait_for_function("window.parts === 1")
    empty_page.page.reload()
    open_files(empty_page, patients[1])
    empty_page.page.wait_for_selector("#segment")
    assert titles(empty_page) == ["Beta"]


def test_an_upload_that_breaks_is_not_opened(empty_page, patients):
    empty_page.page.evaluate(AFTER_A_PART, "break")
    open_files(empty_page, patients[0])
    empty_page.page.wait_for_selector("text=The upload broke off (Error: broken)")
    assert titles(empty_page) == []
    empty_page.page.wait_for_selector("header input[type=file]", state="attached")


def test_files_that_are_dropped_at_once_are_opened_one_after_the_other(empty_page, patients):
    for number, paths in enumerate(patients):
        empty_page.page.evaluate(ADD_INPUT)
        empty_page.page.locator(".dropped").nth(number).set_input_files(paths)
    empty_page.page.evaluate(DROP_ALL)
    wait_until(lambda: len(titles(empty_page)) == 2)
    assert sorted(titles(empty_page)) == ["Alpha", "Beta"]


def test_a_folder_that_is_dropped_is_opened_with_all_below_it(empty_page, patients):
    (folder,) = {path.parent.parent for series in patients for path in series}
    devtools = empty_page.page.context.new_cdp_session(empty_page.page)
    for kind in ("dragEnter", "dragOver", "drop"):
        carried = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        place = {"x": 600, "y": 400}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": carried, **place})
    wait_until(lambda: len(titles(empty_page)) == 2 or empty_page.page.locator("#problem").count())
    assert sorted(titles(empty_page)) == ["Alpha", "Beta"]


def test_what_was_assumed_and_what_was_left_out_are_notes(empty_page, tmp_path):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    files = []
    for number, name in enumerate(("Head", "Scout")):
        files += write_slices(
            tmp_path / name,
            voxels[[0, 0, 1, 2]],
            [(0, 0, 2 * z) for z in (0, 0, 1, 2)],
            series=f"1.2.{number}",
            names=[f"{number}{z}.dcm" for z in range(4)],
            SeriesDescription=name,
            ImageType=["X", "Y", "LOCALIZER"] if number else ["ORIGINAL"],
        )
    open_files(empty_page, files)
    note = empty_page.page.locator("#note, .v-snackbar__content").filter(has_text="Head: ")
    note.first.wait_for()
    scout, head = note.first.inner_text().splitlines()[:2]
    assert scout.startswith("Scout: the series is a localizer")
    assert head == "Head: left out a second copy of 1 slice"
    assert titles(empty_page) == ["Head"]


def test_what_is_said_where_no_model_fits_names_what_the_page_has(empty_page, tmp_path):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    places = [(0, 0, 2 * z) for z in range(3)]
    open_files(empty_page, write_slices(tmp_path / "series", voxels, places, Modality="PT"))
    line = empty_page.page.get_by_text("There is no model for PT volumes here")
    assert line.inner_text().endswith("; choose another in the list Model.")


def test_a_long_name_is_shown_to_its_end(empty_page, tmp_path):
    path = tmp_path / f"{'follow_up_of_the_head_' * 3}flair.nii.gz"
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    open_files(empty_page, [path])
    name = empty_page.page.locator(".v-select__selection-text").first
    name.wait_for()
    assert name.inner_text().endswith("_flair")
    assert name.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_a_double_click_does_once_what_it_says(empty_page):
    empty_page.page.get_by_text("Brain phantom").dblclick()
    empty_page.page.wait_for_selector("#segment:not([disabled])")
    empty_page.page.dblclick("#segment")
    empty_page.page.get_by_role("button", name="Accept").click()
    empty_page.page.wait_for_selector("#cancel")
    assert len(titles(empty_page)) == 3


def test_another_patient_is_shown_without_the_last_ones_line(empty_page, patients):
    empty_page.open_phantom()
    empty_page.segment()
    line = lambda: empty_page.page.evaluate("trame.state.get('ts_line')")  # noqa: E731
    assert line().startswith("Segmented in")
    empty_page.page.on("dialog", lambda dialog: dialog.accept())
    open_files(empty_page, patients[0])
    empty_page.page.wait_for_function("trame.state.get('ts_volumes').length === 4")
    wait_until(lambda: not line())


def test_a_button_that_cannot_be_used_says_why(page):
    button = page.page.locator("#save-dicom")
    assert button.is_disabled()
    assert button.get_attribute("title") == "The volume was not opened as DICOM"
    assert button.evaluate("one => getComputedStyle(one).pointerEvents") == "auto"


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
