"""The lesions of a segmentation in the panel, on the stand-in."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from lesion_bench import LARGE, SMALL, cells, draw, liver, mask, measured_panel, settle
from panel_bench import alive, descendants, shared_blocks

from TumorSegLib.measurement.segment import measure_segment
from TumorSegLib.support.steps import finished


@pytest.fixture
def measured(bench):
    """A panel with the two lesions of a result, and a slice view."""
    return measured_panel(bench)


def pick(bench, row):
    bench.panel.ui.lesionsTable.selectRow(row)


def red(bench):
    return bench.slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")


def nodes(bench, kind):
    return bench.slicer.util.getNodesByClass(kind)


def lesion_table(bench):
    from TumorSegModule.logic.lesion_table import table_of

    return table_of(bench.parameters.target)


def figures(bench, index=1):
    """What the library measures of a segment, here and now."""
    from TumorSegLib.slicer_io.geometry import placement_of

    voxels = bench.slicer.util.arrayFromVolume(bench.volume)
    return measure_segment(mask(bench, index), placement_of(bench.volume).grid, voxels=voxels)


def test_after_a_run_the_lesions_are_listed_with_totals_above(measured):
    ui, tumours = measured.panel.ui, figures(measured)
    assert not ui.lesionsSection.isHidden()
    assert len(tumours.parts) == 2
    whole = (mask(measured, 0) | mask(measured, 1)).sum() * 0.005
    assert cells(ui.lesionTotals) == [
        ["Liver with tumours", f"{whole:.1f} ml"],
        ["Number of tumours", "2"],
        ["Tumour burden", f"{tumours.volume_ml / whole * 100:.2f} %"],
    ]
    shown = cells(ui.lesionsTable)
    for row, part in zip(shown, tumours.parts, strict=True):
        assert row[:3] == [
            str(part.number),
            f"{part.volume_ml:.2f}",
            f"{part.longest_axial_diameter_mm:.1f}",
        ]
        assert row[6] == f"{part.mean:.0f}"
        assert 50 < float(row[5]) <= 100
    headings = [ui.lesionsTable.horizontalHeaderItem(n).text() for n in range(7)]
    assert headings[1::5] == ["Volume\n(ml)", "Mean\n(HU)"]
    assert ui.lesionsNote.isHidden()
    assert not ui.addBackButton.isVisible()


def test_a_click_moves_all_views_to_the_longest_diameter_and_marks_it(measured):
    pick(measured, 1)
    part = figures(measured).parts[1]
    assert red(measured).GetSliceOffset() == pytest.approx(part.long_axis_mm[0][2])
    lines = measured.panel.measured.lesions.mark.nodes
    assert len(lines) == 2
    for line, ends in zip(lines, (part.long_axis_mm, part.short_axis_mm), strict=True):
        points = np.array([line.GetNthControlPointPositionWorld(n) for n in range(2)])
        np.testing.assert_allclose(points * (-1, -1, 1), ends, atol=1e-6)
        assert not line.GetSaveWithScene()
        assert line.GetHideFromEditors()
        assert line.GetLocked()
    length = np.linalg.norm(points[0] - points[1])
    assert length == pytest.approx(part.perpendicular_diameter_mm)
    pick(measured, 0)
    assert len(nodes(measured, "vtkMRMLMarkupsLineNode")) == 2
    measured.parameters.target = None
    measured.turn()
    assert not nodes(measured, "vtkMRMLMarkupsLineNode")
    assert measured.panel.ui.lesionsSection.isHidden()


def test_a_view_that_does_not_see_the_lesion_is_centred_on_it(measured):
    view = red(measured)
    view.SetFieldOfView(10, 10, 1)
    view.GetSliceToRAS().SetElement(0, 3, 500)
    view.UpdateMatrices()
    pick(measured, 1)
    to_ras = measured.slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
    middle = np.mean(figures(measured).parts[1].long_axis_mm, axis=0) * (-1, -1, 1)
    np.testing.assert_allclose(to_ras[:3, 3], middle, atol=1e-6)


def test_keys_go_from_lesion_to_lesion(measured):
    ui, lesions = measured.panel.ui, measured.panel.measured.lesions
    assert ui.nextLesionButton.shortcut.toString() == "Shift+N"
    assert ui.previousLesionButton.shortcut.toString() == "Shift+P"
    seen = []
    for button in (ui.nextLesionButton, ui.nextLesionButton, ui.nextLesionButton):
        button.click()
        seen.append(lesions._place)
    ui.previousLesionButton.click()
    assert [*seen, lesions._place] == [0, 1, 0, 1]


def test_no_other_part_of_slicer_takes_the_keys(measured):
    from segment_editor import KEYS

    from TumorSegModule.widgets import lesions_section, review_section

    ours = {lesions_section.NEXT_KEY, lesions_section.PREVIOUS_KEY}
    assert not ours & {*KEYS, review_section.NEXT_KEY, review_section.PREVIOUS_KEY}


def test_a_removed_lesion_becomes_liver_in_one_step_of_undo(measured):
    ui = measured.panel.ui
    liver_before, before = mask(measured, 0), mask(measured, 1)
    assert not ui.removeLesionButton.enabled
    pick(measured, 1)
    ui.removeLesionButton.click()
    settle(measured)
    removed = before & ~mask(measured, 1)
    assert removed[SMALL].sum() == removed.sum() > 0
    assert (mask(measured, 0) == (liver_before | removed)).all()
    assert len(cells(ui.lesionsTable)) == 1
    assert cells(ui.lesionTotals)[1] == ["Number of tumours", "1"]
    assert not nodes(measured, "vtkMRMLMarkupsLineNode")
    measured.panel.editor.widget.undo()
    settle(measured)
    assert (mask(measured, 1) == before).all()
    assert (mask(measured, 0) == liver_before).all()
    assert len(cells(ui.lesionsTable)) == 2


def test_a_removed_lesion_beside_the_organ_is_nothing(measured):
    target, outside = measured.parameters.target, np.s_[1:3, 56:60, 56:60]
    draw(measured, target, outside, 1)
    settle(measured)
    assert len(cells(measured.panel.ui.lesionsTable)) == 3
    before = mask(measured, 0)
    pick(measured, 2)
    measured.panel.ui.removeLesionButton.click()
    settle(measured)
    assert not mask(measured, 1)[outside].any()
    assert (mask(measured, 0) == before).all()


def test_a_lesion_that_was_edited_meanwhile_is_not_removed(measured):
    pick(measured, 0)
    draw(measured, measured.parameters.target, np.s_[5, 30:32, 30:32], 1)
    before = mask(measured, 1)
    measured.panel.ui.removeLesionButton.click()
    measured.until(lambda: not measured.panel.measured.lesions.busy)
    assert (mask(measured, 1) == before).all()
    assert "try again" in measured.panel.ui.lesionsNote.text
    settle(measured)
    assert measured.panel.ui.lesionsNote.isHidden()


def test_what_the_filter_gave_up_is_listed_in_grey_and_can_be_added_back(bench):
    measured_panel(bench, gives_up=True)
    ui, before, organ = bench.panel.ui, mask(bench, 1), mask(bench, 0)
    assert not before[SMALL].any()
    rows = cells(ui.lesionsTable)
    assert [row[0] for row in rows] == ["1", "-"]
    assert rows[1][5] == "10"
    pale = ui.lesionsTable.item(1, 1).foreground().color()
    assert pale.lightness() > ui.lesionsTable.item(0, 1).foreground().color().lightness() + 60
    assert "One (grey) was given up" in ui.lesionsNote.text
    pick(bench, 1)
    assert not ui.removeLesionButton.enabled
    assert red(bench).GetSliceOffset() in (25, 30, 35)
    ui.addBackButton.click()
    settle(bench)
    added = mask(bench, 1) & ~before
    assert added.sum() == added[SMALL].sum() > 0
    assert added.sum() * 0.005 == pytest.approx(float(rows[1][1]), abs=0.005)
    assert (mask(bench, 0) == organ & ~added).all()
    assert [row[0] for row in cells(ui.lesionsTable)] == ["1", "2"]
    assert ui.addBackButton.isHidden()
    bench.panel.editor.widget.undo()
    settle(bench)
    assert (mask(bench, 1) == before).all()
    assert (mask(bench, 0) == organ).all()
    assert len(cells(ui.lesionsTable)) == 2


def test_the_table_follows_edits(measured):
    draw(measured, measured.parameters.target, np.s_[4, 30:33, 30:33], 1)
    settle(measured)
    assert len(cells(measured.panel.ui.lesionsTable)) == 3
    assert lesion_table(measured).GetNumberOfRows() == 3
    name = "肝肿瘤 <b>x</b>"
    measured.parameters.target.GetSegmentation().GetNthSegment(1).SetName(name)
    settle(measured)
    assert lesion_table(measured).GetCellText(0, 0) == name
    assert cells(measured.panel.ui.lesionTotals)[1] == ["Number of tumours", "3"]


def test_a_lesion_that_is_shown_stays_shown_when_another_is_edited(measured):
    pick(measured, 1)
    draw(measured, measured.parameters.target, np.s_[4:9, 30:33, 30:52], 1)
    settle(measured)
    lesions = measured.panel.measured.lesions
    assert [row[0] for row in cells(measured.panel.ui.lesionsTable)] == ["1", "2", "3"]
    assert lesions._place == 2
    assert len(lesions.mark.nodes) == 2


def test_nothing_is_measured_while_the_section_is_closed(measured):
    measured.panel.ui.lesionsSection.collapsed = True
    draw(measured, measured.parameters.target, np.s_[4, 30:33, 30:33], 1)
    measured.turn(400)
    settle(measured)
    assert lesion_table(measured).GetNumberOfRows() == 2
    measured.panel.ui.lesionsSection.collapsed = False
    settle(measured)
    assert lesion_table(measured).GetNumberOfRows() == 3


def test_the_table_is_a_node_that_is_saved_and_goes_with_its_segmentation(measured):
    slicer = measured.slicer
    table = lesion_table(measured)
    texts = [[table.GetCellText(row, n) for n in range(15)] for row in range(2)]
    names = [table.GetColumnName(n) for n in range(15)]
    assert names[2:4] == ["Volume (ml)", "Longest axial diameter (mm)"]
    shown = cells(measured.panel.ui.lesionsTable)
    path = measured.folder / "scene.mrb"
    pick(measured, 0)
    assert slicer.mrmlScene.WriteToMRB(str(path))
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    read = lesion_table(measured)
    assert [read.GetColumnName(n) for n in range(15)] == names
    assert [[read.GetCellText(row, n) for n in range(15)] for row in range(2)] == texts
    assert not nodes(measured, "vtkMRMLMarkupsLineNode")
    measured.turn(50)
    settle(measured)
    assert cells(measured.panel.ui.lesionsTable) == shown  # certainties of the run included
    assert nodes(measured, "vtkMRMLTableNode") == [read]
    slicer.mrmlScene.RemoveNode(measured.parameters.target)
    measured.turn()
    assert not nodes(measured, "vtkMRMLTableNode")


def test_a_copy_of_the_table_outlives_other_nodes_and_its_segmentation(measured):
    slicer = measured.slicer
    scene, table = slicer.mrmlScene, lesion_table(measured)
    copy = scene.AddNewNodeByClass("vtkMRMLTableNode", "January")
    copy.CopyContent(table)  # as Clone in the module Data does
    other = scene.AddNewNodeByClass("vtkMRMLTextNode")
    scene.RemoveNode(other)
    assert scene.IsNodePresent(copy)
    scene.RemoveNode(measured.parameters.target)
    assert scene.IsNodePresent(copy)
    assert not scene.IsNodePresent(table)


def test_what_was_given_up_can_be_added_back_after_saving_and_opening(bench):
    measured_panel(bench, gives_up=True)
    slicer, path = bench.slicer, bench.folder / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path))
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    bench.turn(50)
    settle(bench)
    bench.volume = bench.parameters.volume
    pick(bench, 1)
    bench.panel.ui.addBackButton.click()
    settle(bench)
    assert mask(bench, 1)[SMALL].any()


def test_what_is_copied_pastes_into_a_spreadsheet(measured):
    segment = measured.parameters.target.GetSegmentation().GetNthSegment(1)
    segment.SetName('=HYPERLINK("http://x") <script>')
    settle(measured)
    measured.panel.ui.copyLesionsButton.click()
    text = measured.qt.QApplication.clipboard().text()
    lines = [line.split("\t") for line in text.splitlines()]
    assert lines[0] == ["Figure", "Value", "Unit"]
    assert lines[2] == ["Number of tumours", "2", ""]
    assert lines[5][:3] == ["Segment", "Number", "Volume (ml)"]
    assert lines[6][:2] == ['\'=HYPERLINK("http://x") <script>', "1"]
    assert len(lines) == 8
    assert "Copied" in measured.panel.ui.lesionsNote.text


def test_the_lesions_are_saved_as_csv(measured, monkeypatch):
    import csv

    from TumorSegModule.widgets import dialogs, lesions_section

    path = measured.folder / "lesions.csv"
    monkeypatch.setattr(lesions_section, "choose_new_file", lambda *_: str(path))
    measured.panel.ui.saveLesionsButton.click()
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    assert len(rows) == 3
    assert float(rows[1][2]) == pytest.approx(figures(measured).parts[0].volume_ml, abs=0.005)
    monkeypatch.setattr(lesions_section, "choose_new_file", lambda *_: str(path / "none.csv"))
    measured.panel.ui.saveLesionsButton.click()
    assert "none.csv" in measured.panel.ui.lesionsNote.text
    assert dialogs.file_name('Müller/<a>:"肝"') == "Müller a 肝"
    assert dialogs.file_name("///") == "lesions"


def test_areas_are_plotted_and_follow_edits(measured, monkeypatch):
    from types import SimpleNamespace

    shown = []
    logic = SimpleNamespace(ShowChartInLayout=shown.append)
    plots = SimpleNamespace(logic=lambda: logic)
    monkeypatch.setattr(measured.slicer.modules, "plots", plots, raising=False)
    assert not nodes(measured, "vtkMRMLPlotChartNode")
    measured.panel.ui.plotAreasButton.click()
    (chart,) = nodes(measured, "vtkMRMLPlotChartNode")
    assert shown == [chart]
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [one.GetName() for one in series] == ["Liver", "Liver tumour"]

    def areas():
        column = series[1].GetTableNode().GetTable().GetColumnByName("Liver tumour")
        return [column.GetValue(n) for n in range(column.GetNumberOfValues())]

    np.testing.assert_allclose(areas(), mask(measured, 1).sum(axis=(1, 2)) / 100)
    draw(measured, measured.parameters.target, np.s_[4, 30:33, 30:33], 1)
    settle(measured)
    np.testing.assert_allclose(areas(), mask(measured, 1).sum(axis=(1, 2)) / 100)
    measured.slicer.mrmlScene.RemoveNode(measured.parameters.target)
    measured.turn()
    for kind in ("Chart", "Series"):
        assert not nodes(measured, f"vtkMRMLPlot{kind}Node")


def test_a_liver_without_tumours_says_so(bench):
    measured_panel(bench, liver(tumours=()))
    ui = bench.panel.ui
    assert ui.lesionsNote.text == "No lesions."
    assert ui.lesionsTable.isHidden()
    assert cells(ui.lesionTotals)[1:] == [["Number of tumours", "0"], ["Tumour burden", "0.00 %"]]
    assert not ui.nextLesionButton.enabled
    ui.copyLesionsButton.click()
    assert len(bench.qt.QApplication.clipboard().text().splitlines()) == 6
    assert lesion_table(bench).GetNumberOfRows() == 0


def test_a_result_of_nothing_says_so(bench):
    body = liver(tumours=())
    body[body > 0] = -100
    measured_panel(bench, body)
    assert cells(bench.panel.ui.lesionTotals)[2] == ["Tumour burden", "-"]
    assert bench.panel.ui.lesionsNote.text == "No lesions."


def test_an_empty_segmentation_says_so(bench):
    measured_panel(bench, run=False)
    node = bench.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    bench.parameters.target = node
    settle(bench)
    assert bench.panel.ui.lesionsNote.text == "There are no segments."
    node.GetSegmentation().AddEmptySegment("mine", "Mine")
    settle(bench)
    assert bench.panel.ui.lesionsNote.text == "No lesions."
    assert cells(bench.panel.ui.lesionTotals) == [["Mine", "0.00 ml, 0 parts"]]


def test_four_hundred_specks_are_four_hundred_rows(measured):
    specks = np.zeros((12, 64, 64), bool)
    specks[::3, 0::6, 0::6] = True
    specks[LARGE], specks[SMALL] = False, False
    draw(measured, measured.parameters.target, specks, 1)
    settle(measured)
    count = figures(measured).components
    assert count > 400
    rows = cells(measured.panel.ui.lesionsTable)
    assert [row[0] for row in rows] == [str(n + 1) for n in range(count)]
    assert measured.panel.ui.lesionsTable.height < 300
    pick(measured, count - 1)
    measured.panel.ui.removeLesionButton.click()
    settle(measured)
    assert len(cells(measured.panel.ui.lesionsTable)) == count - 1


def test_a_measurement_fills_each_table_once_and_words_each_cell_once(measured, monkeypatch):
    """What takes long with 400 lesions, counted."""
    from TumorSegLib.measurement.table import Column
    from TumorSegModule.widgets.figure_table import FigureTable

    text, fill, worded, filled = Column.text, FigureTable.fill, [], []
    monkeypatch.setattr(Column, "text", lambda *given: worded.append(1) or text(*given))
    monkeypatch.setattr(
        FigureTable, "fill", lambda *given, **more: filled.append(1) or fill(*given, **more)
    )
    draw(measured, measured.parameters.target, np.s_[4, 30:33, 30:33], 1)
    settle(measured)
    assert len(cells(measured.panel.ui.lesionsTable)) == 3
    assert len(worded) == 3 * lesion_table(measured).GetNumberOfColumns()
    assert len(filled) == 2  # totals and lesions


def test_segments_that_a_user_drew_are_lesions_where_nothing_says_what_they_are(bench):
    measured_panel(bench, run=False)
    node = bench.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "by hand")
    node.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    bench.parameters.target = node
    for name in ("<img src=x>", "转移"):
        node.GetSegmentation().AddEmptySegment(name, name)
    draw(bench, node, LARGE, 0)
    draw(bench, node, SMALL, 1)
    settle(bench)
    ui = bench.panel.ui
    rows = cells(ui.lesionsTable)
    assert [row[:3] for row in rows] == [["1", "<img src=x>", "2.16"], ["1", "转移", "0.54"]]
    assert [row[6] for row in rows] == ["-", "-"]  # no model, no certainty
    pick(bench, 1)
    assert bench.panel.measured.lesions.mark.nodes[0].GetName().startswith("转移 1")


def test_lesions_of_older_scenes_are_told_from_organs(bench):
    """Slicer's terms were of SNOMED RT until 2019: all segments counted as lesions."""
    measured_panel(bench, run=False)
    node = bench.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "of 2018")
    node.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    bench.parameters.target = node
    anatomical, altered = (
        "T-D000A^Anatomical Structure",
        "M-01000^Morphologically Altered Structure",
    )
    for name, category in (("Organ", anatomical), ("Tumour", altered)):
        added = node.GetSegmentation().AddEmptySegment(name, name)
        segment = node.GetSegmentation().GetSegment(added)
        entry = f"Segmentation~SRT^{category}~SRT^M-03000^Mass~^^~X~^^~^^"
        segment.SetTag(segment.GetTerminologyEntryTagName(), entry)
    draw(bench, node, LARGE, 0)
    draw(bench, node, SMALL, 1)
    settle(bench)
    assert [row[:2] for row in cells(bench.panel.ui.lesionsTable)] == [["1", "0.54"]]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "lesionsNote",
            "followUpNote",
            "recistText",
            "statusLabel",
            "inputNote",
            "correctionNote",
        ),
        *("compareNote", "dicomNote", "dicomResult", "exportNote", "exportResult", "reportResult"),
        "retrainStatusLabel",
    ],
)
def test_names_in_labels_are_no_markup(bench, name):
    from PySide6.QtCore import Qt

    assert getattr(bench.open().ui, name).textFormat == Qt.TextFormat.PlainText


