"""How the lesions of the panel's segmentation have changed since an earlier one."""

from __future__ import annotations

import numpy as np
import pytest
from lesion_bench import LARGE, SMALL, cells, draw, measured_panel, settle
from scenes import HEAD_MATRIX

EARLIER_LARGE = np.s_[5:8, 14:22, 14:22]
GONE = np.s_[4:6, 40:46, 14:22]


@pytest.fixture
def followed(bench):
    """A panel with a result and an earlier segmentation: grown, new, and vanished lesions."""
    measured_panel(bench)
    target = bench.parameters.target
    bench.earlier = add_earlier(bench, target, (EARLIER_LARGE, GONE))
    bench.panel.ui.followUpSection.collapsed = False
    choose(bench, bench.earlier)
    return bench


def add_earlier(bench, target, boxes, matrix=HEAD_MATRIX):
    """Add a segmentation with the segments of `target`, whose tumours are in `boxes`."""
    slicer = bench.slicer
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "earlier")
    shape = (12, 64, 64)
    voxels = np.zeros(shape, np.int16)
    volume = slicer.util.addVolumeFromArray(voxels, matrix, "CT earlier")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    content = target.GetSegmentation()
    for number in range(2):
        segment = content.GetNthSegment(number)
        node.GetSegmentation().AddEmptySegment(content.GetNthSegmentID(number), segment.GetName())
        terms = segment.GetTerminologyEntryTagName()
        import vtk

        entry = vtk.mutable("")
        segment.GetTag(terms, entry)
        node.GetSegmentation().GetNthSegment(number).SetTag(terms, str(entry))
    now, bench.volume = bench.volume, volume
    for box in boxes:
        draw(bench, node, box, 1)
    bench.volume = now
    return node


def choose(bench, node):
    selector = bench.panel.ui.earlierSelector
    selector.setCurrentNode(node)
    settle(bench)


def table(bench):
    return cells(bench.panel.ui.followUpTable)


def test_lesions_are_new_vanished_or_grown_with_the_sum_of_diameters(followed):
    rows = table(followed)
    assert [row[:3] for row in rows] == [
        ["1", "1", "grown"],
        ["-", "2", "new"],
        ["2", "-", "vanished"],
        ["", "", "sum"],
    ]
    found = followed.panel.measured.findings.changes.popitem()[1]
    assert rows[0][3:6] == [
        f"{found.earlier[0].longest_axial_diameter_mm:.1f}",
        f"{found.later[0].longest_axial_diameter_mm:.1f}",
        f"{found.changes[0].change_percent:+.0f}",
    ]
    assert rows[3][3:6] == [
        f"{found.earlier_sum_mm:.1f}",
        f"{found.later_sum_mm:.1f}",
        f"{found.change_percent:+.0f}",
    ]
    assert followed.panel.ui.followUpNote.text == "1 new, 1 vanished, 1 grown."


def test_the_category_is_shown_with_its_arithmetic_as_computed_from_the_table(followed):
    lines = followed.panel.ui.recistText.text.splitlines()
    assert lines[0] == "RECIST 1.1, computed from the table: PD (progressive disease)"
    assert any(line.startswith("Sum at baseline: ") for line in lines)
    assert any(line.startswith("New lesions: Liver tumour 2 (") for line in lines)


def test_what_is_chosen_is_kept_with_the_scene(followed):
    slicer = followed.slicer
    before = table(followed)
    path = followed.folder / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path))
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    followed.turn(50)
    settle(followed)
    assert followed.panel.ui.earlierSelector.currentNode().GetName() == "earlier"
    assert table(followed) == before


def test_the_table_follows_edits_of_either_segmentation(followed):
    draw(followed, followed.parameters.target, SMALL, 1, values=False)
    settle(followed)
    assert [row[2] for row in table(followed)] == ["grown", "vanished", "sum"]
    draw(followed, followed.earlier, LARGE, 1)
    settle(followed)
    assert [row[2] for row in table(followed)] == ["unchanged", "vanished", "sum"]


