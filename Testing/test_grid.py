from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from TumorSegLib.image.grid import AxialView, Grid

ORIENTATIONS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


def stored_as(array, axes, signs, rotation=None):
    """An axially ordered array stored with permuted axes and flips, and its direction matrix."""
    turned = array.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    direction = np.zeros((3, 3))
    for axis in range(3):
        direction[2 - axes[axis], 2 - axis] = signs[axis]
    if rotation is not None:
        direction = rotation @ direction
    return turned, tuple(tuple(row) for row in direction.tolist())


def rotation_about(axis, degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [other for other in range(3) if other != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


@pytest.mark.parametrize("degrees", [0, 25])
def test_all_48_orientations_show_the_same_slices(degrees):
    array = np.random.default_rng(0).random((4, 5, 6))
    rotation = rotation_about(0, degrees) @ rotation_about(2, degrees / 2)
    for axes, signs in ORIENTATIONS:
        stored, direction = stored_as(array, axes, signs, rotation)
        spacing_zyx = np.array([5.0, 2.0, 1.0])[list(axes)]
        view = AxialView.of(
            Grid(stored.shape, tuple(spacing_zyx[::-1].tolist()), direction=direction)
        )
        np.testing.assert_array_equal(view.apply(stored), array)
        np.testing.assert_array_equal(view.undo(array), stored)
        assert view.spacing_zyx == (5.0, 2.0, 1.0)


def test_view_does_not_copy():
    array = np.zeros((2, 3, 4))
    view = AxialView.of(Grid((2, 3, 4), (1, 1, 1), direction=((0, 0, 1), (0, -1, 0), (1, 0, 0))))
    assert np.shares_memory(view.apply(array), array)


def test_tilt():
    rotation = tuple(tuple(row) for row in rotation_about(0, 20).tolist())
    assert AxialView.of(
        Grid((2, 2, 2), (1, 1, 1), direction=rotation)
    ).tilt_degrees == pytest.approx(20)


def test_affine_and_sameness():
    grid = Grid((2, 3, 4), (1, 2, 3), (10, 20, 30), ((0, -1, 0), (1, 0, 0), (0, 0, 1)))
    np.testing.assert_allclose(grid.affine @ [1, 0, 0, 1], [10, 21, 30, 1])
    assert grid.voxel_ml == pytest.approx(0.006)
    assert grid.geometry_equal(Grid(grid.shape, grid.spacing, (10.001, 20, 30), grid.direction))
    assert not grid.geometry_equal(Grid(grid.shape, grid.spacing, (10.1, 20, 30), grid.direction))
    assert not grid.geometry_equal(Grid((2, 3, 5), grid.spacing, grid.origin, grid.direction))
