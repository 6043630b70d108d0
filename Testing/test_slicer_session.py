"""A run ends once, with its own volume's result, whatever happens to the scene meanwhile."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from stepping import DIM, STRICT, voxels

from TumorSegLib.worker.protocol import Progress


@pytest.fixture
def three(stepping):
    """FLAIR0, FLAIR1 and FLAIR2 in the queue, the first of them being segmented."""
    stepping.volumes = [stepping.add_volume(kind) for kind in range(3)]
    stepping.panel.ui.queueAddAllButton.click()
    stepping.panel.ui.queueRunButton.click()
    stepping.until_running()
    return stepping


@pytest.fixture
def ready(stepping):
    """A panel with FLAIR0 chosen."""
    stepping.volume = stepping.add_volume(0)
    stepping.bench.parameters.volume = stepping.volume
    stepping.bench.turn()
    return stepping


def remove(stepping, node):
    stepping.slicer.mrmlScene.RemoveNode(node)


def paint(stepping, segmentation, volume):
    """Add a voxel to a segment as the Segment Editor does."""
    util, name = stepping.slicer.util, segmentation.GetSegmentation().GetNthSegmentID(0)
    array = util.arrayFromSegmentBinaryLabelmap(segmentation, name, volume)
    array[0, 30, 30] = 1
    util.updateSegmentBinaryLabelmapFromArray(array, segmentation, name, volume)


def add_transform(stepping, matrix, name="T"):
    node = stepping.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(stepping.slicer.util.vtkMatrixFromArray(matrix))
    return node


def shift(x, y, z):
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def reasons(stepping):
    """How the runs ended, in words; each of those that were started once."""
    assert sorted(ending.number for ending in stepping.endings) == sorted(stepping.started)
    return [ending.reason.value for ending in stepping.endings]


def names(stepping):
    return sorted(node.GetName() for node in stepping.bench.segmentations)


def test_a_volume_deleted_while_it_is_segmented_costs_the_queue_no_other(three):
    remove(three, three.volumes[0])
    three.until_idle()
    assert three.states == {
        "FLAIR0": ("failed", "The volume was removed; the run was stopped."),
        "FLAIR1": ("done", ""),
        "FLAIR2": ("done", ""),
    }
    assert reasons(three) == ["volume removed", "done", "done"]
    assert names(three) == ["FLAIR1 segmentation", "FLAIR2 segmentation"]
    for ending, volume in zip(three.endings[1:], three.volumes[1:], strict=True):
        assert ending.target.GetName() == f"{volume.GetName()} segmentation"
        assert (three.found(ending.target, volume) == three.expected(volume, DIM)).all()
        assert not (three.found(ending.target, volume) & (voxels(0) > 100)).any()


def test_a_volume_deleted_while_it_waits_is_passed_over(three):
    remove(three, three.volumes[1])
    three.until_idle()
    assert [state for state, _line in three.states.values()] == ["done", "failed", "done"]
    assert names(three) == ["FLAIR0 segmentation", "FLAIR2 segmentation"]
    assert all(three.is_right(ending) for ending in three.endings)


def test_a_volume_that_comes_with_the_id_of_a_deleted_one_is_not_segmented_for_it(three):
    name = three.volumes[1].GetID()
    remove(three, three.volumes[1])
    other = three.slicer.mrmlScene.AddNewNodeByClassWithID(  # as an imported scene does
        "vtkMRMLScalarVolumeNode", "Another patient", name
    )
    other.CopyContent(three.volumes[2])
    assert other.GetID() == name
    three.until_idle()
    assert three.states["FLAIR1"] == ("failed", "removed from the scene")
    assert names(three) == ["FLAIR0 segmentation", "FLAIR2 segmentation"]


def test_a_volume_that_loses_its_voxels_while_it_waits_is_passed_over(three):
    three.volumes[1].SetAndObserveImageData(None)
    three.until_idle()
    assert [state for state, _line in three.states.values()] == ["done", "failed", "done"]
    assert "no voxels" in three.states["FLAIR1"][1]


def test_a_volume_deleted_after_its_run_leaves_the_result(three):
    three.until(lambda: len(three.endings) == 1)
    remove(three, three.volumes[0])
    three.until_idle()
    assert [state for state, _line in three.states.values()] == ["done"] * 3
    assert names(three) == [f"FLAIR{kind} segmentation" for kind in range(3)]


def test_the_queue_goes_on_after_a_killed_worker(three):
    three.client.kill()
    three.until_idle()
    assert [state for state, _line in three.states.values()] == ["failed", "done", "done"]
    assert reasons(three) == ["worker ended", "done", "done"]
    assert all(three.is_right(ending) for ending in three.endings[1:])


@pytest.mark.parametrize("when", ["done", "cancelled", "next waits"])
def test_a_worker_that_dies_after_its_last_word_costs_the_next_run_nothing(three, when):
    if when == "done":
        three.client.run_ahead(20)  # all of FLAIR0 is done, nobody has read that
        three.client.kill()
    else:
        three.session.cancel()
        if when == "cancelled":
            three.client.kill()
        three.panel.ui.queueRunButton.click()  # waits until the worker has heard of the cancel
        three.client.kill()
    three.until_idle()
    assert [state for state, _line in three.states.values()] == ["done"] * 3
    assert three.client.workers == 2


def test_cancelling_the_queue_has_its_volume_wait_again(three):
    three.panel.ui.segmentButton.click()
    assert [state for state, _line in three.states.values()] == ["waiting"] * 3
    assert not three.session.busy
    three.panel.ui.queueRunButton.click()
    three.until_idle()
    assert reasons(three) == ["cancelled", "done", "done", "done"]
    assert names(three) == [f"FLAIR{kind} segmentation" for kind in range(3)]


def test_a_queue_keeps_the_settings_that_it_began_with(three):
    three.bench.parameters.model = STRICT
    three.bench.parameters.precision = "bf16"
    three.until_idle()
    assert {options.bundle.id for options in three.started.values()} == {DIM}
    assert {options.run.precision for options in three.started.values()} == {"auto"}
    assert all(three.is_right(ending) for ending in three.endings)


def test_a_queue_leaves_panel_and_editor_as_they_are(ready):
    mine = ready.run().target
    ready.add_volume(1)
    ready.panel.ui.queueAddAllButton.click()
    ready.panel.ui.queueRunButton.click()
    editor = ready.panel.editor.widget
    while ready.session.pending:
        ready.poll()
        assert editor.segmentationNode() is mine
        assert editor.sourceVolumeNode() is ready.volume
    assert ready.bench.parameters.target is mine
    assert len(ready.endings) == 3


def test_the_slider_moves_only_the_segmentation_that_is_shown(ready):
    mine = ready.run().target
    ready.panel.ui.queueAddButton.click()
    ready.panel.ui.queueRunButton.click()
    ready.until_idle()
    of_queue = ready.endings[-1].target
    before = [ready.found(node, ready.volume) for node in (mine, of_queue)]
    slider = ready.panel.ui.sensitivitySlider
    assert not slider.enabled
    slider.value = 100
    ready.until_idle()
    after = [ready.found(node, ready.volume) for node in (mine, of_queue)]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    ready.bench.parameters.target = of_queue
    assert slider.enabled
    slider.value = -100
    ready.until_idle()
    assert ready.found(of_queue, ready.volume).sum() < before[1].sum()


def test_the_slider_is_off_as_soon_as_a_segment_is_edited(ready):
    target = ready.run().target
    slider, note = ready.panel.ui.sensitivitySlider, ready.panel.ui.sensitivityNote
    assert slider.enabled
    paint(ready, target, ready.volume)
    ready.bench.turn(20)
    assert not slider.enabled
    assert not note.isHidden()


def test_the_slider_stays_on_while_it_is_moved(ready):
    ready.run()
    slider, states = ready.panel.ui.sensitivitySlider, []
    for value in (50, -50, 100):
        slider.value = value
        while ready.session.pending:
            ready.poll()
            states.append(slider.enabled)
        ready.bench.turn(20)
        states.append(slider.enabled)
    assert all(states)


def test_an_edit_made_while_the_slider_is_answered_stays(ready):
    target = ready.run().target
    ready.panel.ui.sensitivitySlider.value = 100
    ready.bench.turn()
    assert ready.session.pending
    paint(ready, target, ready.volume)
    edited = ready.found(target, ready.volume)
    ready.until_idle()
    assert (ready.found(target, ready.volume) == edited).all()


def test_moves_of_the_slider_are_one_step_of_undo(ready, monkeypatch):
    ready.run()
    saved, editor = [], ready.session._editor
    save = editor.save_for_undo
    monkeypatch.setattr(editor, "save_for_undo", lambda: (saved.append(1), save()))
    for value in (100, -100):
        ready.panel.ui.sensitivitySlider.value = value
        ready.until_idle()
        assert saved == [1]


def test_a_run_is_starting_until_the_worker_has_begun(ready):
    ready.bench.click()
    assert ready.session.status.stage == "starting"
    ready.until(lambda: ready.session.status.stage != "starting")
    assert ready.session.status.stage == "running"
    ready.until_idle()


def test_a_move_of_the_slider_that_has_no_place_is_told(ready, monkeypatch):
    from TumorSegLib.errors import InputError
    from TumorSegModule.logic.segmentation_run import SegmentationRun

    ready.run()

    def nowhere(run):
        raise InputError("FLAIR0: its transform is not linear")

    monkeypatch.setattr(SegmentationRun, "placement", nowhere)
    ready.panel.ui.sensitivitySlider.value = 50
    ready.until_idle()
    assert ready.session.status.line == "FLAIR0: its transform is not linear"
    assert ready.session.status.failed
    assert not ready.panel.ui.sensitivitySlider.enabled


def test_a_label_map_is_taken_over_before_the_worker_writes_it_again(ready, monkeypatch):
    ready.run()
    session, order = ready.session, []
    send, take = ready.client.send, session.job_thresholded
    monkeypatch.setattr(ready.client, "send", lambda command: (order.append("sent"), send(command)))
    monkeypatch.setattr(
        session, "job_thresholded", lambda job, event: (take(job, event), order.append("taken"))
    )
    for value in (100, 50, -100):
        ready.panel.ui.sensitivitySlider.value = value
    ready.until_idle()
    assert order == ["sent", "taken"] * 2


def test_a_failed_move_of_the_slider_ends_no_run(ready, monkeypatch):
    import TumorSegLib.inference.sensitivity

    def broken(*_arguments, **_options):
        raise RuntimeError("broken")

    monkeypatch.setattr(TumorSegLib.inference.sensitivity, "apply_sensitivity", broken)
    ending = ready.run()
    ready.panel.ui.sensitivitySlider.value = 50
    ready.until_idle()
    assert ready.endings == [ending]
    assert "broken" in ready.session.status.line
    assert not ready.panel.ui.sensitivitySlider.enabled
    assert ready.is_right(ending)


def test_a_refused_start_leaves_the_run_under_way_alone(ready):
    from TumorSegLib.errors import InputError

    ready.bench.click()
    ready.until_running()
    other = ready.add_volume(1)
    with pytest.raises(InputError, match="under way"):
        ready.panel.series().start(other)
    ready.panel.ui.queueAddAllButton.click()
    assert not ready.panel.ui.queueRunButton.enabled
    assert not ready.panel.ui.compareButton.enabled
    ready.panel._queue._run_or_stop()
    ready.panel.compare._start()
    assert "under way" in ready.panel.ui.compareNote.text
    assert ready.session.status.stage == "running"
    ready.until_idle()
    assert [state for state, _line in ready.states.values()] == ["waiting", "waiting"]
    (ending,) = ready.endings
    assert ending.options.volume is ready.volume
    assert ready.is_right(ending)
    assert ready.panel.ui.queueRunButton.enabled
    assert ready.panel.ui.compareButton.enabled


def test_a_start_that_is_refused_leaves_the_last_result_adjustable(ready):
    ready.run()
    empty = ready.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    target, ready.bench.parameters.volume = ready.bench.parameters.target, empty
    ready.panel.segment()
    assert ready.session.status.failed
    ready.bench.parameters.volume = ready.volume
    assert ready.session.can_adjust(target)
    assert len(ready.endings) == 1


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("done", "Segmented in"),
        ("failed", "weights.safetensors"),
        ("cancelled", "Cancelled"),
        ("volume removed", "The volume was removed"),
        ("scene closed", "The scene was closed"),
        ("worker ended", "ended unexpectedly"),
    ],
)
def test_each_run_ends_once_with_its_reason(ready, reason, line):
    if reason == "failed":
        (ready.bench.models / DIM / "weights.safetensors").unlink()
    ready.bench.click()
    if reason not in ("done", "failed"):
        ready.until_running()
    ends = {
        "cancelled": ready.panel.ui.segmentButton.click,
        "volume removed": lambda: remove(ready, ready.volume),
        "scene closed": ready.slicer.mrmlScene.Clear,
        "worker ended": ready.client.kill,
    }
    ends.get(reason, lambda: None)()
    ready.until_idle()
    ready.poll(5)
    assert reasons(ready) == [reason]
    assert ready.endings[0].line.startswith(line) or line in ready.endings[0].line
    assert not ready.session.busy
    assert len(ready.bench.segmentations) == (reason == "done")


def test_a_closed_scene_takes_the_line_on_its_last_run_along(ready):
    ready.run()
    assert "Segmented in" in ready.panel.ui.statusLabel.text
    ready.slicer.mrmlScene.Clear()
    ready.bench.turn()
    assert ready.panel.ui.statusLabel.text == "Load a CT or MRI volume to begin."


def test_a_run_here_in_a_servers_place_that_is_refused_gives_a_line(ready):
    from TumorSegModule.logic.ending import Ending, Reason

    options = ready.panel.questions.options(None)

    def run_here(_line):
        ready.volume.SetAndObserveImageData(None)  # while the server was waited for
        return True

    ready.panel._run_here = run_here
    ready.panel.run_ended(Ending(99, Reason.SERVER, "is away", options))
    assert "holds no voxels" in ready.session.status.line
    assert not ready.session.busy


def test_a_target_removed_during_the_run_is_replaced_by_a_new_one(ready):
    target = ready.run().target
    ready.bench.click()
    ready.until_running()
    remove(ready, target)
    ready.until_idle()
    ending = ready.endings[-1]
    assert "removed meanwhile" in ending.line
    assert ending.target is not target
    assert ready.is_right(ending)


def test_corrections_that_may_be_replaced_are_replaced_where_they_are(ready):
    target = ready.run().target
    paint(ready, target, ready.volume)
    ready.bench.answers = ["replace"]
    ending = ready.run()
    assert ending.target is target
    assert ready.is_right(ending)


@pytest.mark.parametrize("how", ["painted", "undone", "surfaces", "warped"])
def test_a_target_changed_during_the_run_keeps_its_change(ready, how):
    target = ready.run().target
    if how == "undone":
        paint(ready, target, ready.volume)
        ready.panel.editor.save_for_undo()
        target.GetSegmentation().GetNthSegment(0).RemoveTag("TumorSeg.Voxels")
        ready.bench.answers = ["replace"]
    ready.bench.click()
    ready.until_running()
    closed = ready.slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    if how == "surfaces":
        target.CreateClosedSurfaceRepresentation()
        target.GetSegmentation().SetSourceRepresentationName(closed)
    elif how == "warped":
        target.SetAndObserveTransformNodeID(warp(ready).GetID())
    elif how == "undone":
        ready.panel.editor.widget.undo()
        paint(ready, target, ready.volume)
    else:
        paint(ready, target, ready.volume)
    ready.until_idle()
    ending = ready.endings[-1]
    assert ending.target is not target
    assert "new segmentation" in ending.line
    assert ready.is_right(ending)
    if how in ("painted", "undone"):
        assert "edited meanwhile" in ending.line
        assert ready.found(target, ready.volume)[0, 30, 30]
    assert ready.bench.parameters.target is ending.target


def warp(stepping):
    import vtk

    grid = stepping.slicer.vtkOrientedGridTransform()
    field = vtk.vtkImageData()
    field.SetDimensions(3, 3, 3)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    field.GetPointData().GetScalars().Fill(0)  # memory may hold what is no number
    grid.SetDisplacementGridData(field)
    node = stepping.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Warp")
    node.SetAndObserveTransformFromParent(grid)
    return node


@pytest.mark.parametrize("how", ["deleted", "moved", "given"])
def test_a_result_lies_where_its_volume_lies_after_a_transform_changed(ready, how):
    transform = add_transform(ready, shift(30, -20, 10))
    if how != "given":
        ready.volume.SetAndObserveTransformNodeID(transform.GetID())
    ready.bench.click()
    ready.until_running()
    if how == "deleted":
        remove(ready, transform)
    elif how == "moved":
        transform.SetMatrixTransformToParent(
            ready.slicer.util.vtkMatrixFromArray(shift(-5, 0.5, 7.25))
        )
    else:
        ready.volume.SetAndObserveTransformNodeID(transform.GetID())
    ready.until_idle()
    ending = ready.endings[-1]
    assert "moved meanwhile" in ending.line
    assert ready.is_right(ending)


def test_the_slider_follows_a_volume_whose_transform_was_deleted(ready):
    transform = add_transform(ready, shift(30, -20, 10))
    ready.volume.SetAndObserveTransformNodeID(transform.GetID())
    target = ready.run().target
    remove(ready, transform)
    ready.panel.ui.sensitivitySlider.value = 50
    ready.until_idle()
    ready.panel.ui.sensitivitySlider.value = 0
    ready.until_idle()
    assert (ready.found(target, ready.volume) == ready.expected(ready.volume, DIM)).all()


ANOTHER = {
    "voxels": "its voxels were changed while the model ran on it",
    "shape": "its voxels were changed while the model ran on it",
    "spacing": "its spacing or axes were changed while the model ran on it",
    "turned": "its spacing or axes were changed while the model ran on it",
    "warped": "is not linear",
    "no image": "holds no voxels",
}
"""How a volume becomes another one during its run, and what is said of it."""


def test_probabilities_are_those_of_the_last_result_as_long_as_they_are_there(ready):
    session, volume = ready.session, ready.volume
    assert session.probabilities_of(None) is None
    ending = ready.run()
    number, node, maps = session.probabilities_of(ending.target)
    assert (number, node) == (ending.number, volume)
    assert maps.shape == (1, *ready.slicer.util.arrayFromVolume(volume).shape)
    assert ((maps[0] > 127) == ready.expected(volume, DIM)).all()
    other = ready.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert session.probabilities_of(other) is None
    assert session.probabilities_of(None) is None
    remove(ready, volume)
    assert session.probabilities_of(ending.target) is None


def test_probabilities_that_were_freed_are_not_given(ready):
    ending = ready.run()
    ready.session.runner.release()
    assert ready.session.probabilities_of(ending.target) is None


def test_a_result_says_how_long_it_took_and_whether_anything_was_found(ready):
    first = ready.run()
    (seconds,) = re.fullmatch(r"Segmented in (\d+\.\d) s\.", first.line).groups()
    assert float(seconds) < 3600  # not the clock's own count
    assert ready.session.status.line == first.line
    array = ready.slicer.util.arrayFromVolume(ready.volume)
    array[array > 60] = 60
    ready.slicer.util.arrayFromVolumeModified(ready.volume)
    second = ready.run()
    assert re.fullmatch(r"Segmented in \d+\.\d s; nothing was found\..*", second.line, re.DOTALL)


def test_the_time_that_is_left_follows_from_the_pace_since_slices_came(ready, monkeypatch):
    now = 100.0
    clock = SimpleNamespace(perf_counter=lambda: now)
    monkeypatch.setattr("TumorSegModule.logic.session.time", clock)
    ready.bench.click()
    ready.until(lambda: ready.session.status.stage == "running")
    for seconds, done, left in ((6, 1, None), (0, 1, None), (4, 3, 4), (2, 4, 2), (0, 5, 0)):
        now += seconds
        ready.session.job_progressed(None, Progress(1, done, 5, 0, done))
        assert ready.session.status.seconds_left == pytest.approx(left)
    ready.until_idle()


def test_a_line_about_several_runs_leaves_the_rest_of_the_status(ready):
    ready.bench.click()
    ready.until_running()
    before = ready.session.status
    ready.session.tell("2 of 3 volumes")
    assert ready.session.status == replace(before, line="2 of 3 volumes")
    ready.until_idle()


@pytest.mark.parametrize("how", ANOTHER)
def test_nothing_is_written_for_a_volume_that_is_another_by_then(ready, how):
    target = ready.run().target
    before = ready.found(target, ready.volume)
    ready.bench.click()
    ready.until_running()
    util = ready.slicer.util
    if how == "voxels":
        util.updateVolumeFromArray(ready.volume, voxels(7))
    elif how == "shape":
        util.updateVolumeFromArray(ready.volume, voxels(0)[:, :30])
    elif how == "spacing":
        ready.volume.SetSpacing(1, 1, 6)
    elif how == "turned":
        turn = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
        ready.volume.SetAndObserveTransformNodeID(add_transform(ready, turn).GetID())
    elif how == "warped":
        ready.volume.SetAndObserveTransformNodeID(warp(ready).GetID())
    else:
        ready.volume.SetAndObserveImageData(None)
    ready.until_idle()
    ending = ready.endings[-1]
    assert reasons(ready) == ["done", "failed"]
    assert ending.line.startswith("FLAIR0: ")
    assert ANOTHER[how] in ending.line
    assert ready.session.status.failed
    assert len(ready.bench.segmentations) == 1
    if how == "voxels":
        assert (ready.found(target, ready.volume) == before).all()


def test_voxels_that_were_only_touched_are_the_same_volume(ready):
    ready.bench.click()
    ready.until_running()
    ready.slicer.util.arrayFromVolumeModified(ready.volume)
    ready.until_idle()
    assert ready.is_right(ready.endings[-1])


def test_a_switched_model_is_that_of_the_next_run(ready):
    ready.bench.click()
    ready.until_running()
    ready.bench.parameters.model = STRICT
    ready.bench.parameters.volume = ready.add_volume(1)
    ready.until_idle()
    first = ready.endings[-1]
    assert ready.bench.parameters.target is None  # nor is it the target for the volume shown
    assert ready.panel.editor.widget.segmentationNode() is None
    assert first.options.volume is ready.volume
    assert first.options.bundle.id == DIM
    assert ready.is_right(first)
    assert ready.is_right(ready.run())
    assert ready.endings[-1].options.bundle.id == STRICT
    assert ready.endings[-1].target is not first.target


@pytest.mark.parametrize("before", ["nothing", "undo", "removal"])
def test_another_volume_does_not_go_into_the_segmentation_of_the_last_one(ready, before):
    target = ready.run().target
    if before == "undo":
        ready.panel.editor.widget.undo()
    found = ready.found(target, ready.volume)
    if before == "removal":
        remove(ready, ready.volume)
    ready.bench.parameters.volume = other = ready.add_volume(1)
    assert ready.bench.parameters.target is None
    ending = ready.run()
    assert ending.target.GetName() == "FLAIR1 segmentation"
    assert ready.is_right(ending)
    assert (ready.found(target, other) == found).all()  # both volumes have one grid
    ready.bench.parameters.target = target
    assert ready.run().target is target  # for that was chosen for this volume
    role = target.GetReferenceImageGeometryReferenceRole()
    assert target.GetNodeReference(role) is other, "an export pairs them by it"


def test_a_result_that_cannot_be_written_ends_its_run(ready, monkeypatch):
    import TumorSegModule.logic.session as module

    def full(*_arguments, **_options):
        raise MemoryError("no memory")

    monkeypatch.setattr(module, "write_segments", full)
    ready.panel.ui.queueAddButton.click()
    ready.panel.ui.queueRunButton.click()
    ready.until_idle()
    assert reasons(ready) == ["failed"]
    assert ready.states["FLAIR0"] == ("failed", "The result could not be written: no memory")


def test_a_comparison_takes_only_its_own_runs(ready):
    ready.panel.ui.compareButton.click()
    ready.until_running()
    ready.until(lambda: len(ready.endings) == 1)
    ready.until_running()
    assert ready.panel.compare.running
    remove(ready, ready.volume)
    ready.until_idle()
    assert not ready.panel.compare.running
    assert "removed" in ready.panel.ui.compareNote.text
    ready.bench.parameters.volume = other = ready.add_volume(1)
    ending = ready.run()
    assert not ready.panel.compare.running
    assert ending.target.GetName() == "FLAIR1 segmentation"
    assert ready.bench.parameters.target is ending.target
    assert ready.is_right(ending)
    ready.panel.ui.compareButton.click()
    ready.until_idle()
    left, right = (node for node, _bundle in ready.panel.compare._results)
    assert (ready.found(left, other) == ready.expected(other, DIM)).all()
    assert (ready.found(right, other) == ready.expected(other, STRICT)).all()
