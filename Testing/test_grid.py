from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, Grid, grid_from_affine
from TumorSegLib.image.volume import Volume

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
        places = view.array_indices(np.argwhere(array > 0.5), stored.shape)
        np.testing.assert_array_equal(stored[tuple(places.T)], array[array > 0.5])
        assert view.spacing_zyx == (5.0, 2.0, 1.0)


SHEARED = ((1, 0.1, 0), (0, 0.995, 0), (0, 0, 1))
NAN = float("nan")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"direction": SHEARED}, "at right angles"),
        ({"direction": ((2, 0, 0), (0, 1, 0), (0, 0, 1))}, "columns of length 1"),
        ({"direction": ((NAN, 0, 0), (0, 1, 0), (0, 0, 1))}, "at right angles"),
        ({"direction": (1, 0, 0, 0, 1, 0, 0, 0, 1)}, "expected 3 rows of 3 numbers"),
        ({"direction": ((1, 0), (0, 1))}, "expected 3 rows of 3 numbers"),
        ({"direction": ((1, 0, 0), (0, 1, 0), (0, 1))}, "expected 3 rows of 3 numbers"),
        ({"spacing": (1, -1, 1)}, r"found spacing \(1, -1, 1\) mm, expected positive"),
        ({"spacing": (1, 0, 1)}, "expected positive numbers"),
        ({"spacing": (1, NAN, 1)}, "expected positive numbers"),
        ({"spacing": (1, float("inf"), 1)}, "expected positive numbers"),
        ({"spacing": 1.0}, "found spacing 1.0, expected 3 numbers"),
        ({"spacing": ("a", 1, 1)}, "expected 3 numbers"),
        ({"origin": (0, 0)}, "expected 3 numbers"),
        ({"origin": (0, NAN, 0)}, "expected a position in mm"),
        ({"shape": (3, 4)}, "expected 3 numbers"),
    ],
)
def test_what_is_no_grid_is_refused(given, line):
    with pytest.raises(InputError, match=f"^grid: .*{line}"):
        Grid(**{"shape": (3, 4, 5), "spacing": (1, 1, 1), **given})


def test_rounded_directions_are_a_grid():
    rounded = np.round(rotation_about(0, 17) @ rotation_about(2, 40), 4)
    direction = tuple(map(tuple, rounded.tolist()))
    assert Grid((3, 4, 5), (1, 1, 1), direction=direction).direction == direction


def test_a_volume_of_lists_is_refused():
    with pytest.raises(InputError, match=r"^volume: found voxels as list, expected a NumPy array"):
        Volume([[[1, 2]]], Grid((1, 1, 2), (1, 1, 1)))


def test_view_does_not_copy():
    array = np.zeros((2, 3, 4))
    view = AxialView.of(Grid((2, 3, 4), (1, 1, 1), direction=((0, 0, 1), (0, -1, 0), (1, 0, 0))))
    assert np.shares_memory(view.apply(array), array)


def test_voxels_of_the_view_are_found_in_the_array_in_all_48_orientations():
    array = np.random.default_rng(0).random((4, 5, 6))
    indices = np.argwhere(array > 0.5)
    for axes, signs in ORIENTATIONS:
        stored, direction = stored_as(array, axes, signs)
        view = AxialView.of(Grid(stored.shape, (1, 1, 1), direction=direction))
        found = view.array_indices(indices, stored.shape)
        np.testing.assert_array_equal(stored[tuple(found.T)], array[tuple(indices.T)])


def test_tilt():
    rotation = tuple(tuple(row) for row in rotation_about(0, 20).tolist())
    assert AxialView.of(
        Grid((2, 2, 2), (1, 1, 1), direction=rotation)
    ).tilt_degrees == pytest.approx(20)


def test_a_cosine_rounded_to_more_than_one_is_no_tilt():
    upright = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, np.nextafter(1.0, 2.0)))
    assert AxialView.of(Grid((2, 2, 2), (1, 1, 1), direction=upright)).tilt_degrees == 0


