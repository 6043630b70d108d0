"""Two models on one volume: results side by side in two views, and how far they agree."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import TUMOUR, write_ct_model, write_model
from scenes import HEAD_MATRIX, add_head, dice, segment_mask


@pytest.fixture
def views(host):
    """Layout and slice views, as the application has them."""
    scene = host.mrmlScene
    layout = scene.AddNewNodeByClass("vtkMRMLLayoutNode")
    for arrangement in (layout.SlicerLayoutFourUpView, layout.SlicerLayoutSideBySideView):
        layout.AddLayoutDescription(arrangement, '<layout type="horizontal"/>')
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal")):
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")
        node.UnRegister(None)
        node.SetName(name)
        node.SetLayoutName(name)
        node.SetSingletonTag(name)
        node = scene.AddNode(node)
        node.SetOrientation(orientation)
        composite = scene.CreateNodeByClass("vtkMRMLSliceCompositeNode")
        composite.UnRegister(None)
        composite.SetLayoutName(name)
        composite.SetSingletonTag(name)
        scene.AddNode(composite)
    return host


@pytest.fixture
def ready(views, bench):
    """A panel with a bright model, one that asks for more light, and a head."""
    write_model(bench.models, "bright")
    write_model(bench.models, "brighter", labels=[{**TUMOUR, "threshold": 0.999}])
    bench.open()
    bench.volume, bench.mask = add_head(bench.slicer)
    bench.volume.GetScalarVolumeDisplayNode()
    bench.parameters.volume = bench.volume
    bench.ui = bench.panel.ui
    bench.turn()
    return bench


def compare(bench):
    bench.ui.compareButton.click()
    bench.until(lambda: not bench.panel.compare.running)
    return [node for node, _bundle in bench.panel.compare._results]


def cells(bench):
    table = bench.ui.compareTable
    return [
        [table.item(row, column).text() for column in range(table.columnCount)]
        for row in range(table.rowCount)
    ]


def test_two_results_lie_side_by_side(ready):
    first, second = compare(ready)
    assert "Tiny bright 1" in first.GetName()
    assert "Tiny brighter 1" in second.GetName()
    assert first.GetDisplayNode().GetViewNodeIDs() == ("vtkMRMLSliceNodeRed",)
    assert second.GetDisplayNode().GetViewNodeIDs() == ("vtkMRMLSliceNodeYellow",)
    scene = ready.slicer.mrmlScene
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == layout.SlicerLayoutSideBySideView
    assert scene.GetNodeByID("vtkMRMLSliceNodeYellow").GetOrientation() == "Axial"
    assert ready.parameters.target is None
    assert "Left: Tiny bright 1. Right: Tiny brighter 1." in ready.ui.compareNote.text


def test_dice_and_volumes_are_those_of_the_masks(ready):
    first, second = compare(ready)
    masks = [segment_mask(ready.slicer, node, ready.volume) for node in (first, second)]
    millilitres = [mask.sum() * 5 / 1000 for mask in masks]
    assert 0 < millilitres[1] < millilitres[0]
    (row,) = cells(ready)
    assert row == [
        "Tumour",
        f"{dice(*masks):.3f}",
        f"{millilitres[0]:.1f}",
        f"{millilitres[1]:.1f}",
        f"{millilitres[1] - millilitres[0]:+.1f}",
    ]


def test_the_end_brings_the_views_back(ready):
    other = ready.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.CreateDefaultDisplayNodes()
    first, second = compare(ready)
    assert not other.GetDisplayNode().GetVisibility()
    ready.ui.compareEndButton.click()
    scene = ready.slicer.mrmlScene
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView
    assert scene.GetNodeByID("vtkMRMLSliceNodeYellow").GetOrientation() == "Sagittal"
    assert other.GetDisplayNode().GetVisibility()
    for node in (first, second):
        assert scene.IsNodePresent(node)
        assert not node.GetDisplayNode().GetViewNodeIDs()


def test_a_scene_saved_meanwhile_shows_everything_when_it_is_opened(ready):
    slicer = ready.slicer
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.CreateDefaultDisplayNodes()
    compare(ready)
    path = ready.folder / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path))
    assert not other.GetDisplayNode().GetVisibility()  # the comparison goes on
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    ready.turn(50)
    displays = slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode")
    assert len(displays) >= 3
    for display in displays:
        assert display.GetVisibility()
        assert not display.GetViewNodeIDs()
        assert display.GetAttribute("TumorSeg.BeforeSideBySide") is None


@pytest.mark.parametrize("linked", [False, True])
def test_the_end_brings_background_linking_and_planes_back(ready, linked):
    scene, util = ready.slicer.mrmlScene, ready.slicer.util
    other, _ = add_head(ready.slicer, "Other")
    composites = {n.GetLayoutName(): n for n in util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    red, yellow = composites["Red"], composites["Yellow"]
    for composite, volume in ((red, other), (yellow, None)):
        composite.SetBackgroundVolumeID(volume.GetID() if volume else None)
        composite.SetLinkedControl(linked)
    plane = scene.GetNodeByID("vtkMRMLSliceNodeYellow")
    plane.SetSliceToRASByNTP(0.6, 0, 0.8, 0, 1, 0, 3, 4, 5, 0)  # oblique
    before = util.arrayFromVTKMatrix(plane.GetSliceToRAS())
    compare(ready)
    for composite in (red, yellow):
        assert composite.GetBackgroundVolumeID() == ready.volume.GetID()
        assert composite.GetLinkedControl()
    ready.ui.compareEndButton.click()
    assert red.GetBackgroundVolumeID() == other.GetID()
    assert yellow.GetBackgroundVolumeID() is None
    assert {bool(composite.GetLinkedControl()) for composite in (red, yellow)} == {linked}
    assert np.allclose(util.arrayFromVTKMatrix(plane.GetSliceToRAS()), before)


def test_a_background_that_was_removed_meanwhile_does_not_come_back(ready):
    other, _ = add_head(ready.slicer, "Other")
    composites = ready.slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    for composite in composites:
        composite.SetBackgroundVolumeID(other.GetID())
    compare(ready)
    ready.slicer.mrmlScene.RemoveNode(other)
    ready.ui.compareEndButton.click()
    shown = {composite.GetBackgroundVolumeID() for composite in composites}
    assert shown == {ready.volume.GetID()}


def test_only_different_models_are_compared(ready):
    assert ready.ui.compareButton.enabled
    ready.ui.compareSecondSelector.currentIndex = ready.ui.compareFirstSelector.currentIndex
    assert not ready.ui.compareButton.enabled


def test_a_failure_ends_the_comparison(views, bench):
    write_ct_model(bench.models, "one")
    write_ct_model(bench.models, "two")
    bench.open()
    voxels = np.zeros((4, 64, 64))
    voxels[2] = np.nan
    voxels[3] = 3
    bench.parameters.volume = bench.slicer.util.addVolumeFromArray(voxels, HEAD_MATRIX, "Broken")
    bench.turn()
    bench.panel.ui.compareButton.click()
    bench.until(lambda: not bench.panel.compare.running)
    assert "NaN" in bench.panel.ui.compareNote.text
    assert bench.panel.ui.compareTable.isHidden()


def test_closing_the_scene_ends_the_comparison(ready):
    ready.ui.compareButton.click()
    ready.turn(20)
    ready.slicer.mrmlScene.Clear()
    ready.turn(20)
    assert not ready.panel.compare.running
    assert not ready.panel.session.busy


def test_both_models_get_the_sequences_that_were_picked_by_hand(ready):
    picked, _ = add_head(ready.slicer, "Series 7")
    ready.panel._sequences._rows["t1"].kept.keep(picked)
    started, start = [], ready.panel.session.start
    ready.panel.session.start = lambda options: started.append(options) or start(options)
    compare(ready)
    assert [options.sequences for options in started] == [{"t1": picked}] * 2


def test_the_next_scene_has_the_views_from_before_the_comparison(ready):
    scene = ready.slicer.mrmlScene
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    layout.SetSingletonTag("vtkMRMLLayoutNode")  # it and the views stay
    logic = ready.slicer.vtkMRMLLayoutLogic()  # which brings the last layout back
    logic.SetMRMLScene(scene)
    compare(ready)
    scene.Clear()
    ready.turn()
    arrangement = layout.GetViewArrangement()
    logic.SetMRMLScene(None)
    assert arrangement == layout.SlicerLayoutFourUpView
    assert not ready.ui.compareEndButton.visible


def test_the_slider_begins_amid_for_a_result_of_a_comparison(ready):
    assert not ready.run().failed
    ready.ui.sensitivitySlider.value = 40
    ready.until(lambda: not ready.panel.session.pending)
    _first, second = compare(ready)
    ready.parameters.target = second
    ready.turn()
    assert ready.ui.sensitivitySlider.enabled
    assert ready.ui.sensitivitySlider.value == 0
