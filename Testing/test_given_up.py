"""What a filter gave up, as rows of voxels."""

from __future__ import annotations

import numpy as np
import pytest

from TumorSegLib.inference.given_up import GivenUp, runs_of
from TumorSegLib.support.schema import from_dict, to_dict


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_is_the_same_after_runs(seed):
    random = np.random.default_rng(seed)
    mask = random.random((4, 6, 9)) < 0.4
    indices = np.argwhere(mask)
    random.shuffle(indices)
    item = GivenUp(2, 0.1, runs_of(indices))
    again = np.zeros_like(mask)
    item.draw(again)
    assert (again == mask).all()
    box = item.box
    cut = np.zeros((box[1] - box[0], box[3] - box[2], box[5] - box[4]), bool)
    item.draw(cut, (box[0], box[2], box[4]))
    assert (cut == mask[box[0] : box[1], box[2] : box[3], box[4] : box[5]]).all()
    assert cut.any(axis=(1, 2))[[0, -1]].all()
    assert from_dict(GivenUp, to_dict(item)) == item


def test_nothing_has_no_box():
    item = GivenUp(2, 0.1, runs_of(np.zeros((0, 3), int)))
    assert (item.runs, item.box) == ((), ())


def test_rows_are_four_numbers_each():
    with pytest.raises(ValueError, match="four a run"):
        GivenUp(1, 0.5, (1, 2, 3))
