"""Tables of numbers and lines over them, as plots have them. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Iterable

import slicer
import vtk


def number_table(columns: Iterable[tuple[str, Iterable[float]]]) -> vtk.vtkTable:
    """Return a table of columns of numbers, each with its name."""
    table = vtk.vtkTable()
    for name, values in columns:
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    return table


def add_line(
    table: slicer.vtkMRMLTableNode, x: str, y: str, colour: tuple[float, float, float]
) -> slicer.vtkMRMLPlotSeriesNode:
    """Add a node that draws one column of a table over another, called like the former.

    Args:
        table: node.
        x: name of the column to draw over.
        y: name of the column that is drawn.
        colour: red, green, blue, 0 to 1.
    """
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", y)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName(x)
    series.SetYColumnName(y)
    series.SetLineStyle(series.LineStyleSolid)
    series.SetMarkerStyle(series.MarkerStyleNone)
    series.SetColor(*colour)
    return series
