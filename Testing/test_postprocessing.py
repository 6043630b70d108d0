from __future__ import annotations

import numpy as np
import pytest

from TumorSegLib.components import bounding_box
from TumorSegLib.postprocessing import postprocess
from TumorSegLib.specification import FillHoles, KeepLargest, RemoveSmall


@pytest.fixture
def labelmap():
    array = np.zeros((6, 20, 20), np.uint8)
    array[1:4, 2:10, 2:10] = 1  # 192 voxels
    array[2, 4:6, 4:6] = 0  # a hole within the slice
    array[5, 15, 15] = 1
    array[4, 14, 14] = 1  # touches the former by a corner
    array[1, 18, 1] = 2
    return array


def test_keep_largest(labelmap):
    postprocess(labelmap, [KeepLargest(1)], voxel_ml=1)
    assert np.count_nonzero(labelmap == 1) == 188
    assert labelmap[1, 18, 1] == 2


@pytest.mark.parametrize(("millilitres", "left"), [(0.019, 190), (0.021, 188), (2.0, 0)])
def test_remove_small_counts_corners_as_touching(labelmap, millilitres, left):
    postprocess(labelmap, [RemoveSmall(1, millilitres)], voxel_ml=0.01)
    assert np.count_nonzero(labelmap == 1) == left


def test_fill_holes_within_a_slice_leaves_other_labels(labelmap):
    labelmap[2, 4, 4] = 2
    postprocess(labelmap, [FillHoles(1)], voxel_ml=1)
    assert labelmap[2, 4, 4] == 2
    assert (labelmap[2, 4:6, 4:6] == [[2, 1], [1, 1]]).all()


def test_absent_label_is_no_problem():
    empty = np.zeros((2, 3, 4), np.uint8)
    postprocess(empty, [KeepLargest(1), RemoveSmall(1, 1.0), FillHoles(1)], voxel_ml=1)
    assert not empty.any()
    assert bounding_box(empty > 0) is None


def test_works_on_views(labelmap):
    straight = labelmap.copy()
    flipped = labelmap[::-1, :, ::-1]
    postprocess(straight, [KeepLargest(1), FillHoles(1)], voxel_ml=1)
    postprocess(flipped, [KeepLargest(1), FillHoles(1)], voxel_ml=1)
    np.testing.assert_array_equal(labelmap, straight)
