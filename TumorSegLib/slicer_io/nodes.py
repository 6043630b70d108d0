"""What nodes of 3D Slicer's scene hold of a case.

Nodes are handed in, so that this serves the application's scene and one read from a file alike;
3D Slicer itself is not imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.correction import Correction
from TumorSegLib.image.grid import LPS_FROM_RAS, Grid, grid_of_affine
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import MODEL_TAG, SOURCE
from TumorSegLib.support.records import parsed

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


def grid_of_volume(volume: Any) -> Grid:
    """Return where a volume node's voxels lie in the world.

    Raises:
        InputError: a transform warps or shears it.
    """
    shape = volume.GetImageData().GetDimensions()[::-1]
    affine = _to_lps(volume) @ _matrix(volume.GetIJKToRASMatrix)
    return grid_of_affine(affine, shape, volume.GetName())


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
    to_lps = _to_lps(segmentation)
    images: list[tuple[Any, NDArray[Any], NDArray[np.float64]]] = []
    masks = []
    for number in range(content.GetNumberOfSegments()):
        segment = content.GetNthSegment(number)
        image = segment.GetRepresentation(SOURCE)
        found = next(((a, m) for other, a, m in images if other is image), None)
        if found is None:
            array, affine = _voxels(image)
            found = (array, to_lps @ affine)
            images.append((image, *found))
        masks.append(
            NamedMask(
                content.GetNthSegmentID(number),
                segment.GetName(),
                found[0],
                segment.GetLabelValue(),
                found[1],
                _tag(segment, MODEL_TAG),
            )
        )
    return tuple(masks)


def is_reviewed(segmentation: Any) -> bool:
    """Tell whether a person has marked a segmentation node as looked through."""
    return bool(segmentation.GetAttribute(REVIEWED) == "1")


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
    return _voxels(image)[0]


def _voxels(image: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return an image's array (z, y, x) and, of an oriented one, 4x4 from its indices to RAS."""
    from vtk.util.numpy_support import vtk_to_numpy

    empty = np.zeros((0, 0, 0), np.uint8)
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None:
        return empty, np.eye(4)
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    shape = (z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
    if min(shape) < 1:
        return empty, np.eye(4)
    first = np.eye(4)
    first[:3, 3] = x0, y0, z0
    oriented = hasattr(image, "GetImageToWorldMatrix")
    affine = _matrix(image.GetImageToWorldMatrix) @ first if oriented else np.eye(4)
    return vtk_to_numpy(scalars).reshape(shape), affine


def _to_lps(node: Any) -> NDArray[np.float64]:
    """Return 4x4 from the coordinates that a node stores to the world's LPS.

    Raises:
        InputError: the parent transform is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return LPS_FROM_RAS
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            f"{node.GetName()}: the transform {transform.GetName()} above it is not linear; harden"
            " it in the module Data"
        )
    to_lps: NDArray[np.float64] = LPS_FROM_RAS @ _matrix(transform.GetMatrixTransformToWorld)
    return to_lps


def _matrix(get: Any) -> NDArray[np.float64]:
    from vtk import vtkMatrix4x4

    matrix = vtkMatrix4x4()
    get(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _tag(segment: Any, name: str) -> str:
    from vtk import mutable

    value = mutable("")
    return str(value) if segment.GetTag(name, value) else ""
