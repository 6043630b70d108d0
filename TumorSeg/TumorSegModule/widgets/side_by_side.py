"""Two segmentations of one volume: how far they agree, and each in a slice view of its own. MRML.

A display node that names views is shown in these only; the layout "Side by side" has the views Red
and Yellow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import slicer

from TumorSegLib.slicer_io.geometry import Placement
from TumorSegLib.slicer_io.images import Matrix4, intersection
from TumorSegLib.slicer_io.masks import mask_of, mask_reader
from TumorSegLib.slicer_io.nodes import set_quietly
from TumorSegLib.support.schema import parsed

RED, YELLOW = "vtkMRMLSliceNodeRed", "vtkMRMLSliceNodeYellow"

BEFORE = "TumorSeg.BeforeSideBySide"
"""Attribute of a display node: how it was, as JSON, for a scene that is saved meanwhile."""


@dataclass(frozen=True)
class Agreement:
    """A segment in two segmentations.

    Attributes:
        name: of the segment.
        dice: 1 where neither has a voxel.
        first_ml: volume in the first.
        second_ml: volume in the second.
    """

    name: str
    dice: float
    first_ml: float
    second_ml: float

    @property
    def difference_ml(self) -> float:
        """Second less first."""
        return self.second_ml - self.first_ml


def agreements(
    first: slicer.vtkMRMLSegmentationNode,
    second: slicer.vtkMRMLSegmentationNode,
    placement: Placement,
) -> list[Agreement]:
    """Return the agreement of segments of equal names.

    Args:
        first: segmentation node.
        second: segmentation node.
        placement: of the volume that both lie on, see `TumorSegLib.slicer_io.geometry`.
    """
    voxel_ml = float(np.prod(placement.grid.spacing)) / 1000
    others = _segments_by_name(second)
    rows = []
    for name, segment in _segments_by_name(first).items():
        if name not in others:
            continue
        mask, box = mask_of(segment, placement.ijk_to(first))
        other_box, read = mask_reader(others[name], placement.ijk_to(second))
        count = int(np.count_nonzero(mask)) if mask is not None else 0
        other = int(np.count_nonzero(read(other_box))) if other_box else 0
        both = 0
        if shared := intersection(box, other_box):
            _, read_first = mask_reader(segment, placement.ijk_to(first))
            both = int(np.count_nonzero(read_first(shared) & read(shared)))
        dice = 2 * both / (count + other) if count + other else 1.0
        rows.append(Agreement(name, dice, count * voxel_ml, other * voxel_ml))
    return rows


def _segments_by_name(node: slicer.vtkMRMLSegmentationNode) -> dict[str, slicer.vtkSegment]:
    segmentation = node.GetSegmentation()
    segments = (segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments()))
    return {segment.GetName(): segment for segment in segments}


class SideBySide:
    """Shows one segmentation in the left slice view and another in the right one."""

    def __init__(self) -> None:
        """Change nothing yet."""
        self._changes: list[tuple[slicer.vtkMRMLNode, Callable[[], object]]] = []

    @property
    def active(self) -> bool:
        """Whether two segmentations are shown."""
        return bool(self._changes)

    def show(
        self,
        volume: slicer.vtkMRMLScalarVolumeNode,
        first: slicer.vtkMRMLSegmentationNode,
        second: slicer.vtkMRMLSegmentationNode,
    ) -> None:
        """Show axial slices of `volume` twice, with a segmentation each."""
        self.end()
        scene = slicer.mrmlScene
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            display = node.GetDisplayNode()
            if node not in (first, second) and display is not None and display.GetVisibility():
                self._before(display, partial(_restore, display))
                _remember(display)
                display.SetVisibility(False)
        for node, view in ((first, RED), (second, YELLOW)):
            display = node.GetDisplayNode()
            self._before(display, partial(_restore, display))
            _remember(display)
            _show_in(display, [view])
        layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if layout is not None:
            self._before(layout, partial(layout.SetViewArrangement, layout.GetViewArrangement()))
            layout.SetViewArrangement(layout.SlicerLayoutSideBySideView)
        red, yellow = scene.GetNodeByID(RED), scene.GetNodeByID(YELLOW)
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if composite.GetLayoutName() in ("Red", "Yellow"):
                background = scene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
                linked = composite.GetLinkedControl()
                self._before(composite, partial(_set_background, composite, background, linked))
                _set_background(composite, volume, True)
        if red is not None and yellow is not None:
            for view in (red, yellow):
                to_ras = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
                self._before(view, partial(_set_plane, view, to_ras))
                view.SetOrientationToAxial()
            yellow.SetSliceOffset(red.GetSliceOffset())

    def end(self) -> None:
        """Show everything everywhere again, in the views that there were before."""
        for node, restore in reversed(self._changes):
            if slicer.mrmlScene.IsNodePresent(node):
                restore()
        self._changes = []

    def restore_saved(self) -> None:
        """Show again what another session had hidden when the scene was saved."""
        ours = [node for node, _undo in self._changes]
        for display in slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode"):
            if display not in ours:
                _restore(display)

    def _before(self, node: slicer.vtkMRMLNode, restore: Callable[[], object]) -> None:
        """Remember how a node that is about to be changed is to be restored."""
        self._changes.append((node, restore))


def _remember(display: slicer.vtkMRMLDisplayNode) -> None:
    was = {"visible": bool(display.GetVisibility()), "views": list(display.GetViewNodeIDs())}
    set_quietly(display, BEFORE, json.dumps(was))


def _restore(display: slicer.vtkMRMLDisplayNode) -> None:
    """Make a display node what it was, if it was changed."""
    try:
        was = parsed(display.GetAttribute(BEFORE) or "null")
        visible, views = was["visible"], [str(view) for view in was["views"]]
    except (ValueError, TypeError, KeyError):  # not changed, or written by hand
        return
    set_quietly(display, BEFORE, None)
    display.SetVisibility(bool(visible))
    _show_in(display, views)


def _show_in(display: slicer.vtkMRMLDisplayNode, views: Iterable[str]) -> None:
    display.RemoveAllViewNodeIDs()
    for view in views:
        display.AddViewNodeID(view)


def _set_background(
    composite: slicer.vtkMRMLSliceCompositeNode,
    volume: slicer.vtkMRMLScalarVolumeNode | None,
    linked: bool,
) -> None:
    """Unlinks first: of linked views, each passes its background on to the others."""
    composite.SetLinkedControl(False)
    if volume is None or slicer.mrmlScene.IsNodePresent(volume):
        composite.SetBackgroundVolumeID(volume.GetID() if volume is not None else None)
    composite.SetLinkedControl(linked)


def _set_plane(view: slicer.vtkMRMLSliceNode, to_ras: Matrix4) -> None:
    view.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(to_ras))
    view.UpdateMatrices()
