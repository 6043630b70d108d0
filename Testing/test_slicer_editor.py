"""The embedded Segment Editor: its keys, its undo, its buttons, and what it logs."""

from __future__ import annotations

import re

import pytest
from bright_models import write_model
from panel_bench import no_vtk_errors
from scenes import add_head, edit_by_hand, segment_mask

VIEW_KEYS = {
    *"ABFGRSTVX", "Shift+V", "[", "]", "{", "}", "+", "-", "=", "_", "Esc", "Return", "Del",
    "Backspace", "Left", "Right", "Up", "Down", "Home", "End", "PgUp", "PgDown", "Ins",
}  # fmt: skip
"""Keys of Slicer's slice and 3-D views, its markups and its Segment Editor effects."""


@pytest.fixture
def segmented(bench):
    """A panel with a result."""
    write_model(bench.models, "tiny")
    bench.open()
    bench.volume, _ = add_head(bench.slicer)
    bench.parameters.volume = bench.volume
    bench.turn()
    assert not bench.run().failed
    return bench


def press(bench, key):
    """Press a key with the focus on the panel."""
    from PySide6 import QtCore, QtGui, QtTest

    bench.root.show()
    bench.root.activateWindow()
    QtTest.QTest.qWaitForWindowActive(bench.root)
    combination = QtGui.QKeySequence(key)[0]
    QtTest.QTest.keyClick(
        bench.root, QtCore.Qt.Key(combination.key()), combination.keyboardModifiers()
    )
    bench.turn()


def test_a_panel_without_segmentation_logs_nothing(bench):
    write_model(bench.models, "tiny")
    bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer)
    bench.turn()
    bench.panel.selection_changed()
    assert not bench.complaints


def test_the_listener_hears_what_vtk_logs(host):
    from segment_editor import qMRMLSegmentEditorWidget

    widget = qMRMLSegmentEditorWidget()
    widget.setMRMLScene(host.mrmlScene)
    volume, _ = add_head(host)
    with pytest.raises(AssertionError, match="SetSourceVolumeNode"), no_vtk_errors():
        widget.setSourceVolumeNode(volume)
    host.mrmlScene.Clear()


def test_there_is_one_button_for_3d(segmented):
    segmented.root.show()
    buttons = segmented.root.findChildren(segmented.slicer.qMRMLSegmentationShow3DButton)
    assert [button for button in buttons if button.visible] == [segmented.panel.ui.show3DButton]


def test_the_panels_keys_are_nobody_elses(segmented):
    from segment_editor import KEYS

    ui = segmented.panel.ui
    ours = [ui.nextUnsureButton.shortcut.toString(), ui.previousUnsureButton.shortcut.toString()]
    assert not set(ours) & (set(KEYS) | VIEW_KEYS)
    for key, button in zip(ours, (ui.nextUnsureButton, ui.previousUnsureButton), strict=True):
        assert f"(key: {key})" in button.toolTip


def test_the_editors_keys_are_those_of_its_source():
    pytest.importorskip("slicer")
    import slicer_source
    from segment_editor import KEYS

    tree = slicer_source.tree()
    if tree is None:
        pytest.skip("needs a source tree of 3D Slicer in TUMORSEG_SLICER_SOURCE")
    (path,) = (tree / "Modules" / "Loadable").rglob("qMRMLSegmentEditorWidget.cxx")
    text = path.read_text().partition("::installKeyboardShortcuts(")[2]
    text = text.partition("::uninstallKeyboardShortcuts(")[0]
    names = {
        "Escape": "Esc", "Slash": "/", "Asterisk": "*", "Comma": ",", "Period": ".",
        "Less": "<", "Greater": ">",
    }  # fmt: skip
    found = {names.get(key, key) for key in re.findall(r"Qt::Key_(\w+)", text)} - {"unknown"}
    digits = {key for key in KEYS if key[-1].isdigit()}
    assert found == set(KEYS) - digits - {"Ctrl+Z", "Ctrl+Y"}


def test_the_keys_go_to_the_unsure_slices(segmented):
    review, ui = segmented.panel.review, segmented.panel.ui
    ui.nextUnsureButton.click()
    first = review.current
    press(segmented, ui.nextUnsureButton.shortcut.toString())
    segmented.until(lambda: review.current != first)  # a key presses the button down for a moment
    press(segmented, ui.previousUnsureButton.shortcut.toString())
    segmented.until(lambda: review.current == first)


def test_the_editors_keys_work_while_the_panel_is_shown(segmented):
    from segment_editor import KEYS

    def installed():
        shortcuts = segmented.root.findChildren(segmented.qt.QShortcut)
        return {shortcut.key.toString() for shortcut in shortcuts}

    assert set(KEYS) <= installed()
    segmented.widget.exit()
    segmented.qt.QCoreApplication.sendPostedEvents(None, segmented.qt.QEvent.DeferredDelete)
    assert not set(KEYS) & installed()
    segmented.widget.enter()
    segmented.widget.enter()
    assert set(KEYS) <= installed()
    segmented.widget.cleanup()  # as a reload does, without exit
    segmented.qt.QCoreApplication.sendPostedEvents(None, segmented.qt.QEvent.DeferredDelete)
    assert not set(KEYS) & installed()


def test_undo_takes_a_result_back_after_ten_strokes(segmented):
    editor, target = segmented.panel.editor, segmented.parameters.target
    before = segment_mask(segmented.slicer, target, segmented.volume).sum()
    segmented.parameters.volume = segmented.volume
    for stroke in range(10):
        editor.save_for_undo()
        box = (slice(0, 1), slice(40, 41), slice(stroke, stroke + 1))
        edit_by_hand(segmented.slicer, target, segmented.volume, box)
    assert segment_mask(segmented.slicer, target, segmented.volume).sum() == before + 10
    for _ in range(11):
        editor.widget.undo()
    assert target.GetSegmentation().GetNumberOfSegments() == 0
