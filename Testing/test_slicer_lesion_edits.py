"""Removing lesions and adding them back bit by bit, whatever else happens meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
from lesion_bench import SMALL, cells, draw, mask, measured_panel, settle
from short_turns import short_turns

DRAWN = np.s_[4, 30:32, 30:32]
"""A third lesion, drawn by hand."""


def slowed(bench, monkeypatch):
    """Have each turn of the event loop take one step, and steps be small."""
    from TumorSegModule.logic import lesion_edits, tight_label_maps
    from TumorSegModule.widgets import idle_work

    short_turns(monkeypatch, idle_work)
    monkeypatch.setattr(tight_label_maps, "SMALL", 1000)
    for module in (lesion_edits, tight_label_maps):
        monkeypatch.setattr(module, "SLAB_VOXELS", 1)
    bench.saves = []
    save = bench.panel.editor.save_for_undo
    monkeypatch.setattr(
        bench.panel.editor, "save_for_undo", lambda: bench.saves.append(sizes(bench)) or save()
    )
    return bench


@pytest.fixture
def slow(bench, monkeypatch):
    """A panel with three lesions, in label maps as large as the volume, and slow to edit."""
    measured_panel(bench)
    target = bench.parameters.target
    draw(bench, target, np.s_[3:4, 12:14, 12:14], 0)
    draw(bench, target, DRAWN, 1)
    settle(bench)
    assert sizes(bench) == [12 * 64 * 64] * 2
    assert len(cells(bench.panel.ui.lesionsTable)) == 3
    return slowed(bench, monkeypatch)


def sizes(bench):
    """Voxels of the segments' label maps, whatever is in them."""
    content = bench.parameters.target.GetSegmentation()
    images = [content.GetNthSegment(n).GetRepresentation("Binary labelmap") for n in range(2)]
    return [int(np.prod(image.GetDimensions())) for image in images]


def begin(bench, row=1, steps=3):
    """Click on Remove and let some turns pass; return the masks before."""
    before = mask(bench, 0), mask(bench, 1)
    bench.panel.ui.lesionsTable.selectRow(row)
    bench.panel.ui.removeLesionButton.click()
    for _ in range(steps):
        bench.turn()
    assert bench.panel.measured.lesions.busy
    return before


def end(bench):
    bench.until(lambda: not bench.panel.measured.lesions.busy)


def removed_small(bench, before):
    """Tell whether the second lesion became liver, and nothing else is another."""
    gone = np.zeros_like(before[1])
    gone[SMALL] = before[1][SMALL]
    return (
        gone.any()
        and (mask(bench, 1) == before[1] & ~gone).all()
        and (mask(bench, 0) == before[0] | gone).all()
    )


def test_a_lesion_is_removed_in_many_turns_and_one_step_of_undo(slow):
    turns, before = 0, begin(slow, steps=0)
    while slow.panel.measured.lesions.busy:
        slow.turn()
        turns += 1
        if not slow.saves:
            assert (mask(slow, 1) == before[1]).all()
            assert (mask(slow, 0) == before[0]).all()
    assert turns > 20
    assert removed_small(slow, before)
    assert len(slow.saves) == 1
    slow.panel.editor.widget.undo()
    assert (mask(slow, 0) == before[0]).all()
    assert (mask(slow, 1) == before[1]).all()
    settle(slow)
    assert len(cells(slow.panel.ui.lesionsTable)) == 3


def test_what_is_kept_for_undo_is_what_the_segments_hold(slow):
    """Slicer copies all of a label map, in one turn."""
    before = begin(slow)
    end(slow)
    (kept,) = slow.saves
    for voxels, own in zip(kept, before, strict=True):
        places = np.argwhere(own)
        assert voxels == np.prod(np.ptp(places, axis=0) + 1)


def test_the_table_follows_edits_after_a_removal(slow):
    begin(slow)
    end(slow)
    settle(slow)
    assert len(cells(slow.panel.ui.lesionsTable)) == 2
    draw(slow, slow.parameters.target, np.s_[8, 50:53, 30:33], 1)
    settle(slow)
    assert len(cells(slow.panel.ui.lesionsTable)) == 3


def test_segments_that_are_edited_meanwhile_keep_the_lesion(slow):
    for steps in (1, 6, 14):
        before = begin(slow, steps=steps)
        draw(slow, slow.parameters.target, np.s_[7, 30:32, 30 + steps : 33 + steps], 1)
        edited = mask(slow, 1)
        assert (edited != before[1]).any()
        end(slow)
        assert "try again" in slow.panel.ui.lesionsNote.text
        assert (mask(slow, 1) == edited).all()
        assert (mask(slow, 0) == before[0]).all()
        assert not slow.saves
        settle(slow)


def test_undo_meanwhile_keeps_the_lesion(slow):
    slow.panel.editor.save_for_undo()
    draw(slow, slow.parameters.target, np.s_[7, 50:52, 30:32], 1)
    settle(slow)
    slow.saves.clear()
    begin(slow, row=2)
    slow.panel.editor.widget.undo()
    undone = mask(slow, 1)
    end(slow)
    assert (mask(slow, 1) == undone).all()
    assert not slow.saves


