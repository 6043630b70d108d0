"""Kills, cancels and closed scenes at every stage of a run: nothing is left, the panel works on."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from bright_models import write_model
from panel_bench import alive, descendants, shared_blocks
from scenes import add_head, dice, segment_mask
from waiting import HANG_SECONDS

STAGES = ("click", "starting", "loading", "middle")


@pytest.fixture
def slow_run(bench):
    """A panel with a volume whose runs take so long that they are always caught in the middle."""
    write_model(bench.models, "tiny", width=16, depth=3)
    bench.open()
    bench.volume, _ = add_head(bench.slicer, shape=(800, 96, 96))
    bench.parameters.volume = bench.volume
    bench.turn()
    bench.files = set(Path(tempfile.gettempdir()).iterdir())
    return bench


def reach(bench, stage):
    """Click and go on until `stage`; return the worker's process id."""
    bench.panel.ui.segmentButton.click()
    if stage == "click":
        bench.turn()
    elif stage == "starting":
        bench.until(lambda: bench.client.pid is not None)
    elif stage == "loading":  # Python runs, PyTorch is being imported
        bench.until(lambda: _maps(bench.client.pid, "libtorch"))
        assert bench.panel.session.status.stage == "starting"
    else:
        bench.until(lambda: bench.panel.session.status.done > 4)
    assert bench.panel.session.busy
    return bench.client.pid


def _maps(pid, library):
    try:
        return library in Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def nothing_left(bench, pid):
    """Check that worker, shared memory, preview and files of a run are gone."""
    bench.until(lambda: not alive(pid) and not shared_blocks())
    assert pid not in descendants()
    names = [n.GetName() for n in bench.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
    assert not [name for name in names if "being segmented" in name]
    new = set(Path(tempfile.gettempdir()).iterdir()) - bench.files
    assert not [path for path in new if "tumorseg" in path.name.lower()]


def works_again(bench):
    """Check that a run on a small volume ends well."""
    volume, mask = add_head(bench.slicer, "small")
    bench.parameters.volume, bench.parameters.target = volume, None
    status = bench.run()
    assert not status.failed, status.line
    found = segment_mask(bench.slicer, bench.parameters.target, volume)
    assert dice(found, mask) > 0.9


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_killed_worker_costs_one_message(slow_run, stage):
    pid = reach(slow_run, stage)
    os.kill(pid, signal.SIGKILL)
    messages = []
    session = slow_run.panel.session
    slow_run.until(lambda: (messages.append(session.status.line), not session.busy)[1])
    assert session.status.failed
    assert "killed" in session.status.line
    assert "\n" not in session.status.line
    assert slow_run.panel.ui.segmentButton.text == "Segment"
    assert not slow_run.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    nothing_left(slow_run, pid)
    works_again(slow_run)
    assert slow_run.client.pid != pid


@pytest.mark.parametrize("stage", STAGES)
def test_cancel_waits_for_nobody(slow_run, stage, monkeypatch):
    if stage == "middle":  # on a busy machine, too, the worker is to say that it has stopped
        monkeypatch.setattr("TumorSegModule.logic.runner.CANCEL_SECONDS", HANG_SECONDS)
    pid = reach(slow_run, stage)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "wait", lambda *_: pytest.fail("waits for the worker"))
        patch.setattr("time.sleep", lambda _: pytest.fail("waits for something"))
        slow_run.panel.ui.segmentButton.click()
    assert not slow_run.panel.session.busy
    assert "Cancelled" in slow_run.panel.session.status.line
    assert not slow_run.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    slow_run.until(lambda: not slow_run.panel.session.pending)
    assert not shared_blocks()
    if stage == "middle":
        assert slow_run.client.pid == pid, "a cancel between slices keeps the model warm"
    works_again(slow_run)


@pytest.mark.parametrize("stage", STAGES)
def test_closing_the_scene_ends_everything(slow_run, stage):
    pid = reach(slow_run, stage)
    slow_run.slicer.mrmlScene.Clear()
    assert not slow_run.panel.session.busy
    if pid is not None:
        nothing_left(slow_run, pid)
    assert not slow_run.panel.ui.segmentButton.enabled
    works_again(slow_run)


def test_closing_the_scene_after_a_run_frees_its_memory(slow_run):
    works_again(slow_run)
    pid = slow_run.client.pid
    slow_run.slicer.mrmlScene.Clear()
    nothing_left(slow_run, pid)


def test_the_volume_may_be_removed_during_a_run(slow_run):
    reach(slow_run, "middle")
    slow_run.slicer.mrmlScene.RemoveNode(slow_run.volume)
    slow_run.until(lambda: not slow_run.panel.session.busy)
    assert "removed" in slow_run.panel.session.status.line
    assert not slow_run.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_the_target_may_be_removed_during_a_run(slow_run):
    target = slow_run.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    slow_run.parameters.target = target
    slow_run.parameters.volume, wanted = add_head(slow_run.slicer, shape=(60, 96, 96))
    slow_run.turn()
    slow_run.one_event_at_a_time()
    reach(slow_run, "middle")
    slow_run.slicer.mrmlScene.RemoveNode(target)
    slow_run.until(lambda: not slow_run.panel.session.busy)
    assert "removed meanwhile" in slow_run.panel.session.status.line
    mask = segment_mask(slow_run.slicer, slow_run.parameters.target, slow_run.parameters.volume)
    assert dice(mask, wanted) > 0.9


def test_reloading_the_module_during_a_run_ends_it(slow_run):
    pid = reach(slow_run, "middle")
    slow_run.widget.cleanup()
    nothing_left(slow_run, pid)
    slow_run.open()
    works_again(slow_run)


def test_a_worker_killed_while_idle_is_no_event(slow_run):
    works_again(slow_run)
    pid = slow_run.client.pid
    os.kill(pid, signal.SIGKILL)
    slow_run.until(lambda: slow_run.client._process.poll() is not None)
    works_again(slow_run)


def test_the_slider_after_the_worker_was_killed(slow_run):
    works_again(slow_run)
    os.kill(slow_run.client.pid, signal.SIGKILL)
    slow_run.panel.ui.sensitivitySlider.value = 50
    slow_run.until(lambda: not slow_run.panel.session.pending)
    assert not slow_run.panel.ui.sensitivitySlider.enabled


def test_an_interpreter_that_is_not_there_gives_a_line(slow_run):
    slow_run.client._python = ["/nowhere/PythonSlicer"]
    status = slow_run.run()
    assert status.failed
    assert "PythonSlicer" in status.line


def test_no_shared_memory_gives_a_line(slow_run, monkeypatch):
    import TumorSegModule.logic.worker_client as module

    def full(size):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(module.SharedBlock, "creating", full)
    status = slow_run.run()
    assert status.failed
    assert "No space left" in status.line