def test_a_transform_registers_the_earlier_segmentation(followed):
    import vtk

    slicer = followed.slicer
    turned = vtk.vtkTransform()
    turned.Translate(200, 0, 0)
    turned.RotateZ(90)
    matrix = slicer.util.arrayFromVTKMatrix(turned.GetMatrix()) @ HEAD_MATRIX
    node = add_earlier(followed, followed.parameters.target, (EARLIER_LARGE, GONE), matrix)
    before = table(followed)
    choose(followed, node)
    assert "are the two images aligned?" in followed.panel.ui.followUpNote.text
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "registration")
    transform.SetMatrixTransformToParent(turned.GetLinearInverse().GetMatrix())
    node.SetAndObserveTransformNodeID(transform.GetID())
    settle(followed)
    assert table(followed) == before
    assert "aligned" not in followed.panel.ui.followUpNote.text


def test_a_scaling_transform_leaves_the_earlier_diameters_as_they_were_measured(followed):
    import vtk

    before = table(followed)
    grown = vtk.vtkTransform()
    grown.Scale(1.05, 1.05, 1.0)
    slicer = followed.slicer
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "affine")
    transform.SetMatrixTransformToParent(grown.GetMatrix())
    followed.earlier.SetAndObserveTransformNodeID(transform.GetID())
    settle(followed)
    assert table(followed) == before


def test_a_click_goes_to_the_lesion_and_to_where_a_vanished_one_was(followed):
    view = followed.slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    section = followed.panel.measured.follow_up
    for row in (0, 2, 3):
        section._cell_clicked(row, 0)
        if row == 2:
            assert view.GetSliceOffset() == pytest.approx(4.5 * 5)
        else:
            assert view.GetSliceOffset() == pytest.approx(30 if row == 0 else 22.5)


def test_the_changes_are_copied_and_saved(followed, monkeypatch):
    from TumorSegModule.widgets import follow_up_section

    path = followed.folder / "changes.csv"
    monkeypatch.setattr(follow_up_section, "choose_new_file", lambda *_: str(path))
    followed.panel.ui.copyFollowUpButton.click()
    text = followed.qt.QApplication.clipboard().text()
    assert text.startswith("Earlier\tNow\tChange\t")
    assert "RECIST 1.1, computed from the table" in text
    followed.panel.ui.saveFollowUpButton.click()
    assert len(path.read_text(encoding="utf-8-sig").splitlines()) == 4


@pytest.mark.parametrize("boxes", [(), (EARLIER_LARGE,)])
def test_one_side_may_have_no_lesions(bench, boxes):
    measured_panel(bench)
    node = add_earlier(bench, bench.parameters.target, boxes)
    bench.panel.ui.followUpSection.collapsed = False
    draw(bench, bench.parameters.target, np.s_[:], 1, values=False)
    choose(bench, node)
    words = [row[2] for row in table(bench)]
    assert words == ["vanished"] * len(boxes) + ["sum"]
    assert bench.panel.ui.recistText.text.startswith("RECIST 1.1, computed from the table: ")


def add_segment(bench, node, name, box):
    """Add a segment of lesions to a segmentation, with one in `box`."""
    import vtk

    content, entry = node.GetSegmentation(), vtk.mutable("")
    tag = content.GetNthSegment(1).GetTerminologyEntryTagName()
    content.GetNthSegment(1).GetTag(tag, entry)
    added = content.AddEmptySegment("", name)
    content.GetSegment(added).SetTag(tag, str(entry))
    role = node.GetReferenceImageGeometryReferenceRole()
    now, bench.volume = bench.volume, node.GetNodeReference(role)
    draw(bench, node, box, content.GetNumberOfSegments() - 1)
    bench.volume = now


SEVENTEEN_MM = np.s_[4:6, 30:46, 30:34]


def test_segments_of_one_name_count_each(followed):
    """RECIST's sums had the last of them alone, and a new lesion in the first was none."""
    for node in (followed.parameters.target, followed.earlier):
        add_segment(followed, node, "Liver tumour", SEVENTEEN_MM)
    settle(followed)
    text = followed.panel.ui.recistText.text
    assert "PD (progressive disease)" in text
    assert "Liver tumour (2) 1 (" in text.splitlines()[1]
    assert "New lesions: Liver tumour (1) 2" in text


