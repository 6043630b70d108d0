"""Between the model's axial slices and Slicer's slice views, whatever the volume's direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer

from TumorSegLib.slicer_io.geometry import parent_matrix
from TumorSegLib.slicer_io.images import Matrix4, union
from TumorSegLib.slicer_io.masks import mask_reader
from TumorSegModule.logic.slice_figures import SliceFigures

LEAST_COSINE = 0.3
"""Between the slices' axis and a view's normal; a view further off shows no axial slice."""


def show_slice(
    target: slicer.vtkMRMLSegmentationNode, figures: SliceFigures, index: int
) -> list[float]:
    """Have all slice views show an axial slice, at the place where segments are.

    Returns:
        The voxel indices (x, y, z) at which it is shown.

    Raises:
        InputError: a non-linear transform lies above the segmentation.
    """
    place = _place_on(target, figures, index)
    point = _to_world(target, figures) @ [*place, 1.0]
    node = slicer.vtkMRMLSliceNode
    node.JumpAllSlices(slicer.mrmlScene, *point[:3], node.OffsetJumpSlice)
    return place


def shown_slice(
    target: slicer.vtkMRMLSegmentationNode,
    figures: SliceFigures,
    place: Sequence[float] | None = None,
) -> int | None:
    """Return the axial slice that the most axial of the views shows, None if none shows one.

    Args:
        target: segmentation node.
        figures: of its slices.
        place: voxel indices (x, y, z) through which to look along the slices' axis, for a view
            that is tilted against the slices cuts several; the volume's middle if not given.

    Raises:
        InputError: a non-linear transform lies above the segmentation.
    """
    to_world = _to_world(target, figures)
    along = to_world[:3, 2 - figures.axis]
    best, plane = LEAST_COSINE, None
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        to_ras = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
        normal = to_ras[:3, 2] / np.linalg.norm(to_ras[:3, 2])
        cosine = abs(normal @ along) / np.linalg.norm(along)
        if cosine > best + 0.01:  # of equal ones the first, which is the red one
            best, plane = cosine, (to_ras[:3, 3], normal)
    if plane is None:
        return None
    place = _middle(figures) if place is None else place
    point, (origin, normal) = to_world @ [*place, 1.0], plane
    steps = (origin - point[:3]) @ normal / (along @ normal)
    index = figures.stored_index(round(place[2 - figures.axis] + steps))
    return index if 0 <= index < len(figures) else None


def _place_on(
    target: slicer.vtkMRMLSegmentationNode, figures: SliceFigures, index: int
) -> list[float]:
    """Return voxel indices (x, y, z) on a slice: amid the segments on it, or on the nearest one."""
    segmentation, axis = target.GetSegmentation(), figures.axis
    readers = [
        mask_reader(segmentation.GetSegment(name), figures.ijk_to_ras)
        for name in segmentation.GetSegmentIDs()
    ]
    box = union([box for box, _ in readers])
    place = _middle(figures)
    if box:
        stored = figures.stored_index(index)
        nearest = min(max(stored, box[2 * axis]), box[2 * axis + 1] - 1)
        part = (*box[: 2 * axis], nearest, nearest + 1, *box[2 * axis + 2 :])
        voxels = np.argwhere(np.any([read(part) for _, read in readers], axis=0))
        centre = (
            voxels.mean(axis=0) if len(voxels) else np.diff(np.reshape(box, (3, 2))).ravel() / 2
        )
        place = [centre[2 - n] + box[2 * (2 - n)] for n in range(3)]
    place[2 - axis] = figures.stored_index(index)
    return place


def _middle(figures: SliceFigures) -> list[float]:
    return [(count - 1) / 2 for count in figures.shape[::-1]]


def _to_world(target: slicer.vtkMRMLSegmentationNode, figures: SliceFigures) -> Matrix4:
    return parent_matrix(target) @ figures.ijk_to_ras
