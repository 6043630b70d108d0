"""The table of lesions in the scene: a node that is saved with it. MRML, no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence

import slicer
import vtk
from slicer.i18n import tr as _

from TumorSegLib.measurement.table import Cell, lesion_table
from TumorSegModule.logic.findings import Findings, lesion_key

LESIONS_OF = "TumorSeg.LesionsOf"
"""Attribute (an id) and node reference from a table to its segmentation."""

CERTAINTIES = "TumorSeg.Certainties"
"""Attribute: what the model was sure of, lesion by lesion, see `known_certainties`."""


def table_of(segmentation: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLTableNode | None:
    """Return the table of a segmentation's lesions, None if it has none."""
    for node in slicer.util.getNodesByClass("vtkMRMLTableNode"):
        if node.GetAttribute(LESIONS_OF) and node.GetNodeReference(LESIONS_OF) is segmentation:
            return node
    return None


def write_table(found: Findings) -> slicer.vtkMRMLTableNode:
    """Write the lesions to their table in the scene, which is made if there is none."""
    node = table_of(found.segmentation) or _new_table(found.segmentation)
    content = lesion_table(found.lesion_segments)
    table, texts = vtk.vtkTable(), content.texts
    for place, column in enumerate(content.columns):
        cells = [row[place] for row in content.rows]
        table.AddColumn(_column(column.heading, cells, [row[place] for row in texts]))
    was = node.StartModify()
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    certainties = [
        ",".join([*map(str, lesion_key(role.id, part)), f"{part.certainty:.4f}"])
        for role, one in zip(found.roles, found.segments, strict=True)
        if role.lesions
        for part in one.parts
        if part.certainty is not None
    ]
    node.SetAttribute(CERTAINTIES, "|".join(certainties) or None)
    node.EndModify(was)
    return node


def known_certainties(
    segmentation: slicer.vtkMRMLSegmentationNode,
) -> dict[tuple[str, int, float], float]:
    """Return the certainties that a segmentation's table has, see `findings.with_certainties`."""
    node = table_of(segmentation)
    text = node.GetAttribute(CERTAINTIES) if node is not None else None
    known = {}
    for line in (text or "").split("|"):
        try:
            segment, voxels, place, certainty = line.rsplit(",", 3)
            known[segment, int(voxels), float(place)] = float(certainty)
        except ValueError:  # written by hand or by another version
            continue
    return known


def remove_orphans() -> None:
    """Remove tables whose segmentation has just been removed; a user's copy refers to none."""
    for node in slicer.util.getNodesByClass("vtkMRMLTableNode"):
        if node.GetNodeReferenceID(LESIONS_OF) and node.GetNodeReference(LESIONS_OF) is None:
            slicer.mrmlScene.RemoveNode(node)


def _new_table(segmentation: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLTableNode:
    name = _("{name} lesions").format(name=segmentation.GetName())
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    node.SetAttribute(LESIONS_OF, segmentation.GetID())
    node.SetNodeReferenceID(LESIONS_OF, segmentation.GetID())
    return node


def _column(heading: str, cells: Sequence[Cell], texts: Sequence[str]) -> vtk.vtkAbstractArray:
    """Return a column of numbers or texts, as the first cell that is there has it."""
    first = next((cell for cell in cells if cell is not None), 0.0)
    array: vtk.vtkAbstractArray
    values: Sequence[Cell]
    if isinstance(first, bool | str):
        array, values = vtk.vtkStringArray(), texts
    elif isinstance(first, int):
        array, values = vtk.vtkIntArray(), cells
    else:
        array = vtk.vtkDoubleArray()
        values = [math.nan if cell is None else cell for cell in cells]
    array.SetName(heading)
    for value in values:
        array.InsertNextValue(value)
    return array