TURNED = Grid((2, 3, 4), (1, 2, 3), (10, 20, 30), ((0, -1, 0), (1, 0, 0), (0, 0, 1)))
"""Its x runs to posterior, its y to the patient's right."""


def test_affine_and_positions():
    np.testing.assert_allclose(TURNED.affine @ [1, 0, 0, 1], [10, 21, 30, 1])
    np.testing.assert_allclose(TURNED.affine @ [1, 1, 1, 1], [8, 21, 33, 1])
    found = TURNED.positions(np.array([[0, 0, 0], [1, 2, 3]]))  # along (z, y, x)
    np.testing.assert_allclose(found, [[10, 20, 30], [6, 23, 33]])
    assert TURNED.voxel_ml == pytest.approx(0.006)


def test_indices_are_those_of_the_positions():
    indices = np.array([(0, 0, 0), (3, 4, 5), (1.5, 2.25, -0.75)])
    np.testing.assert_allclose(TURNED.indices(TURNED.positions(indices)), indices, atol=1e-9)


def test_grids_are_the_same_if_no_voxel_lies_elsewhere():
    def moved(by):
        return replace(TURNED, origin=tuple(np.add(TURNED.origin, by).tolist()))

    assert TURNED.geometry_equal(moved((0.008, 0, 0)))
    assert TURNED.geometry_equal(moved((0.006, 0.006, 0.006)))
    assert not TURNED.geometry_equal(moved((0, 0.1, 0)))
    assert TURNED.geometry_equal(moved((0, 0, 0.5)), tolerance_mm=0.5)
    assert not TURNED.geometry_equal(replace(TURNED, shape=(2, 3, 5)))


def test_a_spacing_that_differs_a_little_adds_up_over_a_row():
    long = replace(TURNED, shape=(2, 3, 400))
    stretched = (long.spacing[0] + 1e-4, *long.spacing[1:])
    assert TURNED.geometry_equal(replace(TURNED, spacing=stretched))
    assert not long.geometry_equal(replace(long, spacing=stretched))


def oblique(spacing=(0.5, 0.7, 3.0)):
    affine = np.eye(4)
    affine[:3, :3] = (rotation_about(0, 25) @ rotation_about(2, 10)) * spacing
    affine[:3, 3] = (-20.0, 30.0, 40.0)
    return affine


def test_the_grid_of_an_affine_has_that_affine():
    grid = grid_from_affine(oblique(), (4, 5, 6), "Head")
    assert grid.shape == (4, 5, 6)
    np.testing.assert_allclose(grid.spacing, (0.5, 0.7, 3.0))
    np.testing.assert_allclose(grid.affine, oblique(), atol=1e-12)


def test_shear_within_round_off_is_put_right():
    affine = oblique((1.0, 1.0, 1.0))
    affine[:3, 1] += 5e-4 * affine[:3, 0]
    grid = grid_from_affine(affine, (4, 5, 6), "Head")
    direction = np.array(grid.direction)
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(grid.affine, affine, atol=1e-3)


@pytest.mark.parametrize("shear", [0.002, -0.002])
def test_a_sheared_volume_is_refused(shear):
    affine = oblique((1.0, 1.0, 1.0))
    affine[:3, 1] += shear * affine[:3, 0]
    with pytest.raises(InputError, match="Head: its axes are not at right angles"):
        grid_from_affine(affine, (4, 5, 6), "Head")


@pytest.mark.parametrize("spacing", [(0.5, 0.0, 3.0), (0.5, np.nan, 3.0), (0.5, np.inf, 3.0)])
def test_a_spacing_that_is_none_is_refused(spacing):
    affine = np.diag([*spacing, 1.0])
    with pytest.raises(InputError, match="Head: found spacing"):
        grid_from_affine(affine, (4, 5, 6), "Head")
