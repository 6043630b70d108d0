from __future__ import annotations

import numpy as np
import pytest

from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.inference.postprocessing import postprocess
from TumorSegLib.model.postprocessing import FillHoles, KeepLargest, RemoveSmall
from TumorSegLib.model.specification import CodedConcept, Label


@pytest.fixture
def labelmap():
    array = np.zeros((6, 20, 20), np.uint8)
    array[1:4, 2:10, 2:10] = 1  # 192 voxels
    array[2, 4:6, 4:6] = 0  # a hole within the slice
    array[5, 15, 15] = 1
    array[4, 14, 14] = 1  # touches the former by a corner
    array[1, 18, 1] = 2
    return array


@pytest.fixture
def includes():
    code = CodedConcept("SCT", "10200004", "Liver")
    liver = Label(1, "Liver", (200, 100, 100), code, code, includes=(2,))
    return [liver, Label(2, "Tumour", (200, 200, 0), code, code)]


def test_keep_largest(labelmap):
    postprocess(labelmap, [KeepLargest(1)], voxel_ml=1)
    assert np.count_nonzero(labelmap == 1) == 188
    assert labelmap[1, 18, 1] == 2


@pytest.mark.parametrize(("millilitres", "left"), [(0.019, 190), (0.021, 188), (2.0, 0)])
def test_remove_small_counts_corners_as_touching(labelmap, millilitres, left):
    postprocess(labelmap, [RemoveSmall(1, millilitres)], voxel_ml=0.01)
    assert np.count_nonzero(labelmap == 1) == left


@pytest.mark.parametrize(("share", "left"), [(0.01, 190), (0.02, 188)])
def test_remove_small_can_be_relative_to_the_largest(labelmap, share, left):
    postprocess(labelmap, [RemoveSmall(1, share_of_largest=share)], voxel_ml=0.01)
    assert np.count_nonzero(labelmap == 1) == left


@pytest.mark.parametrize("wrong", [{"millilitres": -1.0}, {"share_of_largest": 1.5}])
def test_remove_small_refuses_what_is_no_size(wrong):
    with pytest.raises(ValueError, match="remove_small"):
        RemoveSmall(1, **wrong)


def liver_with_tumours():
    array = np.zeros((6, 20, 20), np.uint8)
    array[1:4, 2:12, 2:12] = 1
    array[2, 5:8, 5:8] = 2  # in the liver, larger than the liver's other piece
    array[2, 4, 10] = 2  # in the liver, small
    array[1:5, 16, 16] = 2  # in nothing
    return array


def test_a_structure_is_kept_and_removed_with_its_parts(includes):
    array = liver_with_tumours()
    postprocess(array, [KeepLargest(1)], voxel_ml=0.01, labels=includes)
    assert not array[:, 16, 16].any()
    assert np.count_nonzero(array == 2) == 10
    assert np.count_nonzero(array) == 300


def test_what_is_taken_from_a_part_falls_to_the_structure_around_it(includes):
    array = liver_with_tumours()
    postprocess(array, [KeepLargest(1), RemoveSmall(2, 0.05)], voxel_ml=0.01, labels=includes)
    assert np.count_nonzero(array == 2) == 9
    assert array[2, 4, 10] == 1


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