def test_a_lesion_that_the_border_cuts_is_said_to_go_on(bench):
    measured_panel(bench, liver(tumours=(np.s_[9:12, 14:26, 14:26], LARGE)))
    rows = cells(bench.panel.ui.lesionsTable)
    cut = [row for row in rows if row[1].startswith("≥ ")]
    assert len(cut) == 1
    assert cut[0][2].startswith("≥ ")


def test_an_oblique_volume_under_a_transform_is_measured_where_it_lies(measured):
    import vtk

    slicer, node = measured.slicer, measured.parameters.target
    rotation = vtk.vtkTransform()
    rotation.RotateX(20)
    rotation.Translate(30, 40, 50)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "moved")
    transform.SetMatrixTransformToParent(rotation.GetMatrix())
    before = cells(measured.panel.ui.lesionsTable)
    for moved in (measured.volume, node):
        moved.SetAndObserveTransformNodeID(transform.GetID())
    settle(measured)
    assert cells(measured.panel.ui.lesionsTable) == before
    pick(measured, 0)
    line = measured.panel.measured.lesions.mark.nodes[0]
    point = np.mean([line.GetNthControlPointPositionWorld(n) for n in range(2)], axis=0)
    back = rotation.GetLinearInverse().TransformPoint(point)
    x, y, z = np.round([back[0], back[1], back[2] / 5]).astype(int)
    assert mask(measured, 1)[z, y, x]


