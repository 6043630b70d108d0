"""Segments of the scene become cases of a data set, by the panel, on the stand-in application."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from bright_models import write_ct_model, write_model
from panel_bench import descendants, shared_blocks
from results import names_in
from scenes import add_body, add_head, edit_by_hand, head
from stepped_worker import SteppedClient
from test_grid import rotation_about

from TumorSegLib.cli import main

OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = rotation_about(0, 23) @ rotation_about(2, -11) @ np.diag([0.9, 0.7, 4.5])
OBLIQUE[:3, 3] = -31.25, 12.5, 101


@pytest.fixture
def ready(bench, monkeypatch):
    """A panel whose export section is open, with a model for heads and an oblique head."""
    monkeypatch.setenv("XDG_DATA_HOME", str(bench.folder / "home"))
    write_model(bench.models, "tiny")
    write_ct_model(bench.models, "tiny-ct")
    bench.open()
    bench.volume, bench.mask = add_head(bench.slicer, matrix=OBLIQUE)
    bench.parameters.volume = bench.volume
    bench.dataset = bench.folder / "Dataset501_brain"
    bench.ui = bench.panel.ui
    bench.ui.exportSection.collapsed = False
    bench.ui.exportFolder.text = str(bench.folder)
    bench.questions = []
    bench.panel.export._ask = lambda *question: bench.questions.append(question) or bench.yes
    bench.turn()
    return bench


def add_segmentation(bench, volume, masks, name="corrected"):
    """Add a segmentation of `volume` with a segment for each name and mask."""
    slicer = bench.slicer
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for segment, mask in masks.items():
        added = node.GetSegmentation().AddEmptySegment(segment, segment)
        if mask.any():
            slicer.util.updateSegmentBinaryLabelmapFromArray(
                mask.astype(np.uint8), node, added, volume
            )
    return node


def export(bench):
    """Click Export, wait for the end and return the line that is shown."""
    assert bench.ui.exportButton.enabled
    bench.ui.exportButton.click()
    bench.until(lambda: not bench.panel.export.exporter.busy)
    bench.turn()
    return bench.ui.exportResult.text


def cases(bench):
    return json.loads((bench.dataset / "dataset.json").read_text())["dataset"]


def label(bench, case):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(bench.dataset / cases(bench)[case]["label"])))


def record(bench, case):
    return json.loads((bench.dataset / "cases" / f"{case}.json").read_text())


def test_a_result_is_exported_as_it_was_corrected(ready):
    assert not ready.run().failed
    ready.ui.exportScopeSelector.currentIndex = 1
    assert ready.ui.exportNote.text == "1 case (Tumour) for Dataset501_brain."
    ready.ui.exportScopeSelector.currentIndex = 0
    target = ready.parameters.target
    target.SetAttribute("TumorSeg.Reviewed", "1")
    slicer, segment = ready.slicer, target.GetSegmentation().GetNthSegmentID(0)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(target, segment, ready.volume)
    mask[0:2, 40:44, 40:44] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, target, segment, ready.volume)
    assert ready.ui.exportNote.text == "1 case (Tumour) for Dataset501_brain."
    assert export(ready).startswith("1 case exported to Dataset501_brain, which has 1 now.")
    (case,) = cases(ready)
    np.testing.assert_array_equal(label(ready, case), mask)
    images = names_in(ready.dataset / "imagesTr")
    assert images == [f"{case}_{number:04d}.nii.gz" for number in range(3)]
    image = sitk.ReadImage(str(ready.dataset / "imagesTr" / images[0]))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), head()[0])
    there = image.TransformIndexToPhysicalPoint((3, 4, 5))
    np.testing.assert_allclose((OBLIQUE @ [3, 4, 5, 1])[:3] * [-1, -1, 1], there, atol=1e-3)
    found = record(ready, case)
    assert (found["reviewed"], found["corrected"], found["drawn_by"]) == (True, True, ["tiny 1"])
    said = json.loads(target.GetAttribute("TumorSeg.Correction"))
    assert found["correction"] == {name: said[name] for name in ("slices", "millilitres", "dice")}
    assert found["correction"]["slices"] == 2
    assert found["replaced"] == {"t1": "flair", "t1c": "flair"}
    assert not ready.panel.export.exporter.client.pid
    assert shared_blocks() == []


def test_all_segmentations_of_the_scene(ready):
    slicer, mask = ready.slicer, ready.mask
    add_segmentation(ready, ready.volume, {"Tumour": mask})
    second, _ = add_head(slicer, "second", shape=(14, 64, 64))
    add_segmentation(ready, second, {"Tumour": np.zeros((14, 64, 64), bool)}, "nothing there")
    reference = add_segmentation(ready, second, {"Tumour": np.ones((14, 64, 64))}, "as the AI drew")
    reference.SetAttribute("TumorSeg.ReferenceFor", "vtkMRMLSegmentationNode9")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "without segments")
    add_segmentation(ready, add_body(slicer), {"Tumour": mask}, "of a CT")
    ready.ui.exportScopeSelector.currentIndex = 1
    assert ready.ui.exportNote.text.startswith("3 cases (Tumour)")
    line = export(ready)
    assert line.startswith("2 cases exported to Dataset501_brain, which has 2 now."), line
    assert "of a CT: CT is CT, the model Tiny tiny is for MR; export it by itself" in line
    assert sorted(int(label(ready, case).sum()) for case in cases(ready)) == [0, mask.sum()]


def test_further_sequences_go_along(ready):
    from TumorSegModule.logic.settings import set_channel_node

    t1, _ = add_head(ready.slicer, "T1", matrix=OBLIQUE)
    ready.slicer.util.arrayFromVolume(t1)[:] += 7
    set_channel_node(ready.parameters, "t1", t1)
    ready.parameters.target = add_segmentation(ready, ready.volume, {"Tumour": ready.mask})
    ready.panel.selection_changed()
    export(ready)
    (case,) = cases(ready)
    image = sitk.ReadImage(str(ready.dataset / "imagesTr" / f"{case}_0001.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), head()[0] + 7)
    assert record(ready, case)["replaced"] == {"t1c": "flair"}


def test_unknown_segments_are_mapped_in_a_table(ready):
    other = np.zeros_like(ready.mask)
    other[8:10, 50:55, 50:55] = True
    drawn = {"Läsion": ready.mask, "Artefakt": other}
    ready.parameters.target = add_segmentation(ready, ready.volume, drawn)
    ready.turn()
    table, ui = ready.ui.exportTable, ready.ui
    assert not ui.exportButton.enabled
    assert "the model's labels (Tumour)" in ui.exportNote.text
    assert [table.item(row, 0).text() for row in range(table.rowCount)] == ["Läsion", "Artefakt"]
    for row, choice in enumerate(("Tumour", "Leave out")):
        box = table.cellWidget(row, 1)
        assert [box.itemText(index) for index in range(box.count)] == [
            "Choose…",
            "Leave out",
            "Tumour",
        ]
        box.currentIndex = box.findText(choice)
    export(ready)
    (case,) = cases(ready)
    np.testing.assert_array_equal(label(ready, case), ready.mask)


def test_the_same_case_again_asks_to_replace(ready):
    target = add_segmentation(ready, ready.volume, {"Tumour": ready.mask})
    ready.parameters.target = target
    ready.turn()
    export(ready)
    assert ready.questions == []
    empty = np.zeros_like(ready.mask, np.uint8)
    ready.slicer.util.updateSegmentBinaryLabelmapFromArray(empty, target, "Tumour", ready.volume)
    ready.yes = False
    assert "in Dataset501_brain already, left as they were" in export(ready)
    (case,) = cases(ready)
    np.testing.assert_array_equal(label(ready, case), ready.mask)
    ready.yes = True
    assert export(ready).startswith("1 case exported")
    assert len(ready.questions) == 2
    assert ready.questions[1][0] == "In Dataset501_brain already: corrected."
    assert not label(ready, case).any()


def test_overlapping_segments_get_one_file_a_segment_if_wanted(ready):
    ready.parameters.model = "tiny-ct"
    ready.parameters.volume = add_body(ready.slicer)
    shape = (12, 64, 64)
    both = np.zeros(shape, bool)
    both[4:8, 20:30, 20:30] = True
    drawn = {"Liver": both, "Liver tumour": both}
    ready.parameters.target = add_segmentation(ready, ready.parameters.volume, drawn)
    ready.turn()
    ready.dataset = ready.folder / "Dataset501_abdomen"
    ready.yes = False
    line = export(ready)
    assert "Nothing was exported" in line
    assert "overlap" in line
    assert not ready.dataset.exists()
    ready.yes = True
    assert export(ready).startswith("1 case exported")
    (folder,) = (ready.dataset / "segments").iterdir()
    assert names_in(folder) == ["1_Liver.nii.gz", "2_Liver_tumour.nii.gz", "image_0000.nii.gz"]


def test_a_segmentation_that_knows_no_volume_belongs_to_the_one_chosen(ready):
    target = add_segmentation(ready, ready.volume, {"Tumour": ready.mask})
    target.SetNodeReferenceID(target.GetReferenceImageGeometryReferenceRole(), None)
    ready.parameters.target = target
    ready.turn()
    export(ready)
    (case,) = cases(ready)
    np.testing.assert_array_equal(label(ready, case), ready.mask)
    ready.parameters.target = None
    ready.turn()
    assert ready.ui.exportNote.text == "Choose a segmentation with segments under Result."
    assert not ready.ui.exportButton.enabled


def test_a_segmentation_on_another_grid_is_refused(ready):
    other, _ = add_head(ready.slicer, "other", matrix=np.diag([0.5, 0.5, 4, 1]))
    target = add_segmentation(ready, other, {"Tumour": ready.mask})
    target.SetNodeReferenceID(target.GetReferenceImageGeometryReferenceRole(), ready.volume.GetID())
    ready.parameters.target = target
    ready.turn()
    line = export(ready)
    assert "Nothing was exported" in line
    assert "corrected: segment Tumour: lies on another grid than the volume" in line


def test_cases_under_a_transform_are_exported_where_they_lie_in_the_world(ready):
    slicer = ready.slicer
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_about(1, 15), (5, -7, 9)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    target = add_segmentation(ready, ready.volume, {"Tumour": ready.mask})
    for node in (target, ready.volume):
        node.SetAndObserveTransformNodeID(transform.GetID())
    ready.parameters.target = target
    ready.turn()
    export(ready)
    (case,) = cases(ready)
    np.testing.assert_array_equal(label(ready, case), ready.mask)
    image = sitk.ReadImage(str(ready.dataset / cases(ready)[case]["label"]))
    there = image.TransformIndexToPhysicalPoint((3, 4, 5))
    np.testing.assert_allclose(
        (matrix @ OBLIQUE @ [3, 4, 5, 1])[:3] * [-1, -1, 1], there, atol=1e-3
    )


def test_the_studies_of_a_dicom_patient_stay_together(ready):
    slicer = ready.slicer
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe^Jane")
    hierarchy.SetItemAttribute(patient, "DICOM.PatientID", "4711")
    third, _ = add_head(slicer, "third", shape=(15, 64, 64))
    for number, volume in enumerate(
        (ready.volume, add_head(slicer, "second", shape=(14, 64, 64))[0])
    ):
        study = hierarchy.CreateStudyItem(patient, f"study {number}")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), study)
        shape = slicer.util.arrayFromVolume(volume).shape
        add_segmentation(ready, volume, {"Tumour": np.ones(shape)}, f"of {number}")
    add_segmentation(ready, third, {"Tumour": np.ones((15, 64, 64))}, "of somebody")
    ready.ui.exportScopeSelector.currentIndex = 1
    export(ready)
    records = [record(ready, case) for case in cases(ready)]
    known = [found["patient"] for found in records if found["patient_known"]]
    assert len(known) == 2
    assert len(set(known)) == 1
    content = b"".join(p.read_bytes() for p in ready.dataset.rglob("*.json"))
    assert b"Doe" not in content
    assert b"4711" not in content


def test_the_command_exports_the_saved_scene_alike(ready):
    target = add_segmentation(ready, ready.volume, {"Tumour": ready.mask})
    target.SetAttribute("TumorSeg.Reviewed", "1")
    ready.parameters.target = target
    ready.turn()
    export(ready)
    (case,) = cases(ready)
    scene = ready.folder / "scène.mrb"
    assert ready.slicer.mrmlScene.WriteToMRB(str(scene))
    before = {p: p.read_bytes() for p in ready.dataset.rglob("*.*") if p.is_file()}
    words = ["export", str(scene), "--dataset", str(ready.dataset), "--quiet"]
    words += ["--model", str(ready.models / "tiny")]
    assert main(words) == 2
    assert main([*words, "--replace"]) == 0
    assert {p: p.read_bytes() for p in ready.dataset.rglob("*.*") if p.is_file()} == before
    assert list(cases(ready)) == [case]


def test_stop_and_closing_the_scene_leave_whole_cases(ready):
    for number in range(4):
        volume, mask = add_head(ready.slicer, f"head {number}", shape=(12 + number, 64, 64))
        add_segmentation(ready, volume, {"Tumour": mask}, f"case {number}")
    ready.ui.exportScopeSelector.currentIndex = 1
    ready.ui.exportButton.click()
    ready.until(lambda: len(ready.panel.export.exporter.outcome.done) == 2)
    assert ready.ui.exportButton.text == "Stop"
    assert "of 4" in ready.ui.exportProgress.format
    ready.ui.exportButton.click()
    assert ready.ui.exportResult.text == "Stopped; cases exported before: 2."
    assert len(cases(ready)) in (2, 3)
    ready.yes = True
    ready.ui.exportButton.click()
    ready.until(lambda: ready.panel.export.exporter.outcome.existing)
    ready.slicer.mrmlScene.Clear()
    ready.turn(50)
    assert not ready.panel.export.exporter.busy
    assert ready.ui.exportResult.text == "The scene was closed; cases exported before: 0."
    ready.until(lambda: not descendants())
    assert shared_blocks() == []


def test_a_removed_volume_or_a_killed_worker_costs_its_case_only(ready):
    volumes = []
    for number in range(3):
        volume, mask = add_head(ready.slicer, f"head {number}", shape=(12 + number, 64, 64))
        add_segmentation(ready, volume, {"Tumour": mask}, f"case {number}")
        volumes.append(volume)
    ready.ui.exportScopeSelector.currentIndex = 1
    ready.ui.exportButton.click()
    ready.slicer.mrmlScene.RemoveNode(volumes[2])
    client = ready.panel.export.exporter.client
    ready.until(lambda: client.pid)
    client._process.kill()
    ready.until(lambda: not ready.panel.export.exporter.busy)
    line = ready.ui.exportResult.text
    assert line.startswith("1 case exported"), line
    assert "case 0: the export process ended unexpectedly" in line
    assert "case 2: was removed from the scene" in line


def test_a_fault_of_ours_costs_its_case_only(ready, monkeypatch):
    from TumorSegModule.logic import exporter

    for name in ("a", "b"):
        volume, mask = add_head(ready.slicer, f"head {name}")
        add_segmentation(ready, volume, {"Tumour": mask}, f"case {name}")
    ready.ui.exportScopeSelector.currentIndex = 1
    copied, faults = exporter.copied_masks, [KeyError("tag")]

    def faulty(*given):
        if faults:
            raise faults.pop()
        return copied(*given)

    monkeypatch.setattr(exporter, "copied_masks", faulty)
    line = export(ready)
    assert line.startswith("1 case exported"), line
    assert "case a: unexpected fault, please report it: KeyError in" in line


@pytest.mark.parametrize("how", ["removed", "drawn on", "moved"])
def test_a_volume_that_is_another_when_it_has_been_copied(ready, monkeypatch, how):
    import TumorSegModule.logic.exporter as module

    copy, slicer, volume = module.copy_voxels, ready.slicer, ready.volume

    def copy_slowly(voxels, block):
        yield from copy(voxels, block)
        if how == "removed":
            slicer.mrmlScene.RemoveNode(volume)
        elif how == "drawn on":
            slicer.util.arrayFromVolume(volume)[0] = 7
            slicer.util.arrayFromVolumeModified(volume)
        else:
            volume.SetOrigin(1, 2, 3)

    monkeypatch.setattr(module, "copy_voxels", copy_slowly)
    ready.parameters.target = add_segmentation(ready, volume, {"Tumour": ready.mask})
    ready.turn()
    wanted = "was removed" if how == "removed" else "was changed meanwhile; export it again"
    assert wanted in export(ready)
    assert not ready.dataset.exists()


def test_a_worker_that_dies_after_a_case_costs_the_next_one_nothing(ready):
    for number in range(2):
        volume, mask = add_head(ready.slicer, f"head {number}", shape=(12 + number, 64, 64))
        add_segmentation(ready, volume, {"Tumour": mask}, f"case {number}")
    ready.ui.exportScopeSelector.currentIndex = 1
    exporter = ready.panel.export.exporter
    exporter.client = client = SteppedClient()
    ready.ui.exportButton.click()
    while exporter.working:
        exporter.poll()
    client.run_ahead(5)
    client.kill()
    while exporter.busy:
        exporter.poll()
    assert ready.ui.exportResult.text.startswith("2 cases exported")
    assert client.workers == 2


def test_segments_that_are_edited_while_they_are_copied(ready, monkeypatch):
    stamps = iter(range(1000))
    monkeypatch.setattr("TumorSegModule.logic.segment_copies.stamps_of", lambda _node: next(stamps))
    ready.parameters.target = add_segmentation(ready, ready.volume, {"Tumour": ready.mask})
    ready.turn()
    assert "corrected: is being edited; export it when you have done" in export(ready)
    assert not ready.dataset.exists()


def test_what_was_corrected_while_another_segmentation_was_shown_counts(ready):
    assert not ready.run().failed
    first = ready.parameters.target
    ready.until(lambda: first.GetAttribute("TumorSeg.Correction"))
    ready.parameters.target = add_segmentation(ready, ready.volume, {"Other": ready.mask}, "other")
    ready.turn()
    edit_by_hand(ready.slicer, first, ready.volume, np.s_[0:2, 40:44, 40:44])
    ready.slicer.mrmlScene.RemoveNode(ready.parameters.target)
    ready.ui.exportScopeSelector.currentIndex = 1
    line = export(ready)
    assert "as the model drew it" not in line
    (case,) = cases(ready)
    assert record(ready, case)["corrected"] is True
    assert record(ready, case)["correction"]["slices"] == 2


def test_another_volumes_case_has_the_sequences_of_its_run(ready):
    picked, _ = add_head(ready.slicer, "Series 7", matrix=OBLIQUE)
    ready.panel._sequences._rows["t1"].kept.keep(picked)
    assert not ready.run().failed
    first = ready.parameters.target
    path = ready.folder / "scene.mrb"
    scene = ready.slicer.mrmlScene
    ready.parameters.volume, _ = add_head(ready.slicer, "FLAIR", shape=(14, 64, 64))
    ready.turn()
    assert scene.WriteToMRB(str(path))
    name = first.GetName()
    scene.Clear()
    scene.SetURL(str(path))
    assert scene.ReadFromMRB(str(path), True)
    ready.turn()
    from TumorSegModule.logic.export_choice import case_to_export

    selection = ready.panel.selection
    first = ready.slicer.util.getNode(name)
    case = case_to_export(selection, first, selection.bundle, whole_scene=True)
    assert case.volumes["t1"].GetName() == "Series 7"
    ready.parameters.volume = case.volumes["flair"]
    ready.turn()
    assert selection.channel_node("t1") is case.volumes["t1"]
