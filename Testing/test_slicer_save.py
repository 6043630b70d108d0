"""A saved scene has the segments, their codes and the panel's settings when it is opened again."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import write_model
from scenes import add_head, dice, edit_by_hand, segment_mask


@pytest.fixture
def saved(bench):
    """A scene with a result and odd settings, saved and opened again."""
    write_model(bench.models, "tiny")
    write_model(bench.models, "tiny-other")
    bench.open()
    slicer = bench.slicer
    volume, bench.mask = add_head(slicer, "FLAIR é/#1")
    t1, _ = add_head(slicer, "T1")
    parameters = bench.parameters
    parameters.volume = volume
    parameters.model = "tiny-other"
    bench.turn()
    assert not bench.run().failed
    parameters.precision, parameters.flips, parameters.keepModel = "fp32", "off", False
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    parameters.extent, parameters.region = "region", region
    bench.panel.ui.keepModelBox.checked = False
    assert t1 is not None
    path = bench.folder / "scène 1.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path))
    slicer.mrmlScene.Clear()
    assert bench.parameters.volume is None
    assert bench.parameters.precision == "auto"
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    bench.turn(50)
    return bench


def test_segments_and_settings_are_back(saved):
    slicer, parameters = saved.slicer, saved.parameters
    assert parameters.volume.GetName() == "FLAIR é/#1"
    assert parameters.model == "tiny-other"
    assert (parameters.precision, parameters.flips, parameters.keepModel) == ("fp32", "off", False)
    assert parameters.extent == "region"
    assert parameters.region.GetName() == "R"
    target = parameters.target
    assert dice(segment_mask(slicer, target, parameters.volume), saved.mask) > 0.9
    segment = target.GetSegmentation().GetNthSegment(0)
    assert target.GetSegmentation().GetNthSegmentID(0) == "TumorSeg_brain_Tumour"
    assert segment.GetName() == "Tumour"
    import vtk

    entry = vtk.reference("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
    assert "SCT^4147007^Mass" in str(entry)
    ui = saved.panel.ui
    assert ui.volumeSelector.currentNode() is parameters.volume
    assert ui.targetSelector.currentNode() is target
    assert ui.regionSelector.currentNode() is parameters.region
    assert "tiny-other" in ui.modelSummary.text
    assert not ui.keepModelBox.checked
    assert (
        saved.panel.selection.chosen_sequences(saved.panel.selection.bundle)["t1"].GetName() == "T1"
    )


def test_a_scene_that_is_added_leaves_chosen_what_is_worked_on(saved):
    slicer, parameters = saved.slicer, saved.parameters
    january, t1 = parameters.target, parameters.parameterNode.GetNodeReference("channel.t1")
    june, _ = add_head(slicer, "June")
    parameters.volume = june
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "June segmentation")
    target.SetReferenceImageGeometryParameterFromVolumeNode(june)
    parameters.target, parameters.model = target, "tiny"
    saved.turn()
    saved.panel._sequences._rows["t1"].kept.keep(
        january.GetNodeReference("referenceImageGeometryRef")
    )
    picked = saved.panel.selection.channel_node("t1")
    assert picked not in (None, t1)
    assert slicer.mrmlScene.ReadFromMRB(str(saved.folder / "scène 1.mrb"), False)
    saved.turn(50)
    assert saved.parameters is parameters
    assert (parameters.volume, parameters.target) == (june, target)
    assert parameters.model == "tiny"
    assert saved.panel.selection.channel_node("t1") is picked
    assert saved.panel.ui.volumeSelector.currentNode() is june
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 5


def test_unedited_segments_are_replaced_without_a_question(saved):
    saved.parameters.extent = "whole volume"
    target = saved.parameters.target
    assert not saved.run().failed
    assert not saved.asked
    assert saved.parameters.target is target


def test_segments_edited_after_opening_are_asked_about(saved):
    saved.parameters.extent = "whole volume"
    edit_by_hand(saved.slicer, saved.parameters.target, saved.parameters.volume, np.s_[0:2, 40, 40])
    saved.answers = [None]
    saved.click()
    assert saved.asked == [["Tumour"]]
    assert not saved.panel.session.busy


def test_a_run_under_way_saves_no_preview(bench):
    write_model(bench.models, "tiny", width=16, depth=3)
    bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer, shape=(60, 96, 96))
    bench.click()
    bench.until(lambda: bench.panel.session.status.done > 4)
    text = bench.folder / "scene.mrml"
    bench.slicer.mrmlScene.SetURL(str(text))
    bench.slicer.mrmlScene.Commit(str(text))
    assert "being segmented" not in text.read_text()
    assert "FLAIR" in text.read_text()