def test_a_transform_that_warps_is_told(measured):
    slicer = measured.slicer
    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    measured.parameters.target.SetAndObserveTransformNodeID(warp.GetID())
    settle(measured)
    assert "not linear" in measured.panel.ui.lesionsNote.text
    assert measured.panel.ui.lesionsTable.isHidden()


def test_a_measuring_process_that_dies_is_told_and_another_one_begun(measured):
    segments = measured.panel.measured.segments
    draw(measured, measured.parameters.target, np.s_[4, 30:33, 30:33], 1)
    measured.until(lambda: segments.measuring._waiting)
    os.kill(segments.measuring.client.pid, signal.SIGSTOP)
    os.kill(segments.measuring.client.pid, signal.SIGKILL)
    settle(measured)
    if not cells(measured.panel.ui.lesionsTable):
        assert "ended unexpectedly" in measured.panel.ui.lesionsNote.text
    draw(measured, measured.parameters.target, np.s_[4, 50:53, 30:33], 1)
    settle(measured)
    assert len(cells(measured.panel.ui.lesionsTable)) == 4


def test_unfolding_the_section_measures_anew_after_the_process_has_died(measured):
    segments, ui = measured.panel.measured.segments, measured.panel.ui
    segments.measuring_failed("the measuring process ended unexpectedly")
    assert not cells(ui.lesionsTable)
    ui.lesionsSection.collapsed = True
    ui.lesionsSection.collapsed = False
    settle(measured)
    assert len(cells(ui.lesionsTable)) == 2