def test_a_second_click_meanwhile_waits_for_the_first(slow):
    before = begin(slow)
    slow.panel.ui.lesionsTable.selectRow(0)
    slow.panel.ui.removeLesionButton.click()
    assert "try again" in slow.panel.ui.lesionsNote.text
    end(slow)
    assert removed_small(slow, before)
    assert len(slow.saves) == 1


def test_another_segmentation_meanwhile_keeps_the_lesion(slow):
    target, before = slow.parameters.target, begin(slow)
    slow.parameters.target = None
    slow.turn(100)
    slow.parameters.target = target
    settle(slow)
    assert (mask(slow, 1) == before[1]).all()
    assert not slow.saves


@pytest.mark.parametrize("gone", ["segmentation", "segment", "scene"])
def test_what_is_removed_meanwhile_is_edited_no_more(slow, gone):
    begin(slow)
    scene, target = slow.slicer.mrmlScene, slow.parameters.target
    if gone == "segmentation":
        scene.RemoveNode(target)
    elif gone == "segment":
        target.GetSegmentation().RemoveSegment(target.GetSegmentation().GetNthSegmentID(1))
    else:
        scene.Clear()
    end(slow)
    slow.turn(20)
    assert not slow.saves


def test_a_lesion_goes_also_when_its_volume_is_removed_meanwhile(slow):
    before = begin(slow)
    volume, kept = slow.volume, slow.slicer.util.arrayFromVolume(slow.volume).copy()
    slow.slicer.mrmlScene.RemoveNode(volume)
    end(slow)
    assert len(slow.saves) <= 1
    slow.volume = slow.slicer.util.addVolumeFromArray(kept, np.diag([1.0, 1.0, 5.0, 1.0]))
    assert removed_small(slow, before) == bool(slow.saves)


def test_what_was_given_up_is_added_back_in_many_turns_and_one_step_of_undo(bench, monkeypatch):
    measured_panel(bench, gives_up=True)
    draw(bench, bench.parameters.target, DRAWN, 1)
    settle(bench)
    slowed(bench, monkeypatch)
    before, organ, turns = mask(bench, 1), mask(bench, 0), 0
    bench.panel.ui.lesionsTable.selectRow(2)
    bench.panel.ui.addBackButton.click()
    while bench.panel.measured.lesions.busy:
        bench.turn()
        turns += 1
    assert turns > 10
    added = mask(bench, 1) & ~before
    assert added.sum() == added[SMALL].sum() > 0
    assert (mask(bench, 0) == organ & ~added).all()
    assert len(bench.saves) == 1
    bench.panel.editor.widget.undo()
    assert (mask(bench, 1) == before).all()
    assert (mask(bench, 0) == organ).all()


def test_segments_of_one_label_map_go_on_sharing_it(bench, monkeypatch):
    """One that was made larger than what it holds, an organ and its lesions."""
    import vtk

    from TumorSegLib.support.steps import finished
    from TumorSegModule.logic import tight_label_maps
    from TumorSegModule.logic.segments import stamps_of

    def images():
        return [content.GetNthSegment(n).GetRepresentation("Binary labelmap") for n in range(2)]

    measured_panel(bench)
    target = bench.parameters.target
    content = target.GetSegmentation()
    before, extent = (mask(bench, 0), mask(bench, 1)), images()[0].GetExtent()
    assert images()[0] is images()[1]
    pad = vtk.vtkImageConstantPad()
    pad.SetInputData(images()[0])
    pad.SetOutputWholeExtent(0, 63, 0, 63, -9, 30)
    pad.Update()
    large = bench.slicer.vtkOrientedImageData()
    large.DeepCopy(images()[0])
    large.SetExtent(pad.GetOutput().GetExtent())
    large.GetPointData().SetScalars(pad.GetOutput().GetPointData().GetScalars())
    for number in range(2):
        content.GetNthSegment(number).AddRepresentation("Binary labelmap", large)
    assert (mask(bench, 1) == before[1]).all()
    monkeypatch.setattr(tight_label_maps, "SMALL", 1)
    stamps = finished(tight_label_maps.tightened(target, stamps_of(target)))
    assert stamps == stamps_of(target)
    assert images()[0] is images()[1]
    assert images()[0].GetExtent() == extent
    assert (mask(bench, 0) == before[0]).all()
    assert (mask(bench, 1) == before[1]).all()
    told = []
    target.AddObserver(content.SourceRepresentationModified, lambda *_event: told.append(1))
    images()[0].Modified()
    assert told


def test_a_label_map_that_holds_nothing_is_a_voxel_afterwards(bench, monkeypatch):
    from TumorSegLib.support.steps import finished
    from TumorSegModule.logic import tight_label_maps
    from TumorSegModule.logic.segments import stamps_of

    measured_panel(bench)
    target = bench.parameters.target
    draw(bench, target, DRAWN, 1)
    draw(bench, target, np.s_[:], 1, values=False)
    monkeypatch.setattr(tight_label_maps, "SMALL", 1)
    finished(tight_label_maps.tightened(target, stamps_of(target)))
    assert sizes(bench)[1] <= 1
    assert not mask(bench, 1).any()
