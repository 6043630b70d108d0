"""What nodes of 3D Slicer's scene hold of a case.

Nodes are handed in, so that this serves the application's scene and one read from a file alike;
3D Slicer itself is not imported.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.correction import Correction
from TumorSegLib.image.grid import LPS_FROM_RAS
from TumorSegLib.slicer_io.fingerprint import VOXELS_TAG
from TumorSegLib.slicer_io.geometry import parent_matrix
from TumorSegLib.slicer_io.images import Box, Matrix4, image_array, matrix_of
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import MODEL_TAG, SOURCE, tag_of
from TumorSegLib.support.schema import parsed

REVIEWED = "TumorSeg.Reviewed"
CORRECTION = "TumorSeg.Correction"
REFERENCE_FOR = "TumorSeg.ReferenceFor"
"""Attributes of segmentation nodes: looked through by a person; how far the model's segments were
changed, JSON; a copy of what the model drew, which is no case."""

PATIENT = "Patient"
PATIENT_NUMBER = "DICOM.PatientID"
DICOM_UID = "DICOM"
"""Slicer's names in the subject hierarchy: a level, an attribute, a kind of id."""


def is_case(segmentation: Any) -> bool:
    """Tell whether a segmentation node is somebody's work: with segments, and no reference."""
    segments = segmentation.GetSegmentation().GetNumberOfSegments()
    return segments > 0 and not segmentation.GetAttribute(REFERENCE_FOR)


def volume_of(segmentation: Any) -> Any:
    """Return the volume node that a segmentation was drawn on, None if it is not known."""
    role = segmentation.GetReferenceImageGeometryReferenceRole()
    return segmentation.GetNodeReference(role)


def masks_of(segmentation: Any) -> tuple[NamedMask, ...]:
    """Return a segmentation node's segments; label maps that they share are shared, not copied.

    Raises:
        InputError: they are surfaces, or a transform warps them.
    """
    content = segmentation.GetSegmentation()
    if content.GetSourceRepresentationName() != SOURCE:
        raise InputError(
            f"{segmentation.GetName()}: its segments are surfaces, expected label maps; make the"
            " binary label map the source in the module Segmentations"
        )
    to_lps = LPS_FROM_RAS @ parent_matrix(segmentation)
    images: list[tuple[Any, NDArray[Any], Matrix4]] = []
    masks = []
    for number in range(content.GetNumberOfSegments()):
        segment = content.GetNthSegment(number)
        image = segment.GetRepresentation(SOURCE)
        found = next(((a, m) for other, a, m in images if other is image), None)
        if found is None:
            array, box = image_array(image)
            found = (array, to_lps @ _first_voxel_to_node(image, box))
            images.append((image, *found))
        masks.append(
            NamedMask(
                content.GetNthSegmentID(number),
                segment.GetName(),
                found[0],
                segment.GetLabelValue(),
                found[1],
                tag_of(segment, MODEL_TAG),
                tag_of(segment, VOXELS_TAG),
            )
        )
    return tuple(masks)


def is_reviewed(segmentation: Any) -> bool:
    """Tell whether a person has marked a segmentation node as looked through."""
    return bool(segmentation.GetAttribute(REVIEWED) == "1")


def set_reviewed(segmentation: Any, reviewed: bool) -> None:
    """Mark a segmentation node as looked through, or take the mark off."""
    set_quietly(segmentation, REVIEWED, "1" if reviewed else None)


def set_correction(segmentation: Any, correction: Correction | None) -> None:
    """Keep with a segmentation node how far it was corrected; None: that is not known."""
    text = json.dumps(asdict(correction)) if correction is not None else None
    set_quietly(segmentation, CORRECTION, text)


def set_quietly(node: Any, name: str, value: str | None) -> None:
    """Set an attribute of a node, None to remove it, without having views drawn anew."""
    was = node.GetDisableModifiedEvent()
    node.SetDisableModifiedEvent(1)
    node.SetAttribute(name, value)
    node.SetDisableModifiedEvent(was)


def correction_of(segmentation: Any) -> Correction | None:
    """Return how far a person changed what the model drew, None where that is not known."""
    try:
        said = parsed(segmentation.GetAttribute(CORRECTION) or "null")
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    numbers = {name: said.get(name) for name in ("slices", "millilitres", "dice")}
    known = {
        name: number
        for name, number in numbers.items()
        if isinstance(number, int | float) and not isinstance(number, bool)
    }
    if not known:
        return None
    slices = known.get("slices")
    return Correction(
        int(slices) if slices is not None else None, known.get("millilitres"), known.get("dice")
    )


def patient_of(volume: Any, hierarchy: Any) -> str | None:
    """Return what tells the patient of a volume node from others, None if the scene does not say.

    Args:
        volume: node.
        hierarchy: subject hierarchy node; DICOM's import puts volumes under a patient, and so can
            the user.
    """
    item = hierarchy.GetItemByDataNode(volume) if hierarchy is not None else 0
    patient = hierarchy.GetItemAncestorAtLevel(item, PATIENT) if item else 0
    if not patient:
        return None
    number = hierarchy.GetItemAttribute(patient, PATIENT_NUMBER)
    name: str = number or hierarchy.GetItemUID(patient, DICOM_UID) or hierarchy.GetItemName(patient)
    return name.strip() or None


def voxels_of(volume: Any) -> NDArray[Any]:
    """Return the array (z, y, x) on a volume node's voxels.

    Raises:
        InputError: it has none, or several values a voxel.
    """
    image = volume.GetImageData()
    if image is None or 0 in image.GetDimensions() or image.GetNumberOfScalarComponents() != 1:
        raise InputError(f"{volume.GetName()}: expected a volume with one grey value a voxel")
    return image_array(image)[0]


def _first_voxel_to_node(image: Any, box: Box) -> Matrix4:
    """Return 4x4 from the indices of an oriented image's array to its node's coordinates."""
    first = np.eye(4)
    if image is None:
        return first
    first[:3, 3] = box[4], box[2], box[0]
    matrix: Matrix4 = matrix_of(image.GetImageToWorldMatrix) @ first
    return matrix
