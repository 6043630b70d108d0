"""Loss and Dice of a retraining run as a chart in the scene. MRML, no Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping

import slicer
from slicer.i18n import tr as _

from TumorSegModule.logic.plot_nodes import add_line, number_table

NAME = "Retraining"
EPOCH = _("Epoch")
SERIES = (
    ("loss", _("Loss"), (0.20, 0.44, 0.70)),
    ("validation_loss", _("Loss, held-out cases"), (0.55, 0.72, 0.90)),
    ("dice", _("Dice, held-out cases"), (0.77, 0.42, 0.11)),
)
"""Figures of an epoch, their names in the chart, and red, green and blue of their lines."""


class RetrainPlot:
    """A table, its series and their chart; made anew where the scene has lost them."""

    def __init__(self) -> None:
        """Make nothing yet."""
        self._chart: slicer.vtkMRMLPlotChartNode | None = None
        self._table: slicer.vtkMRMLTableNode | None = None

    @property
    def chart(self) -> slicer.vtkMRMLPlotChartNode | None:
        """The chart's node, None if the scene has none."""
        return _present(self._chart)

    @property
    def table(self) -> slicer.vtkMRMLTableNode | None:
        """The table's node, None if the scene has none."""
        return _present(self._table)

    def update(self, rows: Mapping[int, Mapping[str, float]]) -> None:
        """Show the figures of each epoch: {epoch: {"loss": ..., "dice": ...}}."""
        if not rows:
            return
        node = self.table if self.chart is not None else None
        if node is None:
            node = self._make()
        columns = [
            (title, [float({**rows[n], "epoch": n}.get(name, math.nan)) for n in sorted(rows)])
            for name, title in (("epoch", EPOCH), *(series[:2] for series in SERIES))
        ]
        node.SetAndObserveTable(number_table(columns))

    def show(self) -> None:
        """Show the chart in a layout that has a plot."""
        if self.chart is not None:
            slicer.modules.plots.logic().ShowChartInLayout(self.chart)

    def _make(self) -> slicer.vtkMRMLTableNode:
        """Make table and chart anew and return the table's node."""
        scene = slicer.mrmlScene
        for node in (self.chart, self.table):
            if node is not None:
                scene.RemoveNode(node)
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", NAME)
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", NAME)
        chart.SetTitle(NAME)
        chart.SetXAxisTitle(EPOCH)
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, 1.0)
        for _name, title, colour in SERIES:
            series = add_line(table, EPOCH, title, colour)
            series.SetMarkerStyle(series.MarkerStyleCircle)
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
        self._table, self._chart = table, chart
        return table


def _present(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLNode | None:
    """Return a node if it is in the scene; ids come back with another scene's nodes."""
    return node if node is not None and slicer.mrmlScene.IsNodePresent(node) else None
