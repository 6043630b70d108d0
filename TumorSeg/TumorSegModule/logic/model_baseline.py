"""The model's mask, kept beside the segments that are edited: a hidden segmentation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
from numpy.typing import NDArray

from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.fingerprint import VOXELS_TAG
from TumorSegLib.slicer_io.images import Box, Matrix4, image_array, new_image
from TumorSegLib.slicer_io.masks import Mask, mask_reader
from TumorSegLib.slicer_io.nodes import REFERENCE_FOR
from TumorSegLib.slicer_io.segments import segment_id, tag_of
from TumorSegModule.logic.segments import NOTHING, write_labelmap
from TumorSegModule.logic.slice_figures import SliceFigures, figures_of

# REFERENCE_FOR is an attribute (an id) and a node reference from the hidden segmentation to the one
# it is for. The node reference counts: it stays right where ids change, as when scenes are added.


def keep_reference(
    target: slicer.vtkMRMLSegmentationNode,
    specification: ModelSpecification,
    labels: NDArray[np.uint8],
    box: Box,
    ijk_to_ras: Matrix4,
    *,
    within: Box | None = None,
) -> None:
    """Keep the mask of a model whose segments were just written to `target`.

    Args:
        target: segmentation node.
        specification: of the model.
        labels: uint8 (z, y, x) of the whole volume.
        box: start and stop along (z, y, x) that hold all of `labels`, () if there are none.
        ijk_to_ras: from indices of `labels` to the coordinates that `target` stores.
        within: box to which the run was limited; the mask stays as it is elsewhere.
    """
    node = _node_for(target)
    if node is not None and figures_of(target) is None:  # it lies where the segments lay before
        slicer.mrmlScene.RemoveNode(node)
        node = None
    kept = (node or _new_node(target)).GetSegmentation()
    write_labelmap(kept, specification, labels, box, ijk_to_ras, within=within)
    for label in specification.labels:
        name = segment_id(specification, label)
        written = target.GetSegmentation().GetSegment(name)
        kept.GetSegment(name).SetTag(VOXELS_TAG, tag_of(written, VOXELS_TAG))


def reference_of(target: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSegmentationNode | None:
    """Return the node that keeps the model's mask of `target`; None if there is none (any more).

    There is none for segments that a model wrote before: its result may have been undone.
    """
    node = _node_for(target)
    if node is None:
        return None
    segments, kept = target.GetSegmentation(), node.GetSegmentation()
    names = kept.GetSegmentIDs()
    present = [name for name in names if segments.GetSegment(name) is not None]
    alike = all(
        tag_of(segments.GetSegment(name), VOXELS_TAG) == tag_of(kept.GetSegment(name), VOXELS_TAG)
        for name in present
    )
    return node if present and alike else None


def was_undone(target: slicer.vtkMRMLSegmentationNode) -> bool:
    """Tell whether what the model wrote last is there no more, as after Undo."""
    return _node_for(target) is not None and reference_of(target) is None


def remove_orphans() -> None:
    """Remove masks whose segmentation is gone."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetAttribute(REFERENCE_FOR) and node.GetNodeReference(REFERENCE_FOR) is None:
            slicer.mrmlScene.RemoveNode(node)


def restore_segment(
    target: slicer.vtkMRMLSegmentationNode,
    reference: slicer.vtkMRMLSegmentationNode,
    figures: SliceFigures,
    name: str,
) -> None:
    """Make a segment what the model left, also if it was removed."""
    kept = reference.GetSegmentation()
    if target.GetSegmentation().GetSegment(name) is None:
        target.GetSegmentation().CopySegmentFromSegmentation(kept, name)
        return
    box, read = mask_reader(kept.GetSegment(name), figures.ijk_to_ras)
    image = _image(box or NOTHING, figures.ijk_to_ras, read, 1)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, target, name, logic.MODE_REPLACE)


def restore_slice(
    target: slicer.vtkMRMLSegmentationNode,
    reference: slicer.vtkMRMLSegmentationNode,
    figures: SliceFigures,
    index: int,
) -> None:
    """Make all of a model's segments on an axial slice what the model left there."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for name in reference.GetSegmentation().GetSegmentIDs():
        if target.GetSegmentation().GetSegment(name) is not None:
            _, read = mask_reader(reference.GetSegmentation().GetSegment(name), figures.ijk_to_ras)
            value = target.GetSegmentation().GetSegment(name).GetLabelValue()
            image = _image(figures.box_of_slice(index), figures.ijk_to_ras, read, value)
            for mode in (logic.MODE_MERGE_MIN, logic.MODE_MERGE_MAX):  # REPLACE clears the others
                logic.SetBinaryLabelmapToSegment(image, target, name, mode, image.GetExtent())


def _image(
    box: Box, ijk_to_ras: Matrix4, read: Callable[[Box], Mask], value: int
) -> slicer.vtkOrientedImageData:
    """Return a mask in the segment's value: Slicer takes the larger of two in one label map."""
    image = new_image(box, ijk_to_ras)
    image_array(image)[0][:] = read(box) * np.uint8(value)
    return image


def _node_for(target: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSegmentationNode | None:
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetAttribute(REFERENCE_FOR) and node.GetNodeReference(REFERENCE_FOR) is target:
            if node.GetAttribute(REFERENCE_FOR) != target.GetID():
                node.SetAttribute(REFERENCE_FOR, target.GetID())
            return node
    return None


def _new_node(target: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSegmentationNode:
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentationNode")
    node.UnRegister(None)
    node.SetName(f"{target.GetName()} (model's mask)")
    node.SetHideFromEditors(True)
    node.SetAttribute(REFERENCE_FOR, target.GetID())
    node = slicer.mrmlScene.AddNode(node)
    node.SetNodeReferenceID(REFERENCE_FOR, target.GetID())
    return node
