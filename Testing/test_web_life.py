"""The page is closed and opened again: what goes, what stays, and what is asked before."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from waiting import wait_until

pytest.importorskip("trame_slicer", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs playwright")

from web_page import Page, runs, served, shared_blocks

pytestmark = pytest.mark.slow

TWICE = """
() => {
  const fetch = window.ts_fetch;
  window.fetched = 0;
  window.ts_fetch = async (saved, call) => {
    if (!saved) return;
    await fetch(saved, call);
    await fetch(saved, call);
    window.fetched += 1;
  };
}
"""
"""Has a file fetched a second time, as by a copy of the tab."""


def test_a_closed_page_leaves_the_scene_alone(browser, tmp_path):
    with served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.open_phantom()
        page.segment(wait=False)
        page.page.wait_for_function("document.querySelector('#stage')?.innerText.includes('slice')")
        started = session.children
        for pid in started:
            os.kill(pid, signal.SIGSTOP)  # or the run ends before the page is missed
        page.page.close()
        wait_until(lambda: not any(runs(pid) for pid in started))
        assert shared_blocks([session.process.pid, *started]) == []
        again = Page(browser, session)
        again.page.wait_for_selector("#segment")
        assert "the run was cancelled" in again.page.locator("#line").inner_text()
        again.segment()
        measured = again.page.locator(".lesion").count()
        line = again.page.locator("#line").inner_text()
        started = session.children
        again.page.close()
        wait_until(lambda: not any(runs(pid) for pid in started))
        last = Page(browser, session)
        last.page.wait_for_selector("#downloads")
        wait_until(lambda: last.page.locator(".lesion").count() == measured)
        assert last.page.locator("#line").inner_text() == line
        last.page.close()


def test_the_browser_asks_before_unsaved_work_is_left(browser, tmp_path):
    with served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.open_phantom()
        page.segment()
        asked = []

        def stay(dialog):
            asked.append(dialog.type)
            dialog.dismiss()

        page.page.on("dialog", stay)
        with page.page.expect_event("dialog"):
            page.page.evaluate("location.reload()")
        assert asked == ["beforeunload"]
        page.page.evaluate("[window.fetch_it, window.ts_fetch] = [window.ts_fetch, () => {}]")
        page.page.click("#save-segmentation")  # on a page that is gone when the file is made
        page.page.wait_for_function("trame.state.get('ts_saved') && !trame.state.get('ts_saving')")
        assert page.page.evaluate("trame.state.get('ts_unsaved')")
        page.page.evaluate("window.ts_fetch = window.fetch_it")
        page.save("segmentation", tmp_path)  # the page goes on
        page.page.wait_for_function("!trame.state.get('ts_unsaved')")
        for kind in ("labels", "scene"):  # whose writing edits nothing
            page.save(kind, tmp_path)
            assert not page.page.evaluate("trame.state.get('ts_unsaved')")
        page.page.reload()
        page.page.wait_for_selector("#downloads")
        assert len(asked) == 1
        page.page.close()


def test_what_is_made_while_the_page_is_loaded_again_is_fetched_once(browser, tmp_path):
    with served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.page.on("dialog", lambda dialog: dialog.accept())
        page.open_phantom()
        page.segment()
        page.page.evaluate("window.ts_fetch = () => {}")  # as where there is no page
        page.page.click("#save-labels")
        page.page.wait_for_function("trame.state.get('ts_saved') && !trame.state.get('ts_saving')")
        with page.page.expect_download() as download:
            page.page.reload()
        assert download.value.suggested_filename == "phantom flair labels.nii.gz"
        assert Path(download.value.path()).read_bytes()[:2] == b"\x1f\x8b"
        page.page.wait_for_function("!trame.state.get('ts_unsaved')")
        more = []
        page.page.on("download", lambda one: more.append(one.suggested_filename))
        page.page.reload()
        page.page.wait_for_selector("#downloads")
        page.page.evaluate(TWICE)
        page.save("segmentation", tmp_path)
        page.page.wait_for_function("window.fetched === 1")
        page.save("labels", tmp_path)
        assert more == ["phantom flair.seg.nrrd", "phantom flair labels.nii.gz"]
        page.page.close()


def test_what_is_edited_while_a_file_is_made_is_not_saved_with_it():
    import slicer

    from TumorSegWeb.unsaved import SEGMENTS, Unsaved

    scene, state = slicer.vtkMRMLScene(), SimpleNamespace()
    node, other = (scene.AddNode(slicer.vtkMRMLSegmentationNode()) for _ in range(2))
    unsaved = Unsaved(state)
    assert not state.ts_unsaved

    def edit():
        node.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)

    unsaved.edit(node)
    for kind in (*SEGMENTS, "scene"):
        edit()
        assert state.ts_unsaved
        unsaved.saved(unsaved.taken(kind))
        assert not state.ts_unsaved
        edit()
        taken = unsaved.taken(kind)
        edit()
        unsaved.saved(taken)
        assert state.ts_unsaved
        unsaved.saved(unsaved.taken(kind))
    edit()
    unsaved.saved(unsaved.taken("lesions"))
    assert state.ts_unsaved
    taken = unsaved.taken("dicom")
    unsaved.edit(other)  # another volume is chosen meanwhile
    unsaved.made(other)
    unsaved.saved(taken)
    assert state.ts_unsaved
    unsaved.saved(unsaved.taken("dicom"))
    assert not state.ts_unsaved
    unsaved.close()


def test_a_page_whose_session_is_gone_says_so(browser, tmp_path):
    with served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.page.wait_for_selector("#welcome")
        session.end()
        page.page.wait_for_selector("#ended")
        assert "start it again" in page.page.locator("#ended").inner_text()
        page.page.close()
