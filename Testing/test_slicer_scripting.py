"""Runs without the panel: from the Python console, a script or another module."""

from __future__ import annotations

import re
import runpy
import sys

import numpy as np
import pytest
from bright_models import write_ct_model, write_model
from panel_bench import ROOT
from scenes import add_head, dice, edit_by_hand, segment_mask
from script_bench import scripts_with
from stepping import voxels

pytestmark = pytest.mark.slow

GUIDE = ROOT / "docs" / "scripting.md"
TURNED = np.array(
    [[0.8, -0.36, 0.48, 12.5], [0.6, 0.48, -0.64, -40], [0, 0.8, 0.6, 7.25], [0, 0, 0, 1]]
)
OBLIQUE = TURNED @ np.diag([1, 1, 2.5, 1])
"""Voxel indices to RAS: axes at right angles, turned against the patient's."""


@pytest.fixture
def real(host, script_models, monkeypatch):
    """`TumorSegLogic` with a model and real worker processes."""
    write_model(script_models, "tiny")
    with scripts_with(host, None, monkeypatch) as scripts:
        yield scripts


def test_the_guide_runs_line_by_line(real, capsys):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 6
    names = {"slicer": real.slicer}
    for block in blocks:
        exec(compile(block, GUIDE.name, "exec"), names)
    printed = capsys.readouterr().out
    assert "model no-such-model: not found" in printed
    assert re.search(r"^Tumour [1-9]\d* voxels$", printed, re.MULTILINE)
    assert "done Segmented in" in printed
    assert names["run"].state == "done"
    assert len(real.clients) == 1
    assert real.client.pid is None


def test_the_script_of_the_guide_segments_a_folder_and_goes_on_after_a_fault(
    real, monkeypatch, tmp_path, capsys
):
    """The stand-in for `loadVolume` raises and `saveNode` returns False, as Slicer's own do."""
    util, ended, pids = real.slicer.util, [], []
    folder, results = tmp_path / "volumes", tmp_path / "results"
    folder.mkdir()
    scans = ("scan.1.NII.GZ", "scan.2.nii.gz", "scan.mha", "scan.nrrd")
    for name in ("a.nrrd", "b.nrrd", "c.nrrd", "d.txt", "e.nrrd", *scans):
        (folder / name).write_bytes(b"")

    def load(path):
        if path.endswith("d.txt"):
            raise RuntimeError(f"Failed to load node from file: {path}")
        node, _ = add_head(real.slicer, "FLAIR")
        if path.endswith("b.nrrd"):
            node.SetAndObserveImageData(None)
        return node

    def save(node, path):
        pids.append(real.client.pid)
        if path.endswith("e.seg.nrrd"):
            return False
        storage = real.slicer.vtkMRMLSegmentationStorageNode()
        real.slicer.mrmlScene.AddNode(storage)
        storage.SetFileName(path)
        return storage.WriteData(node)

    monkeypatch.setattr(util, "loadVolume", load)
    monkeypatch.setattr(util, "saveNode", save)
    monkeypatch.setattr(util, "exit", ended.append, raising=False)
    script = ROOT / "docs" / "examples" / "segment_folder.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(folder), str(results)])
    runpy.run_path(str(script), run_name="__main__")
    assert ended == [3]
    told = capsys.readouterr().err
    assert "b.nrrd: FLAIR: holds no voxels" in told
    assert "d.txt: Failed to load node from file" in told
    assert f"e.nrrd: {results / 'e.seg.nrrd'} cannot be written" in told
    assert sorted(path.name for path in results.iterdir()) == [
        "a.seg.nrrd",
        "c.seg.nrrd",
        "scan.1.seg.nrrd",
        "scan.2.seg.nrrd",
        "scan.nrrd.seg.nrrd",
        "scan.seg.nrrd",
    ]
    assert len(set(pids)) == 1, "each volume had a worker of its own"


def test_the_result_lies_on_the_volumes_own_grid(scripts):
    slicer = scripts.slicer
    volume = slicer.util.addVolumeFromArray(voxels(5), OBLIQUE, "FLAIR oblique")
    turned = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "T")
    turned.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(TURNED))
    volume.SetAndObserveTransformNodeID(turned.GetID())
    node = scripts.logic.segment(volume)
    from TumorSegLib.slicer_io.images import image_array, inside, matrix_of
    from TumorSegLib.slicer_io.nodes import volume_of

    assert node.GetParentTransformNode() is turned
    assert volume_of(node) is volume
    segment = node.GetSegmentation().GetNthSegment(0)
    image = segment.GetRepresentation("Binary labelmap")
    assert (matrix_of(image.GetImageToWorldMatrix) == OBLIQUE).all()
    array, box = image_array(image)
    mask = np.zeros(voxels(5).shape, bool)
    mask[inside(box, (0,) * 6)] = array == segment.GetLabelValue()
    assert dice(mask, voxels(5) > 100) == 1


