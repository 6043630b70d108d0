"""A segmentation of the scene becomes a report, by the panel, on the stand-in application."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from bright_models import LIVER, LIVER_TUMOUR, write_ct_model, write_model
from panel_bench import descendants, shared_blocks
from report_reading import read_page
from results import names_in
from scenes import add_body, add_head, edit_by_hand, segment_mask
from short_turns import short_turns

EVIL = '<script>alert("肝")</script>'


@pytest.fixture
def ready(bench):
    """A panel whose report section is open, with a model for heads and two for bodies."""
    write_model(bench.models, "tiny")
    write_ct_model(bench.models, "tiny-ct")
    kept = [{"kind": "keep_largest", "label": 1, "search_mm": 15.0}]
    whole = {**LIVER, "includes": [2]}
    write_ct_model(bench.models, "search", labels=[whole, LIVER_TUMOUR], postprocessing=kept)
    bench.open()
    bench.volume, bench.mask = add_head(bench.slicer, "DOE JANE FLAIR")
    bench.parameters.volume = bench.volume
    bench.ui, bench.report = bench.panel.ui, bench.panel.report
    bench.ui.reportSection.collapsed = False
    bench.place, bench.suggested, bench.opened = str(bench.folder / "report.html"), [], []
    bench.report._choose = lambda name: bench.suggested.append(name) or bench.place
    bench.report._open = bench.opened.append
    bench.turn()
    return bench


def write(bench):
    """Click, wait for the end and return the page, None if there is none."""
    assert bench.ui.reportButton.enabled
    bench.ui.reportButton.click()
    bench.until(lambda: not bench.report.writer.busy)
    bench.turn()
    path = Path(bench.place)
    return read_page(path.read_text("utf-8")) if path.is_file() else None


def add_segments(bench, masks, name):
    """Add a segmentation of the volume with a segment for each name and mask."""
    slicer = bench.slicer
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    for segment, mask in masks.items():
        added = node.GetSegmentation().AddEmptySegment(segment, segment)
        if mask.any():
            slicer.util.updateSegmentBinaryLabelmapFromArray(
                mask.astype(np.uint8), node, added, bench.volume
            )
    return node


def ticked(bench, *items):
    for item in items:
        getattr(bench.ui, f"{item}ReportBox").checked = True


def test_a_result_is_reported_as_the_model_drew_it(ready):
    assert not ready.ui.reportButton.enabled
    assert not ready.run().failed
    page = write(ready)
    assert ready.opened == [ready.place]
    assert ready.ui.reportResult.text == f"Written: {ready.place}"
    assert ready.suggested == ["report.html"]
    assert page.facts["Tumour"].startswith("2.80 ml in 1 lesion")
    assert page.facts["Model"] == "Tiny tiny (tiny), version 1"
    assert page.facts["Device"].startswith("cpu, ")
    assert page.facts["Sequences"] == "FLAIR"
    assert "Nothing: the segments are as the model drew them." in page.text
    assert "DOE" not in page.text
    assert "Patient and image" not in page.text
    assert "looked through by a person" not in page.text
    assert shared_blocks() == []
    assert not ready.report.writer.client.pid


def test_which_slices_the_network_saw_is_reported(ready):
    ready.parameters.volume = add_body(ready.slicer, shape=(64, 64, 64))
    ready.parameters.model = "search"
    assert not ready.run().failed
    shown = write(ready).facts["Slices that the network saw"]
    ran, everything = map(int, re.match(r"(\d+) of (\d+), ", shown).groups())
    assert 16 <= ran < everything == 64


def test_what_was_corrected_by_hand_is_counted(ready):
    assert not ready.run().failed
    target = ready.parameters.target
    edit_by_hand(ready.slicer, target, ready.volume, (slice(1, 3), slice(40, 44), slice(40, 44)))
    target.SetAttribute("TumorSeg.Reviewed", "1")
    page = write(ready)
    assert ["Tumour", "2", "0.16"] in [row[:3] for table in page.tables for row in table]
    assert "Slices changed: 2, 3." in page.text
    assert "Marked as looked through" in page.text
    assert "in 2 lesions" in page.facts["Tumour"]


def test_segments_drawn_by_hand_are_reported_under_any_name(ready):
    masks = {EVIL: ready.mask, "leer": np.zeros_like(ready.mask)}
    ready.parameters.target = add_segments(ready, masks, "by hand")
    ready.turn()
    page = write(ready)
    assert page.facts[EVIL] == "2.80 ml"
    assert page.facts["leer"] == "not found"
    assert not page.named("script")
    assert "Segmented by hand" in page.text
    assert "what the model drew was not kept" in page.text


def test_a_ct_is_reported_in_hounsfield_units_segment_by_segment(ready):
    ready.parameters.model = "tiny-ct"
    ready.parameters.volume = add_body(ready.slicer)
    ready.turn()
    assert not ready.run().failed
    page = write(ready)
    assert page.tables[0][0][-1] == "Mean ± SD (HU)"
    for index, row in enumerate(page.tables[0][1:3]):
        mask = segment_mask(ready.slicer, ready.parameters.target, ready.parameters.volume, index)
        assert float(row[1]) == pytest.approx(mask.sum() * 5 / 1000, abs=0.05)


def test_only_what_is_ticked_and_known_identifies(ready):
    slicer, ui = ready.slicer, ready.ui
    ready.volume.SetName("DOE JANE T2")
    assert not ready.run().failed
    assert not ui.nameReportBox.enabled
    assert ui.volumeReportBox.enabled
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe^Jane (4711)")
    hierarchy.SetItemAttribute(patient, "DICOM.PatientName", "Doe^Jane")
    hierarchy.SetItemAttribute(patient, "DICOM.PatientID", "4711")
    study = hierarchy.CreateStudyItem(patient, "Head follow-up (20240131)")
    hierarchy.SetItemAttribute(study, "DICOM.StudyDate", "20240131")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(ready.volume), study)
    ready.panel.selection_changed()
    boxes = ("name", "id", "birth", "sex", "date", "study", "volume")
    usable = [item for item in boxes if getattr(ui, f"{item}ReportBox").enabled]
    assert usable == ["name", "id", "date", "study", "volume"]
    ticked(ready, "name", "date", "birth")
    ready.volume.SetName("FLAIR")  # a warning of the run has its name of that time
    page = write(ready)
    known = {"Patient's name": "Doe, Jane", "Date of the study": "2024-01-31"}
    assert known.items() <= page.facts.items()
    assert "Date of birth" not in page.facts
    assert "the volume: its name says T2, expected FLAIR" in page.text
    for word in ("4711", "Head follow-up", "DOE JANE"):
        assert word not in page.text
    slicer.mrmlScene.Clear()
    ready.turn()
    assert not any(getattr(ui, f"{item}ReportBox").checked for item in boxes)


def test_the_follow_up_of_the_panel_is_in_the_report(ready):
    from TumorSegModule.logic.follow_up_pairs import choose_earlier

    ready.ui.followUpSection.collapsed = False
    assert not ready.run().failed
    earlier = add_segments(ready, {"Tumour": ready.mask}, "earlier")
    edit_by_hand(
        ready.slicer,
        ready.parameters.target,
        ready.volume,
        (slice(4, 8), slice(20, 30), slice(36, 50)),
    )
    measured = ready.panel.measured
    choose_earlier(ready.parameters.target, earlier)
    measured.segments.observe_earlier()
    ready.until(lambda: measured.findings is not None and measured.findings.changes)
    page = write(ready)
    found = next(table for table in page.tables if table[0][0] == "Earlier")
    assert found[0] == [
        "Earlier",
        "Now",
        "Change",
        "Earlier (mm)",
        "Now (mm)",
        "Change (%)",
        "Volume (%)",
    ]
    assert found[1][:3] == ["1", "1", "grown"]
    assert "RECIST 1.1, computed from the table" in page.text


def test_a_file_that_cannot_be_written_is_told(ready):
    assert not ready.run().failed
    (ready.folder / "file").write_text("mine")
    ready.place = str(ready.folder / "file" / "report.html")
    assert write(ready) is None
    assert "is not a folder" in ready.ui.reportResult.text
    assert ready.opened == []
    ready.place = ""
    before = ready.ui.reportResult.text
    assert write(ready) is None
    assert ready.ui.reportResult.text == before


def test_stop_a_killed_worker_and_closing_the_scene_leave_nothing(ready):
    assert not ready.run().failed
    writer = ready.report.writer
    ready.ui.reportButton.click()
    assert ready.ui.reportButton.text == "Stop"
    ready.ui.reportButton.click()
    assert ready.ui.reportResult.text == "Stopped; nothing was written."
    ready.ui.reportButton.click()
    ready.until(lambda: not writer.working and writer.client.pid)
    writer.client._process.kill()
    ready.until(lambda: not writer.busy)
    assert "ended unexpectedly" in ready.ui.reportResult.text
    ready.ui.reportButton.click()
    ready.slicer.mrmlScene.Clear()
    ready.turn(50)
    assert not writer.busy
    assert ready.ui.reportResult.text == "The scene was closed; nothing was written."
    kept = {ready.client.pid} - {None}
    ready.until(lambda: set(descendants()) <= kept)
    assert not list(ready.folder.glob("*.html"))
    assert not [name for name in names_in(ready.folder) if name.startswith(".")]


def test_a_worker_that_dies_while_voxels_are_copied_is_told(ready, monkeypatch):
    from TumorSegModule.logic import worker_errand

    assert not ready.run().failed
    short_turns(monkeypatch, worker_errand)
    writer = ready.report.writer
    ready.ui.reportButton.click()
    ready.until(lambda: writer.client.pid)
    assert writer.working
    writer.client._process.kill()
    writer.client._process.wait()
    ready.until(lambda: not writer.busy)
    assert "ended unexpectedly" in ready.ui.reportResult.text


def test_a_fault_of_ours_ends_the_report_and_the_next_one_is_written(ready, monkeypatch):
    assert not ready.run().failed
    import TumorSegModule.logic.report_writer as module

    def faulty(_node):
        raise KeyError("tag")

    with monkeypatch.context() as patch:
        patch.setattr(module, "stamps_of", faulty)
        assert write(ready) is None
    assert "unexpected fault, please report it: KeyError in" in ready.ui.reportResult.text
    assert any("KeyError" in line for line in ready.report.writer.client.log)
    assert write(ready) is not None


def test_a_segmentation_that_is_edited_meanwhile_is_not_reported_half(ready, monkeypatch):
    assert not ready.run().failed
    import TumorSegModule.logic.report_writer as module

    stamps = iter(range(1000))
    monkeypatch.setattr(module, "stamps_of", lambda _node: next(stamps))
    assert write(ready) is None
    assert "was changed meanwhile; write the report again" in ready.ui.reportResult.text


def test_a_pdf_asks_for_what_writes_it(ready, monkeypatch):
    import TumorSegModule.widgets.report_section as module

    assert not ready.run().failed
    ready.place, asked = str(ready.folder / "report.pdf"), []
    monkeypatch.setattr(module, "ensure_installed", lambda _then, **what: asked.append(what))
    ready.ui.reportButton.click()
    assert asked == [{"pdf": True}]
    assert not ready.report.writer.busy
    monkeypatch.undo()
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("reportlab")
    ready.ui.reportButton.click()
    ready.until(lambda: not ready.report.writer.busy)
    assert "Findings" in pypdf.PdfReader(ready.place).pages[0].extract_text()
    assert ready.opened == [ready.place]


def test_what_a_pdf_needs_is_asked_for_in_its_own_words(host, monkeypatch):
    from TumorSegModule.logic import requirements
    from TumorSegModule.widgets import installation

    missing = [requirements.Missing("reportlab", "reportlab>=4.2", requirements.ABSENT)]
    text = installation.question(missing, training=False, pdf=True)
    assert text.startswith("To write a PDF, TumorSeg needs reportlab.")
    assert "reportlab>=4.2" in requirements.requirement_lines(pdf=True)
    assert "reportlab>=4.2" not in requirements.requirement_lines()


def test_the_dialog_gives_the_ending_of_the_chosen_kind(ready, monkeypatch):
    import qt

    from TumorSegModule.widgets.report_section import choose_file

    def accept(dialog):
        dialog.selectNameFilter("PDF (*.pdf)")
        dialog.filterSelected.emit("PDF (*.pdf)")
        dialog.selectFile(str(ready.folder / "mine"))
        return 1

    monkeypatch.setattr(qt.QFileDialog, "exec_", accept, raising=False)
    ready.slicer.app.userSettings().setValue("TumorSeg/ReportFolder", str(ready.folder))
    assert choose_file("report.html") == str(ready.folder / "mine.pdf")


def opened_again(bench):
    """Save the scene, close it and open it."""
    path, scene = bench.folder / "scene.mrb", bench.slicer.mrmlScene
    assert scene.WriteToMRB(str(path))
    scene.Clear()
    scene.SetURL(str(path))
    assert scene.ReadFromMRB(str(path), True)
    bench.turn(50)


def test_a_scene_that_is_opened_again_reports_how_the_model_was_run(ready):
    assert not ready.run().failed
    before = write(ready)
    assert "channel t1: not given" in before.text
    told = ("channel t1", "Device", "Sequences", "Time")
    lines = [line for line in before.text.splitlines() if line.startswith(told)]
    assert len(lines) == 5
    opened_again(ready)
    after = write(ready).text.splitlines()
    assert [line for line in after if line.startswith(told)] == lines


def test_each_segmentation_has_its_own_runs_warnings(ready):
    assert not ready.run().failed
    first = ready.parameters.target
    second, _ = add_head(ready.slicer, "Another", shape=(14, 64, 64))
    ready.parameters.volume = second
    ready.turn()
    assert not ready.run().failed
    ready.parameters.volume, ready.parameters.target = ready.volume, first
    ready.turn()
    assert "channel t1: not given" in write(ready).text


def test_a_follow_up_is_measured_for_the_report_where_its_section_is_folded(ready):
    from TumorSegModule.logic.follow_up_pairs import choose_earlier

    assert not ready.run().failed
    earlier = add_segments(ready, {"Tumour": ready.mask}, "January")
    choose_earlier(ready.parameters.target, earlier)
    opened_again(ready)
    page = write(ready)  # at once, where a person would choose a file first
    assert not any(table[0][0] == "Earlier" for table in page.tables)
    assert "The comparison with January is not in it" in ready.ui.reportResult.text
    ready.until(lambda: not ready.panel.measured.busy)
    page = write(ready)
    assert any(table[0][0] == "Earlier" for table in page.tables)
    assert ready.ui.reportResult.text == f"Written: {ready.place}"


def test_a_run_that_was_undone_is_not_reported(ready):
    assert not ready.run().failed
    ready.slicer.util.arrayFromVolume(ready.volume)[5, 30:34, 40:44] = 200
    ready.volume.GetImageData().Modified()
    picked, _ = add_head(ready.slicer, "Series 7")
    ready.panel._sequences._rows["t1"].kept.keep(picked)
    assert not ready.run().failed
    assert "FLAIR, T1" in write(ready).text
    ready.panel.editor.widget.undo()
    assert "FLAIR, T1" not in write(ready).text