def test_closing_the_scene_ends_the_measuring_process_and_frees_its_memory(measured):
    pid = measured.panel.measured.segments.measuring.client.pid
    assert alive(pid)
    pick(measured, 0)
    measured.slicer.mrmlScene.Clear()
    measured.until(lambda: not alive(pid))
    measured.until(lambda: not descendants())
    assert not shared_blocks()
    assert measured.panel.measured.findings is None


def test_figures_are_the_librarys_records_also_without_a_panel(measured):
    from TumorSegModule.logic.findings import present_findings

    found = measured.panel.measured.findings
    target = measured.parameters.target
    again = present_findings(target, measured.panel.selection.models.catalogue)
    assert again.derived == found.derived
    assert [value.key for value in found.derived][1:] == ["tumours", "tumour_burden"]
    assert found.current
    plain = [[part.volume_ml for part in one.parts] for one in again.segments]
    assert plain == [[part.volume_ml for part in one.parts] for one in found.segments]
    parts = [lesion.part for lesion in found.lesions]
    assert [part.longest_axial_diameter_mm for part in parts] == [
        part.longest_axial_diameter_mm for part in figures(measured).parts
    ]
    draw(measured, target, np.s_[4, 30:33, 30:33], 1)
    assert not found.current


def test_a_slice_whose_lesion_was_removed_can_be_restored(measured):
    before = mask(measured, 0), mask(measured, 1)
    pick(measured, 1)
    measured.panel.ui.removeLesionButton.click()
    settle(measured)
    measured.until(lambda: not measured.panel.review.busy)
    for index in (5, 6, 7):
        measured.panel.review.go_to(index)
        measured.panel.review._restore_menu.actions()[0].trigger()
        measured.until(lambda: not measured.panel.review.busy)
    assert (mask(measured, 0) == before[0]).all()
    assert (mask(measured, 1) == before[1]).all()