def add_named(bench, segments):
    """Add a segmentation with segments, whose names are given by their ids."""
    node = bench.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for name, called in segments.items():
        node.GetSegmentation().AddEmptySegment(name, called)
    return node


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": "One", "b": "Two"}, {"b": "One", "c": "Two"}, {"b": "b"}),
        ({"a": "One", "b": "Two"}, {"c": "Two", "b": "One"}, {"b": "b"}),
        ({"a": "One", "b": "Two"}, {"b": "One", "c": "One"}, {"a": "c", "b": "b"}),
        ({"a": "One", "b": "Two"}, {"d": "Two", "c": "One"}, {"a": "c", "b": "d"}),
        ({"a": "One"}, {"b": "Two"}, {"a": "b"}),
        ({"a": "One"}, {"b": "Two", "c": "Three"}, {}),
    ],
)
def test_a_segment_that_was_renamed_is_still_the_same(bench, before, after, expected):
    """An earlier one of its new name was taken for it, and it for another one."""
    from TumorSegModule.logic.follow_up_pairs import earlier_of
    from TumorSegModule.logic.segment_roles import roles_of

    now = roles_of(add_named(bench, after), None)
    assert earlier_of(now, add_named(bench, before), None).pairs == expected


def test_a_segment_that_only_one_has_is_told(followed):
    """Its lesions are neither new nor vanished, as nobody knows whether they were looked for."""
    add_segment(followed, followed.parameters.target, "Kidney tumour", SEVENTEEN_MM)
    settle(followed)
    line = "Not compared, as only one of the two has such a segment: Kidney tumour."
    assert line in followed.panel.ui.followUpNote.text
    followed.panel.ui.copyFollowUpButton.click()
    assert line in followed.qt.QApplication.clipboard().text()


def test_an_earlier_segmentation_without_voxels_is_told_and_the_present_one_listed(followed):
    """Contours, as those of an imported RT Structure Set, were taken for no lesion at all."""
    content = followed.earlier.GetSegmentation()
    content.CreateRepresentation("Closed surface", True)
    content.SetSourceRepresentationName("Closed surface")
    followed.panel.measured.segments.measure_soon()
    settle(followed)
    ui = followed.panel.ui
    assert "earlier: its segments are stored as Closed surface" in ui.followUpNote.text
    assert ui.followUpTable.isHidden()
    assert ui.recistText.isHidden()
    assert len(cells(ui.lesionsTable)) == 2


def test_what_cannot_be_compared_is_told(followed):
    ui, slicer = followed.panel.ui, followed.slicer
    choose(followed, followed.parameters.target)
    assert "the same segmentation" in ui.followUpNote.text
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "<b>empty</b>")
    choose(followed, empty)
    assert "<b>empty</b> has no segment" in ui.followUpNote.text
    assert ui.followUpTable.isHidden()
    choose(followed, followed.earlier)
    assert not ui.followUpTable.isHidden()
    slicer.mrmlScene.RemoveNode(followed.earlier)
    followed.turn()
    settle(followed)
    assert ui.followUpTable.isHidden()
    assert "Choose an earlier segmentation" in ui.followUpNote.text


def test_another_patients_segmentation_is_noticed(followed):
    slicer = followed.slicer
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    for volume, name in zip(volumes, ("A", "B"), strict=False):
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), patient)
        hierarchy.SetItemLevel(patient, "Patient")
        hierarchy.SetItemAttribute(patient, "DICOM.PatientID", name)
    followed.panel.measured.segments.measure_soon()
    settle(followed)
    assert "another patient" in followed.panel.ui.followUpNote.text
    from TumorSegModule.logic.report_facts import follow_up_of

    reported = follow_up_of(followed.panel.measured.findings, followed.parameters.target)
    assert reported.text.splitlines()[0] == "Beware: the scene says that this is another patient."
