"""From a volume and a click to segments in the scene, on the stand-in application."""

from __future__ import annotations

import numpy as np
from host_fixtures import bench, host  # noqa: F401
from bright_models import write_model


def add_head(slicer, name="FLAIR", shape=(12, 64, 64), matrix=None):
    """Add a volume with a bright box to the scene and return its node and the box's mask."""
    voxels = np.zeros(shape, np.int16)
    voxels[:, 8:56, 8:56] = 60
    mask = np.zeros(shape, bool)
    mask[4:8, 20:30, 22:36] = True
    voxels[mask] = 200
    matrix = np.diag([1.0, 1.0, 5.0, 1.0]) if matrix is None else matrix
    return slicer.util.addVolumeFromArray(voxels, matrix, name), mask


def segment_mask(slicer, segmentation, volume, index=0):
    segment_id = segmentation.GetSegmentation().GetNthSegmentID(index)
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume) > 0


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_click_makes_segments(bench):  # noqa: F811
    write_model(bench.models, "tiny")
    panel = bench.open()
    assert not panel.ui.segmentButton.enabled
    volume, mask = add_head(bench.slicer)
    bench.parameters.volume = volume
    bench.turn()
    assert panel.ui.segmentButton.enabled
    status = bench.run()
    assert not status.failed, status.line
    target = bench.parameters.target
    assert dice(segment_mask(bench.slicer, target, volume), mask) > 0.9
