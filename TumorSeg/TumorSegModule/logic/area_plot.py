"""Areas of a segmentation's segments over the slices, as a chart in the scene. MRML, no Qt."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _

from TumorSegModule.logic.findings import Findings
from TumorSegModule.logic.plot_nodes import add_line, number_table

AREAS_OF = "TumorSeg.AreasOf"
"""Attribute (an id) and node reference from table and chart to their segmentation."""

SLICE = _("Slice")


class AreaPlot:
    """A table, a series for each segment and their chart; made anew where the scene lost them."""

    @staticmethod
    def chart(segmentation: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLPlotChartNode | None:
        """Return a segmentation's chart, None if it has none."""
        return _node("vtkMRMLPlotChartNode", segmentation)

    def show(self, found: Findings) -> None:
        """Make the chart and show it in a layout that has a plot."""
        self.update(found, make=True)
        slicer.modules.plots.logic().ShowChartInLayout(self.chart(found.segmentation))

    def update(self, found: Findings, *, make: bool = False) -> None:
        """Show the figures as they are now; a chart that nobody asked for is not made.

        Args:
            found: figures of the segments.
            make: whether to make the chart if there is none.
        """
        chart = self.chart(found.segmentation)
        if chart is None and not make:
            return
        table = _node("vtkMRMLTableNode", found.segmentation) or _new(
            "vtkMRMLTableNode", _("{name} areas"), found
        )
        names = _names(found)
        table.SetAndObserveTable(_areas(found, names))
        chart = chart or _new("vtkMRMLPlotChartNode", _("{name} areas"), found)
        chart.SetTitle(found.segmentation.GetName())
        chart.SetXAxisTitle(SLICE)
        chart.SetYAxisTitle(_("Area (cm²)"))
        series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
        if [one.GetYColumnName() for one in series] != names:
            chart.RemoveAllPlotSeriesNodeIDs()
            for one in series:
                slicer.mrmlScene.RemoveNode(one)
            for role, name in zip(found.roles, names, strict=True):
                segment = found.segmentation.GetSegmentation().GetSegment(role.id)
                colour = segment.GetColor() if segment is not None else (0.2, 0.4, 0.7)
                chart.AddAndObservePlotSeriesNodeID(add_line(table, SLICE, name, colour).GetID())


def remove_orphans() -> None:
    """Remove charts and tables whose segmentation has just been removed, no copies of a user."""
    for kind in ("vtkMRMLPlotChartNode", "vtkMRMLTableNode"):
        for node in slicer.util.getNodesByClass(kind):
            if node.GetNodeReferenceID(AREAS_OF) and node.GetNodeReference(AREAS_OF) is None:
                if kind == "vtkMRMLPlotChartNode":
                    for number in reversed(range(node.GetNumberOfPlotSeriesNodes())):
                        slicer.mrmlScene.RemoveNode(node.GetNthPlotSeriesNode(number))
                slicer.mrmlScene.RemoveNode(node)


def _names(found: Findings) -> list[str]:
    """Return a name for each segment's column; columns of one table need names of their own."""
    names: list[str] = []
    for role in found.roles:
        name, number = role.name, 2
        while name in (*names, SLICE):
            name, number = f"{role.name} ({number})", number + 1
        names.append(name)
    return names


def _areas(found: Findings, names: list[str]) -> vtk.vtkTable:
    """Return a table with the slices, counted from 1, and the areas of each segment in cm²."""
    count = max((len(one.areas_mm2) for one in found.segments), default=0)
    columns = [(SLICE, [float(n + 1) for n in range(count)])]
    for name, one in zip(names, found.segments, strict=True):
        columns.append((name, [area / 100 for area in one.areas_mm2]))
    return number_table(columns)


def _new(kind: str, title: str, found: Findings) -> slicer.vtkMRMLNode:
    node = slicer.mrmlScene.AddNewNodeByClass(kind, title.format(name=found.segmentation.GetName()))
    node.SetAttribute(AREAS_OF, found.segmentation.GetID())
    node.SetNodeReferenceID(AREAS_OF, found.segmentation.GetID())
    return node


def _node(kind: str, segmentation: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLNode | None:
    for node in slicer.util.getNodesByClass(kind):
        if node.GetAttribute(AREAS_OF) and node.GetNodeReference(AREAS_OF) is segmentation:
            return node
    return None