def test_only_the_lesion_changes_where_segments_share_a_label_map(bench):
    """Lesions whose boxes overlap, a vessel among them, all in one label map."""
    from TumorSegLib.slicer_io.geometry import placement_of
    from TumorSegLib.slicer_io.segments import new_segment
    from TumorSegModule.logic.findings import present_findings
    from TumorSegModule.logic.lesion_edits import remove_lesion
    from TumorSegModule.logic.segments import REPLACE, write_segments
    from TumorSegModule.logic.view import NoEditor

    measured_panel(bench, run=False)
    selection = bench.panel.selection
    specification = selection.models.catalogue.find("tiny-liver").specification
    labels = np.zeros((12, 64, 64), np.uint8)
    labels[2:10, 10:50, 10:50] = 1
    labels[4, 15:35, 20] = labels[4, 34, 20:40] = 2  # like an L around the next one
    labels[4:6, 20:25, 28:36] = 2
    node = bench.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "shared")
    node.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    matrix = placement_of(bench.volume).ijk_to(node)
    write_segments(node, specification, labels, (2, 10, 10, 50, 10, 50), matrix, mode=REPLACE)
    content = node.GetSegmentation()
    image = content.GetNthSegment(0).GetRepresentation("Binary labelmap")
    vessel = new_segment(specification.labels[0])
    vessel.SetLabelValue(7)
    vessel.AddRepresentation("Binary labelmap", image)
    content.AddSegment(vessel, "vessel")
    from TumorSegLib.slicer_io.images import image_array, inside

    array, frame = image_array(image)
    array[inside((4, 5, 28, 30, 24, 60), frame)] = 7
    labels[4, 28:30, 24:50] = 7
    image.Modified()
    bench.parameters.target = node
    assert [mask(bench, n).sum() for n in range(3)] == [(labels == n).sum() for n in (1, 2, 7)]
    found = present_findings(node, selection.models.catalogue)
    assert [lesion.part.voxels for lesion in found.lesions] == [80, 39]
    finished(remove_lesion(found, found.lesions[1], NoEditor()))
    labels[4, 15:35, 20] = labels[4, 34, 20:40] = 1
    for index, value in enumerate((1, 2, 7)):
        assert (mask(bench, index) == (labels == value)).all(), value


