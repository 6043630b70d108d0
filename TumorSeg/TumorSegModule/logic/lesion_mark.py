"""Shows a lesion: all views go to it, its two diameters are drawn. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
from slicer.i18n import tr as _

from TumorSegLib.image.grid import Vector
from TumorSegLib.measurement.component import Component, Line

COLOUR = (0.85, 0.0, 0.75)
"""Seen on grey, and on the colours that the models give their segments."""

MARK = "TumorSeg.LesionMark"
"""Attribute of the nodes, by which those that another session left are found."""


class LesionMark:
    """Two lines, longest axial diameter and perpendicular; never saved, gone with `clear`."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._ids: list[str] = []

    @property
    def nodes(self) -> list[slicer.vtkMRMLMarkupsLineNode]:
        """The lines that are shown."""
        nodes = (slicer.mrmlScene.GetNodeByID(name) for name in self._ids)
        return [node for node in nodes if node is not None]

    def show(self, part: Component, name: str) -> None:
        """Go to a lesion, to the slice with its longest diameter, and mark it.

        Args:
            part: its figures, in the world's LPS mm.
            name: what to call it.
        """
        self.clear()
        show_place(_middle(part.long_axis_mm))
        axes = {_("long axis"): part.long_axis_mm, _("short axis"): part.short_axis_mm}
        for which, ends in axes.items():
            self._ids.append(_line(f"{name}, {which}", ends).GetID())

    def clear(self) -> None:
        """Show it no more."""
        for node in self.nodes:
            slicer.mrmlScene.RemoveNode(node)
        self._ids = []


def show_place(point: Vector) -> None:
    """Have all slice views show a point, LPS mm; views that do not see it are centred on it."""
    ras = _ras(point)
    node = slicer.vtkMRMLSliceNode
    node.JumpAllSlices(slicer.mrmlScene, *ras, node.OffsetJumpSlice)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        to_ras = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
        across = (np.linalg.inv(to_ras) @ [*ras, 1.0])[:2]
        if (np.abs(across) > np.array(view.GetFieldOfView()[:2]) / 2).any():
            view.JumpSliceByCentering(*ras)


def _line(name: str, ends: Line) -> slicer.vtkMRMLMarkupsLineNode:
    """Add a line that nobody can move; it shows its length."""
    scene = slicer.mrmlScene
    node = scene.CreateNodeByClass("vtkMRMLMarkupsLineNode")
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAttribute(MARK, "1")
    node = scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display is not None:
        display.SetSaveWithScene(False)
        display.SetSelectedColor(*COLOUR)
        display.SetColor(*COLOUR)
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        display.SetGlyphScale(1.0)
        display.SetLineThickness(0.4)
    for end in ends:
        node.AddControlPoint(*_ras(end))
    node.SetLocked(True)
    return node


def _middle(line: Line) -> Vector:
    x, y, z = (float(value) for value in np.mean(line, axis=0))
    return x, y, z


def _ras(point: Sequence[float]) -> tuple[float, float, float]:
    left, posterior, superior = point
    return -left, -posterior, superior