def test_slicer_stays_alive_while_a_script_waits(scripts):
    import qt

    ticks, timer = [], qt.QTimer()
    timer.setInterval(0)
    timer.timeout.connect(lambda: ticks.append(scripts.names))
    timer.start()
    node = scripts.logic.segment(scripts.add_volume(0))
    timer.stop()
    assert ["FLAIR0 (being segmented)"] in ticks
    assert node.GetName() == "FLAIR0 segmentation"


def test_runs_of_two_scripts_follow_each_other(scripts):
    told, other = [], scripts.kind()
    first = scripts.logic.startSegmentation(scripts.add_volume(0), finished=told.append)
    second = other.startSegmentation(scripts.add_volume(1), finished=told.append)
    assert (first.state, second.state) == ("running", "waiting")
    third = scripts.logic.segment(scripts.add_volume(2))
    assert told == [first, second]
    assert [run.state for run in told] == ["done", "done"]
    assert len(scripts.clients) == 1
    nodes = [first.segmentationNode, second.segmentationNode, third]
    for kind, node in enumerate(nodes):
        volume = scripts.slicer.util.getNode(f"FLAIR{kind}")
        assert (segment_mask(scripts.slicer, node, volume) == (voxels(kind) > 100)).all()


def test_a_script_may_go_on_from_the_end_of_a_run(scripts):
    volume, nodes = scripts.add_volume(1), []
    scripts.logic.startSegmentation(
        scripts.add_volume(0), finished=lambda run: nodes.append(scripts.logic.segment(volume))
    )
    scripts.until(lambda: nodes)
    assert nodes[0].GetName() == "FLAIR1 segmentation"


def test_a_fault_of_a_callback_is_logged_and_costs_no_run(scripts, caplog):
    volume = scripts.add_volume(0)
    run = scripts.logic.startSegmentation(
        volume, finished=lambda run: run.no_such_thing, progress=lambda run: 1 / 0
    )
    scripts.logic.segment(scripts.add_volume(1))
    assert run.state == "done"
    assert "ZeroDivisionError" in caplog.text
    assert "no_such_thing" in caplog.text


def test_progress_tells_slices(scripts):
    counts = []
    scripts.logic.segment(
        scripts.add_volume(0),
        progress=lambda run: counts.append((run.slicesDone, run.slicesTotal)),
    )
    assert counts[-1] == (5, 5)
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("which", ["running", "waiting"])
def test_a_cancelled_run_changes_nothing_and_the_others_go_on(scripts, which):
    from TumorSegModule.logic.ending import Reason
    from TumorSegModule.logic.scripting import SegmentationError

    runs = [scripts.logic.startSegmentation(scripts.add_volume(kind)) for kind in range(3)]
    scripts.until(lambda: runs[0].slicesDone)
    cancelled = runs[0] if which == "running" else runs[1]
    cancelled.cancel()
    assert cancelled.state == "cancelled"
    cancelled.cancel()
    with pytest.raises(SegmentationError, match="Cancelled; nothing was changed") as raised:
        cancelled.wait()
    assert raised.value.reason is Reason.CANCELLED
    for run in runs:
        if run is not cancelled:
            run.wait()
    left = {f"FLAIR{kind} segmentation" for kind, run in enumerate(runs) if run is not cancelled}
    kept = {f"{name} (model's mask)" for name in left}
    assert set(scripts.names) == left | kept


def test_a_worker_that_dies_ends_its_run_and_no_other(scripts):
    from TumorSegModule.logic.scripting import SegmentationError

    first = scripts.logic.startSegmentation(scripts.add_volume(0))
    second = scripts.logic.startSegmentation(scripts.add_volume(1))
    scripts.until(lambda: first.slicesDone)
    scripts.client.kill()
    with pytest.raises(SegmentationError, match="ended unexpectedly"):
        first.wait()
    assert first.state == "failed"
    assert second.wait().GetName() == "FLAIR1 segmentation"


def test_a_volume_that_goes_away_ends_its_run(scripts):
    from TumorSegModule.logic.scripting import SegmentationError

    volumes = [scripts.add_volume(kind) for kind in range(2)]
    runs = [scripts.logic.startSegmentation(volume) for volume in volumes]
    for volume in volumes:
        scripts.slicer.mrmlScene.RemoveNode(volume)
    for run, why in zip(runs, ("volume was removed", "removed from the scene"), strict=True):
        with pytest.raises(SegmentationError, match=why):
            run.wait()


def test_a_closed_scene_ends_all_runs_and_keeps_the_worker(scripts):
    from TumorSegModule.logic.scripting import SegmentationError

    runs = [scripts.logic.startSegmentation(scripts.add_volume(kind)) for kind in range(2)]
    scripts.until(lambda: runs[0].slicesDone)
    scripts.slicer.mrmlScene.Clear()
    assert [run.state for run in runs] == ["failed", "failed"]
    for run in runs:
        with pytest.raises(SegmentationError, match="scene was closed"):
            run.wait()
    scripts.logic.segment(scripts.add_volume(0))
    assert scripts.client.workers == 1