@pytest.fixture
def stored(host):
    """A segmentation with one that was given up, and the placement of its volume."""
    from scenes import add_body
    from tiny_models import ct_specification

    from TumorSegLib.inference.given_up import GivenUp
    from TumorSegLib.slicer_io.geometry import placement_of
    from TumorSegModule.logic.given_up_lesions import keep_given_up

    volume = add_body(host)
    node = host.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "result")
    item = GivenUp(2, 0.25, (3, 4, 5, 9, 3, 5, 5, 8))
    keep_given_up(node, placement_of(volume), ct_specification(), [item])
    yield node, placement_of(volume), item
    host.mrmlScene.Clear()


def test_what_was_given_up_is_kept_with_the_segmentation(stored):
    from TumorSegModule.logic.given_up_lesions import given_up_of

    node, placement, item = stored
    (found,) = given_up_of(node, placement).values()
    assert found == (item,)
    assert given_up_of(node, None) == {}


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["text", "base64", "zlib", "json", "beyond", "bomb", "grid"])
def test_damaged_or_foreign_stored_lesions_are_passed_over(stored, damage):
    import base64
    import json
    import zlib
    from dataclasses import replace

    from TumorSegLib.image.grid import Grid
    from TumorSegModule.logic.given_up_lesions import GIVEN_UP_ATTRIBUTE, given_up_of

    node, placement, _item = stored
    text = node.GetAttribute(GIVEN_UP_ATTRIBUTE)
    content = json.loads(zlib.decompress(base64.b64decode(text)))

    def packed(value):
        return base64.b64encode(zlib.compress(value)).decode()

    far = json.dumps(content).replace("[3, 4, 5, 9", "[3, 4, 5, 9999").encode()
    assert far != json.dumps(content).encode()
    changed = {
        "text": "lesions",
        "base64": "ä",
        "zlib": base64.b64encode(b"junk").decode(),
        "json": packed(b"[1"),
        "beyond": packed(far),
        "bomb": packed(b" " * (1 << 27)),
        "grid": text,
    }
    node.SetAttribute(GIVEN_UP_ATTRIBUTE, changed[damage])
    if damage == "grid":
        grid = placement.grid
        placement = replace(
            placement, grid=Grid((13, *grid.shape[1:]), grid.spacing, grid.origin, grid.direction)
        )
    assert given_up_of(node, placement) == {}


