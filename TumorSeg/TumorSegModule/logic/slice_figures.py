"""Figures of a model's slices, kept as attributes of the segmentation and thus saved with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer
import vtk

from TumorSegLib.errors import InputError
from TumorSegLib.inference.uncertainty_ranking import unsure_slices
from TumorSegLib.slicer_io.geometry import Placement, placement_of
from TumorSegLib.slicer_io.images import Box
from TumorSegLib.slicer_io.nodes import set_quietly, set_reviewed, volume_of
from TumorSegLib.support.schema import SchemaError, from_dict, parsed
from TumorSegModule.logic.frame_shown import save_marks

SLICES_ATTRIBUTE = "TumorSeg.Slices"

FIGURES_TAKEN = vtk.vtkCommand.UserEvent + 7310
"""Event of a segmentation node: a run, of whomever, has written to it and left its figures."""


@dataclass(frozen=True)
class SliceFigures:
    """What is known of the axial slices of the volume that a model segmented.

    Attributes:
        ijk_to_ras: 4x4 matrix from the volume's voxel indices to the segmentation's coordinates.
        shape: voxels of the volume along (z, y, x).
        axis: of (z, y, x) along which the axial slices follow each other.
        flipped: whether they run backwards along it.
        areas: mm2 that the model labelled on each axial slice, the most inferior first.
        corrections: mm2 that are expected to need correction; see
            `TumorSegLib.inference.uncertainty_ranking`.
        seen: indices of the slices that somebody has looked at.
    """

    ijk_to_ras: np.ndarray
    shape: tuple[int, ...]
    axis: int
    flipped: bool
    areas: tuple[float, ...]
    corrections: tuple[float, ...]
    seen: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.areas)

    @property
    def unsure(self) -> list[int]:
        """Indices of the unsure slices, the one with the largest expected correction first."""
        return unsure_slices(self.corrections)

    def stored_index(self, index: int) -> int:
        """Return the voxel index along `axis` of an axial slice, or the slice of a voxel index."""
        return len(self) - 1 - index if self.flipped else index

    def box_of_slice(self, index: int) -> Box:
        """Return the box along (z, y, x) of an axial slice."""
        box = [edge for count in self.shape for edge in (0, count)]
        stored = self.stored_index(index)
        box[2 * self.axis : 2 * self.axis + 2] = stored, stored + 1
        return tuple(box)


@dataclass(frozen=True)
class _Stored:
    """The attribute's content; see `SliceFigures`."""

    ijk_to_ras: tuple[float, ...]
    shape: tuple[int, int, int]
    axis: int
    flipped: bool
    area_mm2: tuple[float, ...]
    correction_mm2: tuple[float, ...]
    seen: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.ijk_to_ras) != 16 or not 0 <= self.axis < 3:
            raise ValueError("no matrix, or no axis")
        if not len(self.area_mm2) == len(self.correction_mm2) == self.shape[self.axis]:
            raise ValueError("another number of slices")
        if not np.isfinite((*self.ijk_to_ras, *self.area_mm2, *self.correction_mm2)).all():
            raise ValueError("no numbers")
        if any(not 0 <= index < len(self.area_mm2) for index in self.seen):
            raise ValueError("no such slice")


def figures_of(segmentation_node: slicer.vtkMRMLSegmentationNode) -> SliceFigures | None:
    """Return what is known of a segmentation's slices, None if no model made it.

    Nor is anything known where segmentation or volume were moved since, each for itself or by a
    transform that was hardened: the slices are not where they were.
    """
    text = segmentation_node.GetAttribute(SLICES_ATTRIBUTE)
    if not text:
        return None
    try:
        stored = from_dict(_Stored, parsed(text))
    except (ValueError, SchemaError):  # written by hand or by another version
        return None
    matrix = np.reshape(stored.ijk_to_ras, (4, 4))
    if _was_moved(segmentation_node, matrix):
        return None
    return SliceFigures(
        matrix,
        stored.shape,
        stored.axis,
        stored.flipped,
        stored.area_mm2,
        stored.correction_mm2,
        frozenset(stored.seen),
    )


def _was_moved(segmentation_node: slicer.vtkMRMLSegmentationNode, ijk_to_ras: np.ndarray) -> bool:
    """Tell whether the volume's voxels lie elsewhere in the segmentation's coordinates now."""
    volume = volume_of(segmentation_node)
    if volume is None or volume.GetImageData() is None:
        return False  # nothing says so
    try:
        matrix = placement_of(volume).ijk_to(segmentation_node)
    except InputError:  # below a transform that warps
        return volume.GetTransformNodeID() != segmentation_node.GetTransformNodeID()
    return not np.allclose(matrix, ijk_to_ras, atol=1e-3)


def write_figures(segmentation_node: slicer.vtkMRMLSegmentationNode, figures: SliceFigures) -> None:
    """Keep figures with a segmentation; nobody need draw it anew for that."""
    content = {
        "ijk_to_ras": [float(value) for value in figures.ijk_to_ras.ravel()],
        "shape": list(figures.shape),
        "axis": figures.axis,
        "flipped": figures.flipped,
        "area_mm2": [round(area, 1) for area in figures.areas],
        "correction_mm2": [round(area, 1) for area in figures.corrections],
        "seen": sorted(figures.seen),
    }
    set_quietly(segmentation_node, SLICES_ATTRIBUTE, json.dumps(content, separators=(",", ":")))


def adopt_result(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    placement: Placement,
    slices: Sequence[tuple[int, float, float, float]],
) -> None:
    """Keep the figures of a run; the slices that it computed are to be looked at anew.

    Args:
        segmentation_node: that received the run's segments.
        placement: of the volume, see `TumorSegLib.slicer_io.geometry`.
        slices: index, area, uncertainty and expected correction of each slice of the run.
    """
    view, shape = placement.view, placement.grid.shape
    axis = view.axes[0]
    nothing = (0.0,) * shape[axis]
    matrix = placement.ijk_to(segmentation_node)
    new = SliceFigures(matrix, shape, axis, bool(view.flips[0]), nothing, nothing)
    old = figures_of(segmentation_node)
    if old is None or old.shape != shape or not np.allclose(old.ijk_to_ras, matrix, atol=1e-4):
        old = new
    areas, corrections = list(old.areas), list(old.corrections)
    for index, area, _uncertainty, correction in slices:
        areas[index], corrections[index] = area, correction
    seen = old.seen - {index for index, *_ in slices}
    write_figures(
        segmentation_node,
        replace(new, areas=tuple(areas), corrections=tuple(corrections), seen=seen),
    )
    set_reviewed(segmentation_node, False)
    save_marks(segmentation_node)
    segmentation_node.InvokeEvent(FIGURES_TAKEN)