def test_ending_the_worker_cancels_what_waits_and_the_next_run_starts_another(scripts):
    runs = [scripts.logic.startSegmentation(scripts.add_volume(kind)) for kind in range(2)]
    scripts.until(lambda: runs[0].slicesDone)
    scripts.kind().endWorker()
    assert [run.state for run in runs] == ["cancelled", "cancelled"]
    scripts.logic.segment(scripts.add_volume(0))
    assert len(scripts.clients) == 2


def test_edited_segments_are_never_overwritten_unasked(scripts):
    from TumorSegLib.errors import InputError

    slicer, volume = scripts.slicer, scripts.add_volume(0)
    by_hand = (slice(0, 1), slice(28, 31), slice(28, 31))
    node = scripts.logic.segment(volume)
    assert scripts.logic.segment(volume, segmentationNode=node) is node
    edit_by_hand(slicer, node, volume, by_hand)
    with pytest.raises(InputError, match="edited by hand since a model ran: Tumour; pass edited"):
        scripts.logic.segment(volume, segmentationNode=node)
    other = scripts.logic.segment(volume, segmentationNode=node, edited="new segmentation")
    assert other is not node
    assert scripts.logic.segment(volume, segmentationNode=node, edited="add") is node
    assert segment_mask(slicer, node, volume)[by_hand].all()
    assert scripts.logic.segment(volume, segmentationNode=node, edited="replace") is node
    assert not segment_mask(slicer, node, volume)[by_hand].any()


def test_a_run_can_be_limited_to_slices_and_to_a_region(scripts):
    slicer, volume = scripts.slicer, scripts.add_volume(0)
    node = scripts.logic.segment(volume, slices=(1, 3))
    found = segment_mask(slicer, node, volume)
    assert (found[1:3] == (voxels(0)[1:3] > 100)).all()
    assert not found[3:].any()
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    region.SetCenter(6, 6, 10)
    region.SetSize(40, 40, 4)
    found = segment_mask(slicer, scripts.logic.segment(volume, regionNode=region), volume)
    assert found[2].any()
    assert not found[[0, 1, 3, 4]].any()


def test_channels_are_named_and_none_is_taken_unasked(scripts, script_models):
    write_model(script_models, "three")
    flair, t1 = (add_head(scripts.slicer, name)[0] for name in ("FLAIR", "T1"))
    run = scripts.logic.startSegmentation(flair, "three")
    assert run.options.sequences == {"t1": t1}
    run.cancel()
    run = scripts.logic.startSegmentation(flair, "three", channels={})
    assert run.options.sequences == {}
    run.cancel()
    run = scripts.logic.startSegmentation(flair, "three", channels={"t1c": t1})
    assert run.options.sequences == {"t1c": t1}
    run.wait()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"model": "absent"}, "model absent: not found; models here are: body, dim"),
        ({"channels": {"t9": None}}, "model dim: found channels t9, expected some of: none"),
        ({"edited": "maybe"}, "edited=maybe: expected one of: refuse, replace, add"),
        ({"slices": (3, 9)}, "slices 3 to 9: expected first and last [+] 1 within 0 to 5"),
        ({"onlyDetected": True}, "model dim: there is no detector for it"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_line(scripts, script_models, arguments, line):
    from TumorSegLib.errors import TumorSegError

    write_ct_model(script_models, "body")
    volume = scripts.add_volume(0)
    with pytest.raises(TumorSegError, match=line):
        scripts.logic.segment(volume, **arguments)
    assert not scripts.clients
    assert scripts.names == []


def test_nodes_that_are_no_image_are_refused_with_a_line(scripts):
    from TumorSegLib.errors import InputError

    add = scripts.slicer.mrmlScene.AddNewNodeByClass
    for node, line in (
        (None, "found no volume, expected a volume node"),
        (add("vtkMRMLLabelMapVolumeNode", "Map"), "Map: is a label map"),
        (add("vtkMRMLScalarVolumeNode", "Empty"), "Empty: holds no voxels"),
    ):
        with pytest.raises(InputError, match=line):
            scripts.logic.startSegmentation(node)


def test_missing_packages_are_named_and_nothing_is_asked(scripts, monkeypatch):
    from TumorSegLib.errors import TumorSegError
    from TumorSegModule.logic import requirements, script_options

    missing = [requirements.Missing("torch", "torch>=2.4", requirements.ABSENT)]
    monkeypatch.setattr(script_options, "missing_packages", lambda: missing)
    with pytest.raises(TumorSegError, match="needs torch, not installed here"):
        scripts.logic.segment(scripts.add_volume(0))
