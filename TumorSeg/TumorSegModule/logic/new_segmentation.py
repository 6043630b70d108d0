"""What a new segmentation gets from its volume: grid, transform, place in the study."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _


def new_segmentation(volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    """Return a new segmentation node in the scene, named after a volume node and fitting it."""
    scene = slicer.mrmlScene
    name = scene.GenerateUniqueName(_("{name} segmentation").format(name=volume.GetName()))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    prepare_segmentation(node, volume)
    return node


def prepare_segmentation(
    segmentation: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Make an empty segmentation node fit a volume node, whoever made it.

    It gets the volume's geometry as reference, lies under the same transform, and stands beside the
    volume in the subject hierarchy, below its study and patient.
    """
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetAndObserveTransformNodeID(volume.GetTransformNodeID())  # before the geometry,
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)  # which allows for it
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item, beside = (hierarchy.GetItemByDataNode(node) for node in (segmentation, volume))
    if item and beside and (parent := hierarchy.GetItemParent(beside)) in _items(hierarchy):
        hierarchy.SetItemParent(item, parent)


def _items(hierarchy: slicer.vtkMRMLSubjectHierarchyNode) -> set[int]:
    """Return the items below the scene: after a scene was added, some have an unknown parent."""
    item_ids = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), item_ids, True)
    return {item_ids.GetId(number) for number in range(item_ids.GetNumberOfIds())}
