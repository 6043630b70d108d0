"""A run of a script and the panel beside it: neither is confused by the other."""

from __future__ import annotations

import pytest
from scenes import edit_by_hand
from stepping import voxels


@pytest.fixture
def beside(stepping, scripts, monkeypatch):
    """A panel with FLAIR0 chosen, and scripts beside it."""
    stepping.volume = stepping.add_volume(0)
    stepping.bench.parameters.volume = stepping.volume
    stepping.bench.turn()
    stepping.scripts = scripts
    return stepping


def test_a_run_of_a_script_leaves_the_panel_as_it_is(beside):
    panel = beside.panel
    before = (panel.session.status, panel.ui.segmentButton.text, panel.ui.statusLabel.text)
    states = set()
    beside.scripts.logic.segment(
        beside.volume,
        progress=lambda run: states.add((panel.session.busy, panel.ui.segmentButton.text)),
    )
    beside.bench.turn()
    assert states == {(False, "Segment")}
    assert (panel.session.status, panel.ui.segmentButton.text, panel.ui.statusLabel.text) == before
    assert beside.bench.parameters.target is None
    assert panel.editor.widget.segmentationNode() is None
    assert beside.endings == []


def test_panel_and_script_run_at_the_same_time_each_for_itself(beside):
    other = beside.add_volume(1)
    beside.bench.click()
    beside.until_running()
    node = beside.scripts.logic.segment(other)
    assert beside.session.busy
    assert beside.bench.parameters.target is None
    beside.until_idle()
    (ending,) = beside.endings
    assert ending.done
    assert beside.bench.parameters.target is ending.target is not node
    assert beside.is_right(ending)
    assert (beside.found(node, other) == (voxels(1) > 100)).all()


def test_the_panel_sees_what_a_script_writes_to_its_segmentation(beside):
    target, panel = beside.run().target, beside.panel
    beside.bench.turn(20)
    assert panel.ui.sensitivitySlider.enabled
    area = max(panel.review.strip._strip.areas)
    assert area > 0
    panel.ui.reviewedBox.click()
    assert panel.ui.reviewedBox.checked
    array = beside.slicer.util.arrayFromVolume(beside.volume)
    array[:] = voxels(0) // 100 * 60
    array[0, 0, :16] = range(16)  # as in no label map
    beside.slicer.util.arrayFromVolumeModified(beside.volume)
    beside.scripts.logic.segment(beside.volume, segmentationNode=target)
    beside.bench.turn(20)
    assert not panel.ui.sensitivitySlider.enabled
    beside.bench.until(lambda: not panel.review.busy)
    assert max(panel.review.strip._strip.areas) != area
    assert not panel.ui.reviewedBox.checked
    assert panel.ui.correctionNote.text == "Not corrected so far."


def test_a_run_of_the_panel_on_the_target_of_a_script_is_not_lost(beside):
    target = beside.run().target
    run = beside.scripts.logic.startSegmentation(beside.volume, segmentationNode=target)
    beside.scripts.until(lambda: run.slicesDone)
    edit_by_hand(beside.slicer, target, beside.volume, (slice(0, 1), slice(28, 31), slice(28, 31)))
    node = run.wait()
    assert node is not target
    assert "was edited meanwhile" in run.line
