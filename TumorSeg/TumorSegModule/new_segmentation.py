"""What a new segmentation gets from its volume: grid, transform, place in the study."""

import slicer
from slicer.i18n import tr as _


def new_segmentation(volume):
    """Return a new segmentation node in the scene, named after a volume node and fitting it."""
    scene = slicer.mrmlScene
    name = scene.GenerateUniqueName(_("{name} segmentation").format(name=volume.GetName()))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    prepare_segmentation(node, volume)
    return node


def prepare_segmentation(segmentation, volume):
    """Make an empty segmentation node fit a volume node, whoever made it.

    It gets the volume's geometry as reference, lies under the same transform, and stands beside the
    volume in the subject hierarchy, below its study and patient.
    """
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item, beside = (hierarchy.GetItemByDataNode(node) for node in (segmentation, volume))
    if item and beside:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(beside))
