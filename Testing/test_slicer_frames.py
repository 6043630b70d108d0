"""Volumes over time: all frames become a sequence of segmentations, or the one shown is meant."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import write_model
from scenes import HEAD_MATRIX, add_head, dice, edit_by_hand, head, segment_mask

COUNT = 3


def masks():
    """Return the bright box of each frame, which moves."""
    _voxels, mask = head()
    return [np.roll(mask, 6 * number, axis=2) for number in range(COUNT)]


@pytest.fixture
def cine(bench, monkeypatch):
    """A panel with a head over time, whose tumour moves, and the second frame shown."""
    monkeypatch.setenv("XDG_DATA_HOME", str(bench.folder / "home"))
    write_model(bench.models, "tiny")
    bench.open()
    slicer = bench.slicer
    scene = slicer.mrmlScene
    bench.sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
    bench.sequence.SetIndexName("trigger")
    bench.sequence.SetIndexUnit("ms")
    voxels, mask = head()
    for number, moved in enumerate(masks()):
        frame = voxels.copy()
        frame[mask] = 60
        frame[moved] = 200
        node = slicer.util.addVolumeFromArray(frame, HEAD_MATRIX, f"frame {number}")
        bench.sequence.SetDataNodeAtValue(node, str(40 * number))
        scene.RemoveNode(node)
    bench.browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    bench.browser.SetAndObserveMasterSequenceNodeID(bench.sequence.GetID())
    bench.browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(bench.browser)
    bench.volume = bench.browser.GetProxyNode(bench.sequence)
    bench.parameters.volume = bench.volume
    bench.every, bench.questions = True, []

    def ask(name, frames):
        bench.questions.append((name, frames.count, frames.shown))
        return bench.every

    bench.panel.questions.ask_about_frames = ask
    bench.turn()
    bench.before = nodes(bench)
    return bench


def nodes(bench):
    scene = bench.slicer.mrmlScene
    everything = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    return sorted(
        node.GetName()
        for node in everything
        if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLSegmentationNode")
    )


def show(bench, number):
    bench.browser.SetSelectedItemNumber(number)
    bench.slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(bench.browser)


def mask_of(bench):
    return segment_mask(bench.slicer, bench.parameters.target, bench.volume)


def test_every_frame_is_segmented_as_it_is(cine):
    status = cine.run()
    assert not status.failed, status.line
    assert f"{COUNT} of {COUNT} frames are segmented" in status.line
    assert cine.questions == [("Cine", COUNT, 1)]
    for number, mask in enumerate(masks()):
        show(cine, number)
        assert dice(mask_of(cine), mask) > 0.9, number


def test_the_results_are_a_sequence_of_the_same_browser(cine):
    cine.run()
    target = cine.parameters.target
    results = cine.browser.GetSequenceNode(target)
    assert results.GetNumberOfDataNodes() == COUNT
    values = [results.GetNthIndexValue(number) for number in range(COUNT)]
    assert values == ["0", "40", "80"]
    assert (results.GetIndexName(), results.GetIndexUnit()) == ("trigger", "ms")
    assert target.GetName() == "Cine segmentation"
    assert target.GetNodeReference("referenceImageGeometryRef") is cine.volume
    assert target.GetDisplayNode() is not None


def test_nothing_else_is_left_in_the_scene_and_the_frame_shown_stays(cine):
    cine.run()
    assert nodes(cine) == sorted([*cine.before, "Cine segmentation"])
    assert cine.browser.GetSelectedItemNumber() == 1


def test_browsing_meanwhile_changes_no_result(cine):
    cine.click()
    shown = 0
    while cine.panel.session.busy:
        shown = (shown + 1) % COUNT
        show(cine, shown)
        cine.turn(5)
    for number, mask in enumerate(masks()):
        show(cine, number)
        assert dice(mask_of(cine), mask) > 0.9, number


def test_a_correction_stays_with_its_frame(cine):
    cine.run()
    show(cine, 2)
    box = np.s_[0:2, 40:44, 40:44]
    edit_by_hand(cine.slicer, cine.parameters.target, cine.volume, box)
    show(cine, 0)
    assert not mask_of(cine)[box].any()
    show(cine, 2)
    assert mask_of(cine)[box].all()


def test_what_was_looked_at_and_reviewed_stays_with_its_frame(cine):
    cine.run()
    review, ui = cine.panel.review, cine.panel.ui
    cine.until(lambda: not review.busy)
    show(cine, 0)
    cine.until(lambda: not review.busy)
    ui.reviewedBox.click()
    review.go_to(3)
    cine.until(lambda: 3 in review.review.seen)
    show(cine, 1)
    cine.until(lambda: not review.busy)
    assert not ui.reviewedBox.checked
    assert cine.parameters.target.GetAttribute("TumorSeg.Reviewed") is None
    show(cine, 0)
    cine.until(lambda: not review.busy)
    assert ui.reviewedBox.checked
    assert 3 in review.review.seen


def test_lesions_are_those_of_the_frame_that_is_shown(cine):
    cine.panel.ui.lesionsSection.collapsed = False
    cine.run()
    measured, ui = cine.panel.measured, cine.panel.ui
    show(cine, 2)
    box = np.s_[0:4, 40:50, 40:50]
    edit_by_hand(cine.slicer, cine.parameters.target, cine.volume, box)
    cine.until(lambda: not measured.busy)
    assert len(measured.findings.lesions) == 2
    clipboard = cine.qt.QApplication.clipboard()
    clipboard.setText("before")
    show(cine, 0)
    ui.copyLesionsButton.click()
    assert clipboard.text() == "before"
    assert "measured anew" in ui.lesionsNote.text
    cine.until(lambda: not measured.busy)
    assert len(measured.findings.lesions) == 1
    assert measured.findings.segments[0].voxels == mask_of(cine).sum()


def test_progress_tells_the_frame(cine):
    texts = set()
    show_status = cine.panel._status.show

    def look(*given, **options):
        show_status(*given, **options)
        texts.add(cine.panel.ui.progressBar.format.partition(":")[0])

    cine.panel._status.show = look
    cine.run()
    assert {f"Frame {number} of {COUNT}" for number in range(1, COUNT + 1)} <= texts
    assert not cine.panel._frames.running


def test_cancel_keeps_the_frames_that_are_done(cine):
    cine.click()
    cine.until(lambda: cine.panel._frames.line.startswith("Frame 2 "))
    cine.click()
    status = cine.panel.session.status
    assert not cine.panel.session.busy
    assert f"1 of {COUNT} frames are segmented" in status.line
    show(cine, 0)
    assert dice(mask_of(cine), masks()[0]) > 0.9
    show(cine, 2)
    assert cine.parameters.target.GetSegmentation().GetNumberOfSegments() == 0
    assert nodes(cine) == sorted([*cine.before, "Cine segmentation"])


def test_cancel_before_the_first_frame_leaves_the_scene_as_it_was(cine):
    cine.click()
    cine.click()
    assert nodes(cine) == cine.before
    assert cine.parameters.target is None
    assert "Cancelled" in cine.panel.session.status.line


def test_a_frame_that_cannot_be_segmented_is_named_and_the_others_are_there(cine):
    import vtk

    cine.sequence.GetNthDataNode(1).SetAndObserveImageData(vtk.vtkImageData())
    show(cine, 0)
    status = cine.run()
    assert f"2 of {COUNT} frames are segmented" in status.line
    assert "No result for frame 2: Cine (2/3): holds no voxels" in status.line
    for number in (0, 2):
        show(cine, number)
        assert dice(mask_of(cine), masks()[number]) > 0.9


def test_only_the_frame_that_is_shown(cine):
    cine.every = False
    status = cine.run()
    assert not status.failed, status.line
    assert dice(mask_of(cine), masks()[1]) > 0.9
    assert cine.browser.GetSequenceNode(cine.parameters.target) is None


def test_the_frame_that_was_segmented_is_not_exported_with_another_ones_voxels(cine):
    cine.every = False
    assert not cine.run().failed
    ui, folder = cine.panel.ui, cine.folder / "data"
    ui.exportFolder.text = str(folder)
    cine.turn()

    def export():
        cine.panel.export.export()
        cine.until(lambda: not cine.panel.export.exporter.busy)
        return ui.exportResult.text

    show(cine, 2)
    line = export()
    assert "Cine shows frame 3, the segmentation is of frame 2; show that one first" in line
    assert not list(folder.rglob("*.nii.gz"))
    show(cine, 1)
    export()
    assert list(folder.rglob("*.nii.gz"))


def test_no_answer_is_an_answer(cine):
    cine.every = None
    cine.click()
    assert not cine.panel.session.busy
    assert nodes(cine) == cine.before


def test_a_volume_of_one_frame_is_not_asked_about(bench):
    write_model(bench.models, "tiny")
    bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer)
    bench.panel.questions.ask_about_frames = lambda *_given: pytest.fail("asked")
    bench.turn()
    assert not bench.run().failed


def test_a_run_on_one_slice_means_the_frame_that_is_shown(cine):
    cine.parameters.extent = "this slice"
    cine.run()
    assert not cine.questions


def test_a_further_sequence_over_time_is_taken_frame_by_frame(cine):
    slicer = cine.slicer
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "T1")
    for number in range(COUNT):
        voxels = head()[0] + np.int16(number)
        node = slicer.util.addVolumeFromArray(voxels, HEAD_MATRIX, "x")
        other.SetDataNodeAtValue(node, str(40 * number))
        slicer.mrmlScene.RemoveNode(node)
    cine.browser.AddSynchronizedSequenceNode(other)
    show(cine, 1)
    proxy = cine.browser.GetProxyNode(other)
    from TumorSegModule.logic.settings import set_channel_node

    set_channel_node(cine.parameters, "t1", proxy)
    cine.turn()
    taken = []
    start = cine.panel.start

    def look(options):
        taken.append(int(slicer.util.arrayFromVolume(options.sequences["t1"]).max()))
        return start(options)

    cine.panel.start = look
    assert not cine.run().failed
    assert taken == [200, 201, 202]


@pytest.fixture
def slower(cine):
    """The panel with a browser of five frames, of which the head has three, after its first."""
    slicer, scene = cine.slicer, cine.slicer.mrmlScene
    for value, moved in (("0", "120"), ("40", "180"), ("80", "260")):
        cine.sequence.SetDataNodeAtValue(cine.sequence.GetDataNodeAtValue(value), moved)
        cine.sequence.RemoveDataNodeAtValue(value)
    master = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Fast")
    for number in range(5):
        node = slicer.util.addVolumeFromArray(head()[0], HEAD_MATRIX, "x")
        master.SetDataNodeAtValue(node, str(100 + 40 * number))
        scene.RemoveNode(node)
    cine.browser.SetAndObserveMasterSequenceNodeID(master.GetID())
    cine.browser.AddSynchronizedSequenceNode(cine.sequence)
    show(cine, 1)
    cine.volume = cine.browser.GetProxyNode(cine.sequence)
    cine.parameters.volume = cine.volume
    cine.turn()
    return cine


def test_a_volume_of_fewer_frames_than_its_browser_has_its_own_ones_segmented(slower):
    started, start = [], slower.panel.start

    def look(options):
        started.append(options.volume.GetName())
        return start(options)

    slower.panel.start = look
    status = slower.run()
    assert status.line.endswith("3 of 3 frames are segmented.")
    assert started == ["Cine (1/3)", "Cine (2/3)", "Cine (3/3)"]
    assert slower.questions == [("Cine", 3, 0)]
    for number, frame in enumerate((0, 0, 1, 1, 2)):
        show(slower, number)
        assert dice(mask_of(slower), masks()[frame]) > 0.9, number


def test_a_frame_that_stays_while_the_browser_goes_on_is_still_the_one_segmented(slower):
    from TumorSegModule.logic.frame_shown import other_frame

    slower.every = False
    assert not slower.run().failed
    told = []
    for number in range(5):
        show(slower, number)
        told.append(other_frame(slower.parameters.target, slower.volume))
    line = "Cine shows frame {}, the segmentation is of frame 1; show that one first"
    assert told == ["", "", line.format(2), line.format(2), line.format(3)]


def test_closing_the_scene_ends_it(cine):
    cine.click()
    cine.turn(50)
    cine.slicer.mrmlScene.Clear()
    cine.turn(50)
    assert not cine.panel._frames.running
    assert not cine.panel.session.busy
    assert not [name for name in nodes(cine) if "Cine" in name]


def test_removing_the_sequence_ends_it(cine):
    cine.click()
    cine.until(lambda: cine.panel._frames.line.startswith("Frame 2 "))
    cine.slicer.mrmlScene.RemoveNode(cine.sequence)
    cine.until(lambda: not cine.panel.session.busy)
    assert not cine.panel._frames.running
    assert "The sequence was removed" in cine.panel.session.status.line


def test_the_queue_says_that_it_means_one_frame(cine):
    cine.panel.ui.queueAddButton.click()
    (entry,) = cine.panel._queue.entries
    assert entry.name == "Cine (only the frame that is shown)"


def test_all_is_there_after_saving(cine):
    cine.run()
    scene, path = cine.slicer.mrmlScene, str(cine.folder / "cine.mrb")
    assert scene.WriteToMRB(path)
    scene.Clear()
    scene.SetURL(path)
    assert scene.ReadFromMRB(path, True)
    cine.turn(50)
    cine.browser = cine.slicer.util.getFirstNodeByClassByName(
        "vtkMRMLSequenceBrowserNode", "Browser"
    )
    cine.volume, target = cine.parameters.volume, cine.parameters.target
    assert target.GetName() == "Cine segmentation"
    assert cine.browser.GetSequenceNode(target).GetNumberOfDataNodes() == COUNT
    for number, mask in enumerate(masks()):
        show(cine, number)
        assert dice(mask_of(cine), mask) > 0.9, number
