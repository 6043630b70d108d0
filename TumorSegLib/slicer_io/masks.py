"""Segments as masks on a lattice of voxels, read whole or part by part; see `images` for boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.slicer_io.images import (
    Box,
    Matrix4,
    image_array,
    inside,
    intersection,
    matrix_of,
    new_image,
    shape_of,
)
from TumorSegLib.slicer_io.segments import SOURCE

Mask = NDArray[np.bool_]


def mask_of(segment: Any, ijk_to_ras: Matrix4) -> tuple[Mask | None, Box]:
    """Return a segment's mask on the lattice of `ijk_to_ras` and its box there; (None, ()) if none.

    After a change of the segmentation's geometry the label map is resampled to the nearest voxel.
    """
    box, read = mask_reader(segment, ijk_to_ras)
    return (read(box), box) if box else (None, ())


def mask_reader(
    segment: Any, ijk_to_ras: Matrix4, filled: Box | None = None
) -> tuple[Box, Callable[[Box], Mask]]:
    """Return a segment's box on the lattice of `ijk_to_ras`, and how to read parts of its mask.

    Args:
        segment: vtkSegment, None for none.
        ijk_to_ras: 4x4 from the lattice's indices to the coordinates that the segmentation stores.
        filled: part of the label map beyond which it is empty, () if it is; all of it if not given.

    Returns:
        A box beyond which the mask is empty, and a function that takes a box and returns the mask
        there.
    """
    image = segment.GetRepresentation(SOURCE) if segment is not None else None
    array, frame = image_array(image)
    if image is None or 0 in array.shape or filled == ():
        return (), lambda part: np.zeros(shape_of(part), bool)
    value, own = segment.GetLabelValue(), matrix_of(image.GetImageToWorldMatrix)
    same = np.allclose(own, ijk_to_ras, atol=1e-4)

    def read(part: Box) -> Mask:
        source, place = (array, frame) if same else _resampled(image, part, ijk_to_ras)
        mask = np.zeros(shape_of(part), bool)
        if overlap := intersection(part, place):
            mask[inside(overlap, part)] = source[inside(overlap, place)] == value
        return mask

    part = frame if filled is None else filled
    if same:
        return part, read
    around = tuple(edge + (1 if n % 2 else -1) for n, edge in enumerate(part))  # half a voxel
    return _box_on(ijk_to_ras, own, intersection(around, frame)), read


def _box_on(ijk_to_ras: Matrix4, own: Matrix4, box: Box) -> Box:
    """Return the box on the lattice of `ijk_to_ras` around a box on that of `own`."""
    corners = np.array([(x, y, z, 1) for x in box[4:] for y in box[2:4] for z in box[:2]]).T
    there = (np.linalg.inv(ijk_to_ras) @ own @ corners)[:3]
    low, high = np.floor(there.min(axis=1)).astype(int), np.ceil(there.max(axis=1)).astype(int) + 1
    return tuple(int(edge) for axis in (2, 1, 0) for edge in (low[axis], high[axis]))


def _resampled(image: Any, box: Box, ijk_to_ras: Matrix4) -> tuple[NDArray[Any], Box]:
    """Return an image on a box of another lattice, to the nearest voxel, and the box it fills."""
    import slicer

    reference, result = new_image(box, ijk_to_ras), slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        image, reference, result, False, False
    )
    return image_array(result)
