"""Label maps cut down to what they hold, as Slicer does when it merges into one. MRML, no Qt.

Some effects of the Segment Editor and most scripts leave label maps as large as the volume. What is
done with all of one, as keeping it for Undo, takes as long as it is large.
"""

from __future__ import annotations

from collections.abc import Generator
from math import prod

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.images import Box, filled_part, image_array, inside, shape_of
from TumorSegLib.slicer_io.segments import SOURCE
from TumorSegModule.logic.segments import Stamps, sharing, stamps_of

SLAB_VOXELS = 1 << 20
"""Voxels looked at between two looks at the clock; a few milliseconds."""

SMALL = 1 << 22
"""Voxels of a label map that is left as it is: it takes a few milliseconds however empty it is."""


def tightened(
    segmentation: slicer.vtkMRMLSegmentationNode, stamps: Stamps
) -> Generator[None, None, Stamps]:
    """Cut down label maps of which most is empty, as a generator that can be left between steps.

    Args:
        segmentation: node.
        stamps: of its segments, see `check_stamps`.

    Returns:
        Its stamps afterwards, as the value of StopIteration.

    Raises:
        InputError: somebody edits it meanwhile.
    """
    content = segmentation.GetSegmentation()
    for name in list(stamps):
        check_stamps(segmentation, stamps)
        image = content.GetSegment(name).GetRepresentation(SOURCE)
        array, frame = image_array(image)
        if array.size <= SMALL or array.dtype.kind not in "iu":
            continue
        held = yield from filled_part(array, frame, SLAB_VOXELS)
        held = held or tuple(edge for first in frame[::2] for edge in (first, first + 1))
        if 2 * prod(shape_of(held)) > array.size:
            continue
        smaller = yield from _cut(image, array[inside(held, frame)], held)
        check_stamps(segmentation, stamps)
        for other in sharing(segmentation.GetSegmentation(), name):
            content.GetSegment(other).AddRepresentation(SOURCE, smaller)
        stamps = stamps_of(segmentation)
    return stamps


def check_stamps(segmentation: slicer.vtkMRMLSegmentationNode, stamps: Stamps) -> None:
    """Refuse to go on with a segmentation to which somebody else has written.

    Args:
        segmentation: node.
        stamps: `stamps_of` it as it was.

    Raises:
        InputError: it is another now, or no longer in the scene.
    """
    if not slicer.mrmlScene.IsNodePresent(segmentation) or stamps_of(segmentation) != stamps:
        raise InputError(_("The segments were edited just now; try again in a moment."))


def _cut(
    image: slicer.vtkOrientedImageData, voxels: NDArray[np.integer], box: Box
) -> Generator[None, None, slicer.vtkOrientedImageData]:
    """Return a part of a label map as one of its own."""
    import vtk

    smaller, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    z0, z1, y0, y1, x0, x1 = box
    smaller.SetExtent(x0, x1 - 1, y0, y1 - 1, z0, z1 - 1)
    image.GetImageToWorldMatrix(matrix)
    smaller.SetImageToWorldMatrix(matrix)
    smaller.AllocateScalars(image.GetScalarType(), 1)
    target = image_array(smaller)[0]
    rows = max(1, SLAB_VOXELS // voxels[0].size)
    for start in range(0, len(voxels), rows):
        target[start : start + rows] = voxels[start : start + rows]
        yield
    return smaller
