"""Which slices to look at, what was corrected, and the model's mask back, on the stand-in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bright_models import write_ct_model, write_model
from scenes import HEAD_MATRIX, add_body, add_head, edit_by_hand, head, segment_mask

BY_HAND = (slice(0, 2), slice(40, 44), slice(40, 44))


@pytest.fixture
def reviewed(bench):
    """A panel with a result under review, and a slice view."""
    write_model(bench.models, "tiny")
    bench.open()
    bench.volume, bench.mask = add_head(bench.slicer)
    bench.parameters.volume = bench.volume
    look_at(bench, bench.volume)
    assert not bench.run().failed
    settle(bench)
    return bench


def look_at(bench, volume):
    import pictures

    pictures.picture_of_slice(volume, bench.folder / "view.png", offset=0)


def red(bench):
    return bench.slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")


def settle(bench):
    bench.until(lambda: not bench.panel.review.busy)


def attribute(bench, name):
    text = bench.parameters.target.GetAttribute(f"TumorSeg.{name}")
    return json.loads(text) if text else None


def correction(bench):
    settle(bench)
    return attribute(bench, "Correction")


def test_a_run_leaves_figures_of_its_slices(reviewed):
    figures = attribute(reviewed, "Slices")
    assert len(figures["area_mm2"]) == len(figures["correction_mm2"]) == 12
    assert [n for n, area in enumerate(figures["area_mm2"]) if area] == [4, 5, 6, 7]
    assert max(figures["correction_mm2"]) > 0
    assert not reviewed.panel.ui.reviewSection.isHidden()
    assert correction(reviewed) == {"slices": 0, "millilitres": 0.0, "dice": 1.0}
    assert reviewed.panel.ui.correctionNote.text == "Not corrected so far."
    assert not reviewed.panel.ui.restoreButton.enabled


def test_the_unsure_slices_are_shown_one_after_the_other(reviewed):
    review, ui = reviewed.panel.review, reviewed.panel.ui
    corrections = attribute(reviewed, "Slices")["correction_mm2"]
    shown = []
    for _ in range(2):
        ui.nextUnsureButton.click()
        shown.append(review.current)
        assert red(reviewed).GetSliceOffset() == pytest.approx(5.0 * shown[-1])
    assert corrections[shown[0]] == max(corrections)
    assert corrections[shown[1]] == sorted(corrections)[-2]
    ui.previousUnsureButton.click()
    assert review.current == shown[0]
    assert "Slice" in ui.reviewNote.text


def test_a_click_on_the_strip_goes_to_the_slice_and_looking_is_noted(reviewed):
    from PySide6 import QtCore, QtGui

    review = reviewed.panel.review
    reviewed.root.resize(420, 900)
    reviewed.root.show()
    reviewed.turn(20)
    strip = review.strip
    x = (2 + 0.5) * strip.width / 12
    press = QtGui.QMouseEvent(
        QtCore.QEvent.Type.MouseButtonPress,
        QtCore.QPointF(x, 20),
        QtCore.QPointF(x, 20),
        QtCore.Qt.MouseButton.LeftButton,
        QtCore.Qt.MouseButton.LeftButton,
        QtCore.Qt.KeyboardModifier.NoModifier,
    )
    strip.mousePressEvent(press)
    assert review.current == 2
    assert red(reviewed).GetSliceOffset() == pytest.approx(10.0)
    assert 2 not in attribute(reviewed, "Slices")["seen"]
    reviewed.until(lambda: 2 in attribute(reviewed, "Slices")["seen"])
    red(reviewed).SetSliceOffset(35.0)
    assert review.current == 7
    red(reviewed).SetSliceOffset(900.0)
    assert review.current is None


ROTATIONS = {
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "upside down": np.diag([1.0, -1, -1]),
    "oblique": None,
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_slices_are_found_whatever_the_direction_of_the_volume(bench, name):
    from scipy.spatial.transform import Rotation

    write_model(bench.models, "tiny")
    bench.open()
    turned = ROTATIONS[name]
    if turned is None:
        turned = Rotation.from_euler("xz", (14, 20), degrees=True).as_matrix()
    matrix = np.eye(4)
    spacing = (1.0, 1.0, 5.0)
    shape = (12, 64, 64)
    if name == "sagittal":
        shape = (64, 12, 64)  # inferior-superior is the middle axis, backwards
        spacing = (1.0, 5.0, 1.0)
    matrix[:3, :3] = turned @ np.diag(spacing)
    matrix[:3, 3] = (11, -7, 23)
    voxels, mask = head()
    if name == "sagittal":
        voxels, mask = (np.moveaxis(part, 0, 1)[:, ::-1].copy() for part in (voxels, mask))
    volume = bench.slicer.util.addVolumeFromArray(voxels.reshape(shape), matrix, "FLAIR")
    bench.parameters.volume = volume
    look_at(bench, volume)
    assert not bench.run().failed
    settle(bench)
    view = bench.panel.review
    for index in (2, 5, 9):
        view.go_to(index)
        assert view.current == index
        node = red(bench)
        to_ras = bench.slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        point = np.linalg.inv(matrix) @ [*_point(bench, index), 1]
        along = {"sagittal": 1}.get(name, 2)
        stored = 11 - index if name != "oblique" else index
        assert point[along] == pytest.approx(stored, abs=1e-6)
        off = (_point(bench, index) - to_ras[:3, 3]) @ to_ras[:3, 2]
        assert off == pytest.approx(0, abs=1e-3)


def _point(bench, index):
    from TumorSegModule.logic.slice_figures import figures_of

    review = bench.panel.review.review
    figures = figures_of(bench.parameters.target)
    return (figures.ijk_to_ras @ [*review._place, 1])[:3]


def test_corrections_are_counted(reviewed):
    target, volume = reviewed.parameters.target, reviewed.volume
    before = segment_mask(reviewed.slicer, target, volume)
    edit_by_hand(reviewed.slicer, target, volume, BY_HAND)
    found = correction(reviewed)
    assert found["slices"] == 2
    assert found["millilitres"] == pytest.approx(32 * 5 / 1000)
    total = before.sum()
    assert found["dice"] == pytest.approx(2 * total / (2 * total + 32), abs=1e-4)
    assert "2 slices, 0.2 ml" in reviewed.panel.ui.correctionNote.text
    assert reviewed.panel.review.strip._strip.changed == {0, 1}


def test_a_slice_and_a_segment_can_be_restored_and_that_undone(reviewed):
    target, volume = reviewed.parameters.target, reviewed.volume
    model = segment_mask(reviewed.slicer, target, volume)
    edit_by_hand(reviewed.slicer, target, volume, BY_HAND)
    edit_by_hand(reviewed.slicer, target, volume, (5, slice(40, 50), slice(8, 20)))
    settle(reviewed)
    edited = segment_mask(reviewed.slicer, target, volume)
    reviewed.panel.review.go_to(1)
    slice_action, segment_action = reviewed.panel.review._restore_menu.actions()
    slice_action.trigger()
    now = segment_mask(reviewed.slicer, target, volume)
    assert (now[1] == model[1]).all()
    assert (np.delete(now, 1, 0) == np.delete(edited, 1, 0)).all()
    assert correction(reviewed)["slices"] == 2
    reviewed.panel.editor.widget.undo()
    assert (segment_mask(reviewed.slicer, target, volume) == edited).all()
    assert correction(reviewed)["slices"] == 3
    segment_action = reviewed.panel.review._restore_menu.actions()[1]
    assert "Tumour" in segment_action.text
    segment_action.trigger()
    assert (segment_mask(reviewed.slicer, target, volume) == model).all()
    assert correction(reviewed) == {"slices": 0, "millilitres": 0.0, "dice": 1.0}
    reviewed.run()
    assert not reviewed.asked  # what was restored counts as unedited


def test_each_segment_has_its_own_figures(bench):
    write_ct_model(bench.models, "tiny-liver")
    bench.open()
    bench.volume = add_body(bench.slicer)
    bench.parameters.volume = bench.volume
    look_at(bench, bench.volume)
    assert not bench.run().failed
    target = bench.parameters.target
    edit_by_hand(bench.slicer, target, bench.volume, (5, slice(30, 34), slice(20, 24)), index=1)
    found = correction(bench)
    assert (found["slices"], found["millilitres"]) == (1, pytest.approx(0.08))
    lines = bench.panel.ui.correctionNote.text.splitlines()
    assert any(line.startswith("Liver tumour: 1 slice,") for line in lines), lines
    target.GetSegmentation().RemoveSegment(target.GetSegmentation().GetNthSegmentID(1))
    assert correction(bench)["slices"] == 2
    bench.panel.review._restore_menu.actions()[-1].trigger()
    assert target.GetSegmentation().GetNumberOfSegments() == 2


def test_segments_of_others_are_no_corrections(reviewed):
    target = reviewed.parameters.target
    target.GetSegmentation().AddEmptySegment("mine", "Mine")
    edit_by_hand(reviewed.slicer, target, reviewed.volume, BY_HAND, index=1)
    assert correction(reviewed)["slices"] == 0


def test_an_undone_result_has_no_mask_to_compare_with(reviewed):
    target = reviewed.parameters.target
    first = attribute(reviewed, "Correction")
    reviewed.panel.ui.sensitivitySlider.value = -100
    reviewed.until(lambda: not reviewed.panel.session.pending)
    assert correction(reviewed) == first
    reviewed.panel.editor.widget.undo()
    assert correction(reviewed) is None
    assert reviewed.panel.ui.correctionNote.text == ""
    assert target.GetSegmentation().GetNumberOfSegments() == 1


def test_the_mask_kept_is_in_no_picker_and_goes_with_the_segmentation(reviewed):
    from TumorSegModule.logic.model_baseline import REFERENCE_FOR, reference_of

    slicer, target = reviewed.slicer, reviewed.parameters.target
    kept = reference_of(target)
    assert kept.GetAttribute(REFERENCE_FOR) == target.GetID()
    assert kept.GetHideFromEditors()
    assert kept.GetDisplayNode() is None
    selector = reviewed.panel.ui.targetSelector
    assert [selector.nodeFromIndex(n) for n in range(selector.nodeCount())] == [target]
    reviewed.panel.ui.uncertaintyBox.checked = True
    settle(reviewed)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
    reviewed.panel.ui.queueAddAllButton.click()
    assert [entry.name for entry in reviewed.panel._queue.entries] == ["FLAIR"]
    slicer.mrmlScene.RemoveNode(target)
    assert reviewed.panel.review.target is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_uncertainty_is_laid_over_the_views_and_taken_off(reviewed):
    from TumorSegLib.slicer_io.geometry import placement_of

    slicer, ui = reviewed.slicer, reviewed.panel.ui
    view = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    other, _ = add_head(slicer, "T1")
    view.SetForegroundVolumeID(other.GetID())
    view.SetForegroundOpacity(0.25)
    ui.uncertaintyBox.checked = True
    settle(reviewed)
    node = slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID())
    assert node.GetName() == "FLAIR segmentation (uncertainty)"
    assert node.GetImageData().GetScalarTypeAsString() == "unsigned char"
    voxels = slicer.util.arrayFromVolume(node)
    p = reviewed.panel.session.runner.job.probabilities[0]
    assert (voxels == 2 * np.minimum(p, 255 - p)).all()
    assert voxels.max() > 40
    assert placement_of(node).grid.geometry_equal(placement_of(reviewed.volume).grid)
    assert node.GetDisplayNode().GetColorNode() is not None
    ui.uncertaintyBox.checked = False
    assert view.GetForegroundVolumeID() == other.GetID()
    assert view.GetForegroundOpacity() == 0.25
    ui.uncertaintyBox.checked = True
    assert view.GetForegroundVolumeID() == node.GetID()  # it is not made twice
    reviewed.run()
    settle(reviewed)
    assert slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID()) is not None
    names = [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert sum("uncertainty" in name for name in names) == 1


def test_a_case_is_marked_as_reviewed_until_it_is_segmented_again(reviewed):
    ui = reviewed.panel.ui
    ui.reviewedBox.click()
    assert reviewed.parameters.target.GetAttribute("TumorSeg.Reviewed") == "1"
    ui.reviewedBox.click()
    assert reviewed.parameters.target.GetAttribute("TumorSeg.Reviewed") is None
    ui.reviewedBox.click()
    reviewed.run()
    assert reviewed.parameters.target.GetAttribute("TumorSeg.Reviewed") is None
    assert not ui.reviewedBox.checked


def test_a_saved_scene_has_changed_when_its_case_is_marked_as_reviewed(reviewed):
    scene, place = reviewed.slicer.mrmlScene, str(reviewed.folder / "scene.mrml")
    settle(reviewed)
    scene.SetURL(place)
    scene.Commit(place)
    assert not scene.GetModifiedSinceRead()  # of which Slicer asks before it closes a scene
    reviewed.panel.ui.reviewedBox.click()
    assert scene.GetModifiedSinceRead()


@pytest.mark.parametrize("value", ["1", "0", "true", "{}", ""])
def test_the_box_says_what_an_export_says(reviewed, value):
    from TumorSegLib.slicer_io.nodes import is_reviewed

    target = reviewed.parameters.target
    target.SetAttribute("TumorSeg.Reviewed", value)
    reviewed.panel.review.refresh()
    assert reviewed.panel.ui.reviewedBox.checked == is_reviewed(target) == (value == "1")


def test_everything_is_there_after_saving_and_opening(reviewed):
    slicer = reviewed.slicer
    target = reviewed.parameters.target
    model = segment_mask(slicer, target, reviewed.volume)
    edit_by_hand(slicer, target, reviewed.volume, BY_HAND)
    before = correction(reviewed)
    reviewed.panel.ui.reviewedBox.click()
    reviewed.panel.ui.uncertaintyBox.checked = True
    settle(reviewed)
    reviewed.panel.review.go_to(5)
    reviewed.until(lambda: 5 in attribute(reviewed, "Slices")["seen"])
    figures = attribute(reviewed, "Slices")
    path = reviewed.folder / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path))
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    reviewed.turn(50)
    settle(reviewed)
    assert attribute(reviewed, "Slices") == figures
    assert attribute(reviewed, "Correction") == before
    assert reviewed.parameters.target.GetAttribute("TumorSeg.Reviewed") == "1"
    ui, review = reviewed.panel.ui, reviewed.panel.review
    assert ui.reviewedBox.checked
    assert "2 slices" in ui.correctionNote.text
    assert ui.uncertaintyBox.enabled
    review._restore_menu.actions()[1].trigger()
    now = segment_mask(slicer, reviewed.parameters.target, reviewed.parameters.volume)
    assert (now == model).all()
    assert correction(reviewed)["dice"] == 1.0
    view = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert view.GetForegroundVolumeID()  # the scene was saved with what is laid over the views
    ui.uncertaintyBox.checked = False
    assert not view.GetForegroundVolumeID()
    assert view.GetForegroundOpacity() == 0


@pytest.mark.parametrize("first", ["volume", "segmentation"])
def test_a_result_that_was_moved_for_good_is_no_correction(reviewed, first):
    slicer, target = reviewed.slicer, reviewed.parameters.target
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "T")
    matrix = np.eye(4)
    matrix[:3, 3] = 4, -3, 5
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    nodes = [reviewed.volume, target][:: 1 if first == "volume" else -1]
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID())
    reviewed.turn(50)
    settle(reviewed)
    assert reviewed.panel.review.review.figures is not None  # they were moved together
    for node in nodes:
        node.HardenTransform()
        reviewed.turn(50)
    settle(reviewed)
    ui = reviewed.panel.ui
    assert reviewed.panel.review.review.figures is None
    assert not ui.correctionNote.text
    assert not ui.restoreButton.enabled
    edit_by_hand(slicer, target, reviewed.volume, BY_HAND)
    assert correction(reviewed) == {"slices": 0, "millilitres": 0.0, "dice": 1.0}
    reviewed.parameters.extent = "this slice"
    reviewed.answers = ["replace"]
    red(reviewed).SetSliceOffset(30)
    assert not reviewed.run().failed
    assert len(masks_kept(slicer)) == 1
    assert correction(reviewed) is not None


def masks_kept(slicer):
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if node.GetAttribute("TumorSeg.ReferenceFor")]


def test_a_scene_added_to_another_keeps_masks_and_segmentations_together(reviewed, monkeypatch):
    from slicer_scene import new_scene

    from TumorSegModule.logic.model_baseline import REFERENCE_FOR, reference_of

    slicer = reviewed.slicer
    edit_by_hand(slicer, reviewed.parameters.target, reviewed.volume, BY_HAND)
    settle(reviewed)
    path = reviewed.folder / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path))
    other = new_scene(reviewed.folder)  # without the views and the hierarchy of the stand-in
    for _ in range(2):
        assert other.scene.ReadFromMRB(str(path), False)
    monkeypatch.setattr(slicer, "mrmlScene", other.scene)
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    targets = [node for node in nodes if not node.GetAttribute(REFERENCE_FOR)]
    assert len(targets) == 2
    kept = [reference_of(node) for node in targets]
    assert kept[0] is not kept[1]
    assert [node.GetAttribute(REFERENCE_FOR) for node in kept] == [n.GetID() for n in targets]


def test_only_a_slice_segmented_anew_keeps_the_other_slices_mask(reviewed):
    slicer, target = reviewed.slicer, reviewed.parameters.target
    edit_by_hand(slicer, target, reviewed.volume, BY_HAND)
    edit_by_hand(slicer, target, reviewed.volume, (5, slice(40, 44), slice(40, 44)))
    before = attribute(reviewed, "Slices")
    assert correction(reviewed)["slices"] == 3
    reviewed.panel.review.go_to(5)
    reviewed.parameters.extent = "this slice"
    reviewed.answers = ["replace"]
    assert not reviewed.run().failed
    assert correction(reviewed)["slices"] == 2
    after = attribute(reviewed, "Slices")
    assert after["area_mm2"] == before["area_mm2"]
    assert HEAD_MATRIX[2, 2] == 5
