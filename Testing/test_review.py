"""Which slices to look at first."""

from __future__ import annotations

import numpy as np
import pytest

from TumorSegLib.inference.uncertainty_ranking import doubt, expected_correction, unsure_slices


def test_a_slice_unlike_its_neighbours_is_expected_to_need_correction():
    labels = np.zeros((9, 20, 20), np.uint8)
    labels[2:7, 5:10, 5:10] = 1
    labels[4] = 0  # a gap in a structure
    corrections = expected_correction(np.zeros(9), labels, 4.0)
    half, whole = 12.5 * 4 / 4, 25 * 4 / 4
    assert corrections.tolist() == [0, half, half, half, whole, half, half, half, 0]
    labels[4] = labels[3]
    assert expected_correction(np.zeros(9), labels, 4.0)[4] == 0


def test_labels_that_change_kind_differ_too():
    labels = np.ones((3, 4, 4), np.uint8)
    labels[1] = 2
    assert expected_correction(np.zeros(3), labels, 1.0)[1] == pytest.approx(4.0)


def test_doubt_adds_to_it_and_one_slice_has_no_neighbours():
    labels = np.zeros((1, 4, 4), np.uint8)
    np.testing.assert_allclose(expected_correction(np.array([3.5]), labels, 1.0), [3.5])


def test_the_unsure_slices_hold_most_of_the_expected_correction():
    assert unsure_slices([0.0, 10.0, 70.0, 1.0, 19.0]) == [2, 4]
    assert unsure_slices([5.0, 5.0, 5.0, 5.0, 5.0]) == [0, 1, 2, 3]
    assert unsure_slices([0.0, 0.0]) == []
    assert unsure_slices([]) == []


def test_doubt_is_largest_at_one_half():
    probabilities = np.array([[0, 64, 127, 128, 255], [0, 255, 0, 0, 250]], np.uint8)
    assert doubt(probabilities).tolist() == [0, 128, 254, 254, 10]
    assert doubt(probabilities).dtype == np.uint8
