"""From a volume and a click to segments in the scene, on the stand-in application."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import write_ct_model, write_model
from scenes import HEAD_MATRIX, add_body, add_head, dice, edit_by_hand, head, segment_mask
from tiny_models import write_blind_detector

BY_HAND = (slice(0, 2), slice(40, 44), slice(40, 44))


@pytest.fixture
def ready(bench):
    """A panel with one model and a head chosen."""
    write_model(bench.models, "tiny")
    bench.open()
    bench.volume, bench.mask = add_head(bench.slicer)
    bench.parameters.volume = bench.volume
    bench.turn()
    return bench


def found(bench, index=0):
    return segment_mask(bench.slicer, bench.parameters.target, bench.volume, index)


def test_a_click_makes_segments(ready):
    status = ready.run()
    assert not status.failed, status.line
    target = ready.parameters.target
    assert dice(found(ready), ready.mask) > 0.9
    segment = target.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == "Tumour"
    assert segment.GetColor() == pytest.approx((1, 196 / 255, 0))
    assert target.GetName() == "FLAIR segmentation"
    editor = ready.panel.editor.widget
    assert editor.segmentationNode() is target
    assert editor.sourceVolumeNode() is ready.volume


def test_nothing_can_be_clicked_without_a_volume(bench):
    write_model(bench.models, "tiny")
    panel = bench.open()
    assert not panel.ui.segmentButton.enabled
    assert "Load a CT or MRI" in panel.ui.statusLabel.text


def test_slices_appear_while_they_are_computed_and_are_gone_after(bench):
    write_model(bench.models, "tiny", width=16, depth=3)
    panel = bench.open()
    bench.volume, _ = add_head(bench.slicer, shape=(90, 96, 96))
    bench.parameters.volume = bench.volume
    seen = []
    bench.one_event_at_a_time()
    bench.click()

    def look():
        node = bench.slicer.util.getFirstNodeByClassByName(
            "vtkMRMLSegmentationNode", "FLAIR (being segmented)"
        )
        if node is not None and panel.session.status.done > 60:
            seen.append(bool(segment_mask(bench.slicer, node, bench.volume).any()))
        return not panel.session.busy

    bench.until(look)
    assert seen
    assert seen[-1]
    assert len(bench.segmentations) == 1


def test_progress_says_slices_and_time(bench):
    write_model(bench.models, "tiny", width=16, depth=3)
    panel = bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer, shape=(60, 96, 96))
    bench.one_event_at_a_time()
    bench.click()
    assert panel.ui.segmentButton.text == "Cancel"
    texts = set()

    def note():
        texts.add(panel.ui.progressBar.format)
        return not panel.session.busy

    bench.until(note)
    assert any("of 60" in text and "left" in text for text in texts), texts
    assert not any("of 0" in text for text in texts), texts
    assert panel.ui.segmentButton.text == "Segment"


def test_a_second_run_keeps_ids_names_and_worker(ready):
    ready.run()
    pid = ready.client.pid
    target = ready.parameters.target
    segment_id = target.GetSegmentation().GetNthSegmentID(0)
    target.GetSegmentation().GetSegment(segment_id).SetName("Renamed by the user")
    before = found(ready)
    ready.run()
    assert ready.client.pid == pid
    assert not ready.asked
    assert ready.parameters.target is target
    assert target.GetSegmentation().GetNumberOfSegments() == 1
    assert target.GetSegmentation().GetNthSegmentID(0) == segment_id
    assert target.GetSegmentation().GetNthSegment(0).GetName() == "Renamed by the user"
    assert (found(ready) == before).all()


def test_the_result_is_one_undo_step(ready):
    ready.run()
    target = ready.parameters.target
    edit_by_hand(ready.slicer, target, ready.volume, BY_HAND)
    edited = found(ready)
    ready.answers = ["replace"]
    ready.run()
    assert not found(ready)[BY_HAND].any()
    ready.panel.editor.widget.undo()
    assert (found(ready) == edited).all()
    ready.panel.editor.widget.redo()
    assert not found(ready)[BY_HAND].any()


def test_a_first_result_can_be_undone(ready):
    target = ready.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    target.GetSegmentation().AddEmptySegment("mine", "Mine")
    ready.parameters.target = target
    ready.run()
    assert target.GetSegmentation().GetNumberOfSegments() == 2
    ready.panel.editor.widget.undo()
    assert target.GetSegmentation().GetNumberOfSegments() == 1


@pytest.mark.parametrize("answer", ["replace", "add", "new segmentation", None])
def test_edited_segments_are_never_overwritten_unasked(ready, answer):
    ready.run()
    target = ready.parameters.target
    edit_by_hand(ready.slicer, target, ready.volume, BY_HAND)
    ready.answers = [answer]
    ready.run()
    assert ready.asked == [["Tumour"]]
    painted = segment_mask(ready.slicer, target, ready.volume)[BY_HAND].all()
    assert painted == (answer != "replace")
    if answer == "new segmentation":
        assert ready.parameters.target is not target
        assert dice(found(ready), ready.mask) > 0.9
    elif answer == "add":
        assert dice(found(ready), ready.mask) > 0.7
    assert len(ready.segmentations) == (2 if answer == "new segmentation" else 1)


def test_what_a_run_was_added_to_is_still_drawn_by_hand(ready):
    ready.run()
    target = ready.parameters.target
    edit_by_hand(ready.slicer, target, ready.volume, BY_HAND)
    ready.answers = ["add", None]
    ready.run()
    ready.run()
    assert ready.asked == [["Tumour"], ["Tumour"]]
    assert segment_mask(ready.slicer, target, ready.volume)[BY_HAND].all()


def test_segments_of_others_stay_as_they_are(ready):
    slicer = ready.slicer
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    target.SetReferenceImageGeometryParameterFromVolumeNode(ready.volume)
    target.GetSegmentation().AddEmptySegment("mine", "Mine")
    edit_by_hand(slicer, target, ready.volume, BY_HAND)
    ready.parameters.target = target
    ready.run()
    target.GetSegmentation().CollapseBinaryLabelmaps(False)
    ready.run()
    assert target.GetSegmentation().GetNumberOfSegments() == 2
    assert segment_mask(slicer, target, ready.volume, 0)[BY_HAND].all()
    assert segment_mask(slicer, target, ready.volume, 0).sum() == 2 * 4 * 4
    assert dice(found(ready, 1), ready.mask) > 0.9


def test_a_target_of_surfaces_is_refused_with_a_line(ready):
    import vtk

    target = ready.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surfaces")
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    target.GetSegmentation().SetSourceRepresentationName("Closed surface")
    target.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "S", (1, 0, 0))
    ready.parameters.target = target
    status = ready.run()
    assert status.failed
    assert "surfaces" in status.line


def test_a_result_that_was_made_surfaces_is_refused_before_anything_is_asked(ready):
    ready.run()
    target = ready.parameters.target
    edit_by_hand(ready.slicer, target, ready.volume, BY_HAND)
    target.CreateClosedSurfaceRepresentation()
    target.GetSegmentation().SetSourceRepresentationName("Closed surface")
    target.GetSegmentation().RemoveRepresentation("Binary labelmap")
    status = ready.run()
    assert status.failed
    assert "its segments are surfaces" in status.line
    assert ready.asked == []


def test_the_sensitivity_works_on_kept_probabilities(ready):
    ready.run()
    slider = ready.panel.ui.sensitivitySlider
    assert slider.enabled
    sizes = {}
    jobs = ready.panel.session.runner.job.number
    for value in (100, -100, 0):
        slider.value = value
        ready.until(lambda: not ready.panel.session.pending)
        sizes[value] = int(found(ready).sum())
    assert ready.panel.session.runner.job.number == jobs
    assert sizes[-100] <= sizes[0] <= sizes[100]
    assert sizes[-100] < sizes[100]
    ready.panel.editor.widget.undo()
    assert found(ready).sum() == sizes[0]


def test_a_shown_surface_is_made_anew_after_the_slices(ready):
    ready.run()
    target = ready.parameters.target
    ready.panel.ui.show3DButton.toggle()
    surface = ready.slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    segment = target.GetSegmentation().GetNthSegment(0)
    before = segment.GetRepresentation(surface).GetNumberOfPoints()
    ready.panel.ui.sensitivitySlider.value = 100
    ready.until(lambda: not ready.panel.session.pending)
    assert ready.panel.ui.show3DButton.text == "Updating 3D…"
    ready.until(lambda: target.GetSegmentation().ContainsRepresentation(surface))
    assert segment.GetRepresentation(surface).GetNumberOfPoints() != before
    assert ready.panel.ui.show3DButton.text == "Show 3D"


def test_the_sensitivity_leaves_edited_segments_alone(ready):
    ready.run()
    edit_by_hand(ready.slicer, ready.parameters.target, ready.volume, BY_HAND)
    edited = found(ready)
    ready.panel.ui.sensitivitySlider.value = 100
    ready.until(lambda: not ready.panel.session.pending)
    assert (found(ready) == edited).all()
    ready.panel.selection_changed()
    assert not ready.panel.ui.sensitivitySlider.enabled


def test_only_the_slice_that_is_shown(ready):
    import pictures

    ready.run()
    pictures.picture_of_slice(ready.volume, ready.folder / "view.png", offset=5 * 5.0)
    edit_by_hand(ready.slicer, ready.parameters.target, ready.volume, BY_HAND)
    edit_by_hand(
        ready.slicer, ready.parameters.target, ready.volume, (5, slice(40, 44), slice(40, 44))
    )
    ready.parameters.extent = "this slice"
    ready.answers = ["replace"]
    status = ready.run()
    assert not status.failed, status.line
    assert not found(ready)[5, 40:44, 40:44].any()
    assert found(ready)[BY_HAND].all()
    assert dice(found(ready)[4:8], ready.mask[4:8]) > 0.8


def test_only_a_region(ready):
    slicer = ready.slicer
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    region.SetCenter((28, 24, 20))
    region.SetSize((12, 40, 8))
    ready.parameters.extent = "region"
    ready.parameters.region = region
    status = ready.run()
    assert not status.failed, status.line
    z, _y, x = np.nonzero(found(ready))
    assert z.min() >= 4
    assert z.max() <= 4
    assert x.min() >= 22
    assert x.max() <= 34


@pytest.mark.parametrize(("extent", "words"), [("region", "region"), ("this slice", "slice")])
def test_limits_outside_the_volume_give_a_line(ready, extent, words):
    slicer = ready.slicer
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    region.SetCenter((2800, 24, 20))
    region.SetSize((12, 40, 8))
    ready.parameters.extent = extent
    ready.parameters.region = region
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    if view is not None:
        view.SetSliceOffset(5000)
    status = ready.run()
    assert status.failed
    assert words in status.line


def test_two_labels_and_the_default_for_ct(bench):
    write_model(bench.models, "tiny-brain")
    write_ct_model(bench.models, "tiny-liver")
    panel = bench.open()
    bench.volume = add_body(bench.slicer)
    bench.parameters.volume = bench.volume
    bench.turn()
    assert "tiny-liver" in panel.ui.modelSummary.text
    assert not panel.ui.sequences.visible
    status = bench.run()
    assert not status.failed, status.line
    names = [bench.parameters.target.GetSegmentation().GetNthSegment(n).GetName() for n in range(2)]
    assert names == ["Liver", "Liver tumour"]
    assert found(bench, 1)[5:7, 21:27, 21:27].all()
    assert found(bench, 0)[4, 18:38, 18:38].all()
    assert not (found(bench, 0) & found(bench, 1)).any()


def test_without_any_model_one_can_be_imported(bench):
    panel = bench.open()
    bench.parameters.volume = add_body(bench.slicer)
    bench.turn()
    assert "import another with Change" in panel.ui.inputNote.text
    panel.ui.changeModelButton.click()
    assert panel.ui.changeModelButton.text == "Close"
    assert panel.ui.importFileButton.enabled


def test_no_model_for_a_modality_gives_a_line_and_others_can_be_chosen(bench):
    write_model(bench.models, "tiny-brain")
    panel = bench.open()
    bench.parameters.volume = add_body(bench.slicer)
    bench.turn()
    assert "no model for CT" in panel.ui.inputNote.text
    assert not panel.ui.segmentButton.enabled
    assert panel.ui.changeModelButton.enabled
    panel.ui.modelList.currentRow = 0
    assert bench.parameters.model == "tiny-brain"
    assert panel.ui.segmentButton.enabled


def test_the_dicom_tag_tells_the_modality(bench):
    write_model(bench.models, "tiny-brain")
    write_ct_model(bench.models, "tiny-liver")
    panel = bench.open()
    volume = add_body(bench.slicer)
    volume.SetAttribute("DICOM.Modality", "MR")
    bench.parameters.volume = volume
    bench.turn()
    assert "tiny-brain" in panel.ui.modelSummary.text


def test_sequences_are_filled_in_by_name_and_resampled_with_a_word(bench):
    write_model(bench.models, "tiny")
    panel = bench.open()
    slicer = bench.slicer
    flair, _ = add_head(slicer, "AX FLAIR")
    t1, _ = add_head(slicer, "AX T1")
    finer = HEAD_MATRIX @ np.diag([0.5, 0.5, 1, 1])
    voxels, _ = head((12, 128, 128))
    t1c = slicer.util.addVolumeFromArray(voxels, finer, "AX T1 post contrast")
    bench.parameters.volume = flair
    bench.turn()
    chosen = panel.selection.chosen_sequences(panel.selection.bundle)
    assert chosen == {"t1": t1, "t1c": t1c}
    assert "AX T1 post contrast" in panel.ui.inputNote.text
    status = bench.run()
    assert not status.failed
    assert "resampled" in status.line


def test_several_volumes_one_after_the_other(bench):
    write_model(bench.models, "tiny")
    panel = bench.open()
    volumes = [add_head(bench.slicer, name)[0] for name in ("FLAIR A", "FLAIR B", "FLAIR C")]
    constant = bench.slicer.util.addVolumeFromArray(
        np.ones((4, 32, 32), np.int16), HEAD_MATRIX, "Constant"
    )
    panel.ui.queueAddAllButton.click()
    assert len(panel._queue.entries) == 4
    bench.slicer.mrmlScene.RemoveNode(volumes[1])
    panel.ui.queueRunButton.click()
    bench.until(lambda: not panel._queue.running)
    states = {entry.name: (entry.state, entry.line) for entry in panel._queue.entries}
    assert states["FLAIR A"][0] == states["FLAIR C"][0] == "done"
    assert states["FLAIR B"] == ("failed", "removed from the scene")
    assert states["Constant"][0] == "failed"
    assert "nothing to segment" in states["Constant"][1]
    names = {node.GetName() for node in bench.segmentations}
    assert names == {"FLAIR A segmentation", "FLAIR C segmentation"}
    assert constant is not None


def test_cancelling_stops_the_queue(bench):
    write_model(bench.models, "tiny", width=16, depth=3)
    panel = bench.open()
    for name in ("FLAIR A", "FLAIR B"):
        add_head(bench.slicer, name, shape=(90, 96, 96))
    panel.ui.queueAddAllButton.click()
    bench.one_event_at_a_time()
    panel.ui.queueRunButton.click()
    bench.until(lambda: panel.session.status.done > 0)
    bench.click()
    assert not panel._queue.running
    assert [entry.state for entry in panel._queue.entries] == ["waiting", "waiting"]
    assert not bench.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


@pytest.mark.parametrize(
    "name", ["T1 \N{BRAIN} Müller/Łukasz #1 <b>", " ", 'a "quoted" %s {0} name', "x" * 300]
)
def test_volumes_with_odd_names(bench, name):
    write_model(bench.models, "tiny")
    bench.open()
    bench.volume, mask = add_head(bench.slicer, name)
    bench.parameters.volume = bench.volume
    status = bench.run()
    assert not status.failed, status.line
    assert dice(found(bench), mask) > 0.9


def test_label_maps_and_colour_volumes_are_refused_with_a_line(ready):
    slicer = ready.slicer
    label_map = slicer.util.addVolumeFromArray(
        np.ones((4, 8, 8), np.uint8), HEAD_MATRIX, "L", "vtkMRMLLabelMapVolumeNode"
    )
    colour = slicer.util.addVolumeFromArray(
        np.ones((4, 8, 8, 3), np.uint8), HEAD_MATRIX, "C", "vtkMRMLVectorVolumeNode"
    )
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "E")
    for node, words in ((label_map, "label map"), (colour, "colour"), (empty, "no voxels")):
        ready.parameters.volume = node
        ready.turn()
        assert words in ready.panel.ui.inputNote.text
        assert not ready.panel.ui.segmentButton.enabled


def test_the_ensemble_is_offered_and_used(bench):
    write_model(bench.models, "tiny-a", default=True)
    write_model(bench.models, "tiny-b")
    write_model(bench.models, "tiny-both", members=["tiny-a", "tiny-b"], network=None, weights=None)
    panel = bench.open()
    bench.volume, mask = add_head(bench.slicer)
    bench.parameters.volume = bench.volume
    bench.turn()
    assert panel.ui.ensembleBox.enabled
    assert not panel.ui.onlyDetectedBox.enabled
    panel.ui.ensembleBox.checked = True
    status = bench.run()
    assert not status.failed, status.line
    assert dice(found(bench), mask) > 0.9
    segment = bench.parameters.target.GetSegmentation().GetNthSegment(0)
    import vtk

    value = vtk.reference("")
    assert segment.GetTag("TumorSeg.Model", value)
    assert str(value).startswith("tiny-both")


def test_only_slices_that_the_detector_finds(bench):
    write_model(bench.models, "tiny-brain")
    write_blind_detector(bench.models)
    panel = bench.open()
    bench.volume, _ = add_head(bench.slicer)
    bench.parameters.volume = bench.volume
    bench.turn()
    assert panel.ui.onlyDetectedBox.enabled
    panel.ui.onlyDetectedBox.checked = True
    status = bench.run()
    assert not status.failed, status.line
    assert "slices were not segmented, as blind found nothing there" in status.line
    assert not found(bench).any()


def test_the_search_hides_other_models(bench):
    write_model(bench.models, "tiny-brain")
    write_ct_model(bench.models, "tiny-liver")
    panel = bench.open()
    panel.ui.changeModelButton.click()
    panel.ui.modelSearch.text = "liver ct"
    hidden = [panel.ui.modelList.isRowHidden(row) for row in range(2)]
    assert hidden == [True, False]


@pytest.mark.slow
def test_importing_the_panel_loads_no_torch():
    import subprocess
    import sys
    from pathlib import Path

    pytest.importorskip("slicer")
    root = Path(__file__).resolve().parent.parent
    program = (
        "import sys; sys.path[:0] = ['Testing/host', '.', 'TumorSeg'];"
        "import loading; loading.start();"
        "from pathlib import Path; loading.load_module(Path('TumorSeg').resolve());"
        "import TumorSegModule.widgets.panel;"
        "loaded = {'torch', 'scipy', 'pydicom', 'safetensors'} & set(sys.modules);"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, capture_output=True)


def test_what_tells_an_edited_segment_is_computed_by_the_worker(ready, monkeypatch):
    """It takes long where much is labelled; the sensitivity slider changes it, too."""
    from TumorSegModule.logic import segments

    here, fingerprint = [], segments.fingerprint
    monkeypatch.setattr(
        segments, "fingerprint", lambda segment: here.append(segment) or fingerprint(segment)
    )
    assert not ready.run().failed
    segment = ready.parameters.target.GetSegmentation().GetNthSegment(0)
    first = tag(segment)
    assert first == fingerprint(segment)
    ready.panel.ui.sensitivitySlider.value = 90
    ready.until(lambda: not ready.panel.session.pending)
    assert tag(segment) == fingerprint(segment) != first
    assert not here


def tag(segment):
    from TumorSegLib.slicer_io.segments import tag_of

    return tag_of(segment, "TumorSeg.Voxels")
