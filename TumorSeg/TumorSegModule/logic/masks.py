"""Segments as masks on a lattice of voxels, read whole or part by part, and boxes of voxels.

A box is start and stop along (z, y, x); () is an empty one. It may reach beyond the volume, as
segments do that were edited there.
"""

import numpy as np
import slicer

from TumorSegModule.logic.geometry import image_array, new_image


def binary():
    """Return the name of the representation by label maps."""
    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def mask_of(segment, ijk_to_ras):
    """Return a segment's mask on the lattice of `ijk_to_ras` and its box there; (None, ()) if none.

    After a change of the segmentation's geometry the label map is resampled to the nearest voxel.
    """
    box, read = mask_reader(segment, ijk_to_ras)
    return (read(box), box) if box else (None, ())


def mask_reader(segment, ijk_to_ras):
    """Return a segment's box on the lattice of `ijk_to_ras`, and how to read parts of its mask.

    Returns:
        The box, and a function that takes a box and returns the mask there.
    """
    image = segment.GetRepresentation(binary()) if segment is not None else None
    array, frame = image_array(image) if image is not None else (np.zeros((0, 0, 0)), ())
    if 0 in array.shape:
        return (), lambda part: np.zeros(_shape(part), bool)
    value, own = segment.GetLabelValue(), _matrix_of(image)
    same = np.allclose(own, ijk_to_ras, atol=1e-4)

    def read(part):
        source, place = (array, frame) if same else _resampled(image, part, ijk_to_ras)
        mask = np.zeros(_shape(part), bool)
        if overlap := intersection(part, place):
            mask[inside(overlap, part)] = source[inside(overlap, place)] == value
        return mask

    return (frame if same else _box_on(ijk_to_ras, own, frame)), read


def inside(box, frame):
    """Return the slices of an array on `frame` that `box` takes."""
    return tuple(
        slice(box[2 * axis] - frame[2 * axis], box[2 * axis + 1] - frame[2 * axis])
        for axis in range(3)
    )


def intersection(box, other):
    """Return the box that two boxes share."""
    if not box or not other:
        return ()
    result = []
    for axis in (0, 2, 4):
        start, stop = max(box[axis], other[axis]), min(box[axis + 1], other[axis + 1])
        if start >= stop:
            return ()
        result += [start, stop]
    return tuple(result)


def union(boxes):
    """Return the box around all of `boxes`."""
    boxes = [box for box in boxes if box]
    if not boxes:
        return ()
    edges = zip(*boxes, strict=True)
    return tuple(min(edge) if n % 2 == 0 else max(edge) for n, edge in enumerate(edges))


def _matrix_of(image):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _box_on(ijk_to_ras, own, box):
    """Return the box on the lattice of `ijk_to_ras` around a box on that of `own`."""
    corners = np.array([(x, y, z, 1) for x in box[4:] for y in box[2:4] for z in box[:2]]).T
    found = (np.linalg.inv(ijk_to_ras) @ own @ corners)[:3]
    low, high = np.floor(found.min(axis=1)).astype(int), np.ceil(found.max(axis=1)).astype(int) + 1
    return tuple(int(edge) for axis in (2, 1, 0) for edge in (low[axis], high[axis]))


def _resampled(image, box, ijk_to_ras):
    """Return an image on a box of another lattice, to the nearest voxel, and the box it fills."""
    reference, result = new_image(box, ijk_to_ras), slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        image, reference, result, False, False
    )
    return image_array(result)


def _shape(box):
    return tuple(box[2 * axis + 1] - box[2 * axis] for axis in range(3))