def test_certainties_are_of_the_volume_that_the_model_saw(measured):
    """The Segment Editor's Specify geometry names another volume, whose voxels are others."""
    slicer, target = measured.slicer, measured.parameters.target
    shape = measured.slicer.util.arrayFromVolume(measured.volume).shape
    fine = slicer.util.addVolumeFromArray(
        np.zeros(tuple(2 * count for count in shape), np.int16), np.diag([0.5, 0.5, 2.5, 1.0])
    )
    target.SetReferenceImageGeometryParameterFromVolumeNode(fine)
    target.GetSegmentation().GetNthSegment(1).SetName("Another")
    settle(measured)
    assert not measured.panel.measured.busy
    assert measured.panel.measured.findings.lattice.volume is fine


def test_segments_are_measured_after_their_volume_s_voxels_are_gone(measured):
    measured.volume.SetAndObserveImageData(None)
    measured.parameters.target.GetSegmentation().GetNthSegment(1).SetName("Another")
    settle(measured)
    assert not measured.panel.measured.busy
    assert measured.panel.measured.findings.lattice.volume is None


def test_certainties_that_are_no_numbers_are_passed_over(host):
    from TumorSegModule.logic.lesion_table import CERTAINTIES, LESIONS_OF, known_certainties

    node = host.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "result")
    assert known_certainties(node) == {}
    table = host.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "lesions")
    table.SetAttribute(LESIONS_OF, node.GetID())
    table.SetNodeReferenceID(LESIONS_OF, node.GetID())
    table.SetAttribute(CERTAINTIES, "a,1,2.5,0.5|b|c,x,1,1|d, with comma,2,3,0.25|")
    assert known_certainties(node) == {("a", 1, 2.5): 0.5, ("d, with comma", 2, 3.0): 0.25}
    host.mrmlScene.Clear()
