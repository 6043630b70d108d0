"""Where the model doubted, voxel by voxel, as a coloured layer over the slice views. No Qt."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import slicer
from numpy.typing import NDArray

from TumorSegLib.inference.uncertainty_ranking import doubt
from TumorSegLib.slicer_io.images import image_array

UNCERTAINTY_OF = "TumorSeg.UncertaintyOf"
"""Attribute (an id) and node reference from a map to its segmentation."""

COLOURS = "vtkMRMLColorTableNodeIron"
"""From dark red through yellow to white."""

SHOWN_FROM = 40
"""Of 254: voxels with less doubt, a probability below 8 or above 92 %, stay clear."""

OPACITY = 0.6

COPY_BYTES = 1 << 20


def map_of(target: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the map of a segmentation, None if it has none."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(UNCERTAINTY_OF) and node.GetNodeReference(UNCERTAINTY_OF) is target:
            return node
    return None


def make_map(
    target: slicer.vtkMRMLSegmentationNode,
    volume: slicer.vtkMRMLScalarVolumeNode,
    probabilities: NDArray[np.uint8],
) -> Generator[None, None, None]:
    """Make the map of a segmentation anew, as a generator that can be left between two steps.

    Args:
        target: segmentation node.
        volume: node whose voxels `probabilities` belong to.
        probabilities: uint8 (labels, z, y, x), 0 to 255 for 0 to 1.
    """
    import vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*probabilities.shape[:0:-1])
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    voxels = image_array(image)[0]
    rows = max(1, COPY_BYTES // max(1, probabilities[:, 0].nbytes))
    for start in range(0, len(voxels), rows):
        part = slice(start, start + rows)
        voxels[part] = doubt(probabilities[:, part])
        yield
    if not all(slicer.mrmlScene.IsNodePresent(node) for node in (target, volume)):
        return
    remove_map(target)
    node = _new_node(target, volume)
    node.SetAndObserveImageData(image)


def remove_map(target: slicer.vtkMRMLSegmentationNode) -> None:
    """Remove the map of a segmentation."""
    node = map_of(target)
    if node is not None:
        slicer.mrmlScene.RemoveNode(node)


def remove_orphans() -> None:
    """Remove maps whose segmentation is gone."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(UNCERTAINTY_OF) and node.GetNodeReference(UNCERTAINTY_OF) is None:
            slicer.mrmlScene.RemoveNode(node)


class Overlay:
    """Shows one map in the foreground of all slice views, and gives the foreground back."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._shown: str | None = None
        self._before: dict[str, tuple[str | None, float]] = {}

    def show(self, node: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Show a map instead of the one before; None: what was in the foreground before."""
        if node is not None and node.GetID() == self._shown:
            return
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            foreground = view.GetForegroundVolumeID()
            ours = foreground is not None and foreground == self._shown
            ours = ours or _is_map(foreground)  # of a scene that was saved with it
            if not ours:
                self._before[view.GetID()] = (foreground, view.GetForegroundOpacity())
            if node is not None:
                view.SetForegroundVolumeID(node.GetID())
                view.SetForegroundOpacity(OPACITY)
            elif ours or (self._shown is not None and foreground is None):
                volume, opacity = self._before.get(view.GetID(), (None, 0.0))
                view.SetForegroundVolumeID(volume if _is_there(volume) else None)
                view.SetForegroundOpacity(opacity)
        self._shown = node.GetID() if node is not None else None
        if node is None:
            self._before.clear()


def _is_map(node_id: str | None) -> bool:
    node = slicer.mrmlScene.GetNodeByID(node_id) if node_id else None
    return node is not None and bool(node.GetAttribute(UNCERTAINTY_OF))


def _is_there(node_id: str | None) -> bool:
    return bool(node_id) and slicer.mrmlScene.GetNodeByID(node_id) is not None


def _new_node(
    target: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a hidden volume in the place of `volume`.

    Its display is set by hand: to choose window and threshold, Slicer would read every voxel.
    """
    scene = slicer.mrmlScene
    display = scene.CreateNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.UnRegister(None)
    display.AutoWindowLevelOff()
    display.AutoThresholdOff()
    display.SetWindowLevelMinMax(0, 254)
    display.SetThreshold(SHOWN_FROM, 255)
    display.ApplyThresholdOn()
    display.SetAndObserveColorNodeID(COLOURS)
    display = scene.AddNode(display)
    node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(f"{target.GetName()} (uncertainty)")
    node.SetHideFromEditors(True)
    node.SetAttribute(UNCERTAINTY_OF, target.GetID())
    node.CopyOrientation(volume)
    node = scene.AddNode(node)
    node.SetAndObserveDisplayNodeID(display.GetID())
    node.SetNodeReferenceID(UNCERTAINTY_OF, target.GetID())
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    return node
