"""Volumes in the stand-in's scene, and what is in a segmentation, for tests."""

from __future__ import annotations

import numpy as np

HEAD_MATRIX = np.diag([1.0, 1.0, 5.0, 1.0])
"""Voxel indices to RAS of `add_head`: 1 x 1 x 5 mm."""


def head(shape=(12, 64, 64)):
    """Return int16 voxels of a "head" with a bright box, and the box's mask."""
    voxels = np.zeros(shape, np.int16)
    voxels.flat[:16] = range(16)  # as in no label map
    voxels[:, 8:-8, 8:-8] = 60
    mask = np.zeros(shape, bool)
    third = shape[0] // 3
    mask[third : 2 * third, 20:30, 22:36] = True
    voxels[mask] = 200
    return voxels, mask


def add_head(slicer, name="FLAIR", shape=(12, 64, 64), matrix=HEAD_MATRIX):
    """Add a head to the scene and return its node and the bright box's mask."""
    voxels, mask = head(shape)
    return slicer.util.addVolumeFromArray(voxels, matrix, name), mask


def add_body(slicer, name="CT", shape=(12, 64, 64)):
    """Add a CT of a "body" in air, with an organ and a brighter tumour in it."""
    voxels = np.full(shape, -1000, np.int16)
    voxels.flat[:16] = range(-1000, -984)  # as in no label map
    voxels[:, 8:-8, 8:-8] = -100
    voxels[4:8, 16:40, 16:40] = 100
    voxels[5:7, 20:28, 20:28] = 300
    return slicer.util.addVolumeFromArray(voxels, HEAD_MATRIX, name)


def add_large_body(slicer, slices=200):
    """Add a CT of 512 x 512 pixels, half a MiB a slice, with a liver and a tumour in it."""
    voxels = np.full((slices, 512, 512), -1000, np.int16)
    voxels[:, 80:-80, 60:-60] = -100
    voxels[slices // 4 : -slices // 4, 150:380, 120:330] = 100
    voxels[slices // 2 : slices // 2 + 20, 200:240, 200:240] = 300
    return slicer.util.addVolumeFromArray(voxels, np.diag([0.75, 0.75, 1.5, 1.0]), "CT")


def segment_mask(slicer, segmentation, volume, index=0):
    """Return a segment on the volume's grid."""
    segment_id = segmentation.GetSegmentation().GetNthSegmentID(index)
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume) > 0


def edit_by_hand(slicer, segmentation, volume, box, index=0, value=1):
    """Paint a box (three slices along z, y, x) as the Segment Editor does, or erase it with 0."""
    segment_id = segmentation.GetSegmentation().GetNthSegmentID(index)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    array[box] = value
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, segment_id, volume)


def dice(a, b):
    """Return the overlap of two masks."""
    return 2 * (a & b).sum() / (a.sum() + b.sum())
