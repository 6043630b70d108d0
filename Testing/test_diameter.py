"""Diameters of outlines, against every pair of the outline's corners."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from TumorSegLib.measurement import diameter
from TumorSegLib.measurement.diameter import across, longest

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.7, 0.9), (0.5, 2.0, 1.1)]
SIDES = [sign * step for sign in (0.5, -0.5) for step in np.eye(3)]


def cloud(seed, reach=(3, 40, 30)):
    """Return the indices of seven random pixels."""
    return np.random.default_rng(seed).integers(0, reach, (7, 3)).astype(float)


def blob(seed, shape=(5, 9, 11)):
    """Return the indices of random pixels, all of them with neighbours."""
    random = np.random.default_rng(seed)
    mask = random.random(shape) > 0.6
    mask[2, 3:6, 2:9] = True
    return np.argwhere(mask).astype(float)


def on_slice(points):
    return points[points[:, 0] == 2]


def corners(points, spacing):
    """Return where the outline runs, half a pixel beyond the points along one axis, in mm."""
    sides = [side for side in SIDES if (side * spacing).any()]
    return np.concatenate([points + side for side in sides]) * spacing


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reach", [(3, 40, 30), (30, 6, 9), (1, 2, 40)])
def test_the_longest_of_pixels_far_apart(spacing, seed, reach):
    spacing, points = np.array(spacing), cloud(seed, reach)
    outline = corners(points, spacing)
    assert longest(points, spacing).mm == pytest.approx(cdist(outline, outline).max(), rel=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("flat", [False, True])
def test_the_longest_is_that_of_all_pairs(spacing, seed, flat):
    spacing, points = np.array(spacing), blob(seed)
    if flat:
        spacing, points = spacing * (0, 1, 1), on_slice(points)
    found = longest(points, spacing)
    outline = corners(points, spacing)
    assert found.mm == pytest.approx(cdist(outline, outline).max(), rel=1e-12)
    first, second = np.array(found.ends)
    assert np.linalg.norm((first - second) * spacing) == pytest.approx(found.mm, rel=1e-12)
    for end in (first, second):
        assert np.abs(outline - end * spacing).sum(axis=1).min() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("axis", range(3))
def test_a_pixel_has_its_own_widest_side(axis):
    spacing = np.full(3, 1.0)
    spacing[axis] = 2.5
    found = longest(np.array([[4.0, 5.0, 6.0]]), spacing)
    assert found.mm == 2.5
    expected = [np.array([4.0, 5.0, 6.0]) + side * np.eye(3)[axis] for side in (0.5, -0.5)]
    np.testing.assert_array_equal(found.ends, expected)


@pytest.mark.parametrize("step", [0.3, 0.04])
def test_pixels_much_smaller_than_a_millimetre(step):
    spacing = np.full(3, step)
    assert longest(np.array([[1.0, 2.0, 3.0]]), spacing).mm == pytest.approx(step)
    line = np.array([[0.0, 0.0, float(column)] for column in range(4)])
    assert longest(line, spacing).mm == pytest.approx(4 * step)


def test_of_equal_diameters_the_first_axis_is_taken():
    """So that a figure's picture is the same on every machine."""
    found = longest(np.array([[0.0, 0.0, 0.0]]), np.ones(3))
    assert found.ends == ((0.5, 0.0, 0.0), (-0.5, 0.0, 0.0))


@pytest.mark.parametrize("mirrored", [1, -1])
def test_ends_lie_beyond_their_pixels(mirrored):
    line = np.array([[0.0, 0.0, mirrored * step] for step in range(4)])
    found = longest(line, np.ones(3))
    assert found.mm == 4
    assert {end[2] for end in found.ends} == {-0.5 * mirrored, 3.5 * mirrored}


@pytest.mark.parametrize("count", [diameter.FEW, diameter.FEW + 1])
@pytest.mark.parametrize("flat", [False, True])
def test_many_points_give_what_few_do(count, flat, monkeypatch):
    """Above so many, only corners of the hull are compared; a sheet has no hull in space."""
    cube = np.array(list(product(range(13), repeat=3)), float)
    points = cube[cube[:, 0] == cube[:, 1]] if flat else cube
    points = np.tile(points, (4, 1))[:count]
    monkeypatch.setattr(diameter, "_far_out", lambda points, _: points)
    asked = []
    on_hull = diameter._on_hull
    monkeypatch.setattr(diameter, "_on_hull", lambda given: asked.append(1) or on_hull(given))
    found = longest(points, np.array([1.0, 1.2, 0.8]))
    assert bool(asked) == (count > diameter.FEW)
    outline = corners(points, np.array([1.0, 1.2, 0.8]))
    assert found.mm == pytest.approx(cdist(outline[::3], outline).max(), rel=0.06)
    monkeypatch.setattr(diameter, "FEW", 10**6)
    assert found.mm == longest(points, np.array([1.0, 1.2, 0.8])).mm


def test_a_hull_has_the_corners_only():
    cube = np.array(list(product(range(5), repeat=3)), float)
    assert len(diameter._on_hull(cube)) == 8
    sheet = cube[cube[:, 0] == cube[:, 1]]
    np.testing.assert_array_equal(diameter._on_hull(sheet), sheet)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_points_inside_are_left_out(spacing):
    """And none that is an end of the longest diameter."""
    ball = np.argwhere(np.linalg.norm(np.indices((21, 21, 21)) - 10, axis=0) <= 10).astype(float)
    spacing = np.array(spacing)
    kept = diameter._far_out(ball, spacing)
    apart = np.linalg.norm((kept - 10) * spacing, axis=1)
    reach = np.linalg.norm((ball - 10) * spacing, axis=1).max()
    assert len(kept) < len(ball) / 2
    assert apart.min() >= reach - 2 * spacing.max()
    assert {tuple(point) for point in ball[apart_of(ball, spacing) == reach]} <= {
        tuple(point) for point in kept
    }


def test_where_the_points_lie_does_not_matter():
    ball = np.argwhere(np.linalg.norm(np.indices((21, 21, 21)) - 10, axis=0) <= 10).astype(float)
    kept = diameter._far_out(ball, np.ones(3))
    moved = diameter._far_out(ball + np.array([0, 300, 40]), np.ones(3))
    np.testing.assert_array_equal(kept + np.array([0, 300, 40]), moved)


def apart_of(ball, spacing):
    return np.linalg.norm((ball - 10) * spacing, axis=1)


def test_of_a_long_shape_only_both_ends_are_kept():
    line = np.array([[0.0, 0.0, float(step)] for step in range(101)])
    kept = diameter._far_out(line, np.ones(3))
    assert sorted(kept[:, 2]) == [0, 1, 99, 100]


def chord(points, spacing, long):
    """Return the longest chord of the slice's hull at right angles to `long`, by its corners."""
    outline = corners(points, spacing * (0, 1, 1))[:, 1:]
    start, end = (np.array(point)[1:] * spacing[1:] for point in long.ends)
    along = (end - start) / np.linalg.norm(end - start)
    aside = np.array([-along[1], along[0]])
    u, v = outline @ along, outline @ aside
    one, other = np.nonzero(u[:, None] < u)
    part = (u[:, None] - u[one]) / (u[other] - u[one])
    heights = v[one] + part * (v[other] - v[one])
    met = (part >= 0) & (part <= 1)
    tops, bottoms = np.where(met, heights, -np.inf), np.where(met, heights, np.inf)
    return (tops.max(axis=1) - bottoms.min(axis=1)).max()


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("points", [blob, cloud])
@pytest.mark.parametrize("seed", range(5))
def test_across_is_the_widest_chord(spacing, points, seed):
    spacing = np.array(spacing)
    points = points(seed)
    points = on_slice(points) if len(points) > 7 else points * (0, 1, 1) + (2, 0, 0)
    long = longest(points, spacing * (0, 1, 1))
    found = across(points, spacing, long)
    assert found.mm == pytest.approx(chord(points, spacing, long), rel=1e-9)
    ends, axis = np.array(found.ends) * spacing, np.array(long.ends) * spacing
    assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(found.mm, rel=1e-9)
    assert (ends[1] - ends[0]) @ (axis[1] - axis[0]) == pytest.approx(0, abs=1e-9)
    assert [end[0] for end in found.ends] == [2, 2]
    hull = ConvexHull(corners(points, spacing * (0, 1, 1))[:, 1:]).equations
    for end in ends[:, 1:]:
        beyond = hull[:, :2] @ end + hull[:, 2]
        assert beyond.max() == pytest.approx(0, abs=1e-9)  # on an edge


def test_across_a_pixel():
    """Between the middles of its other sides."""
    pixel = np.array([[7.0, 4.0, 5.0]])
    long = longest(pixel, np.array([0.0, 1.0, 2.5]))
    found = across(pixel, np.array([3.0, 1.0, 2.5]), long)
    assert found.mm == 1
    assert {tuple(end) for end in found.ends} == {(7, 3.5, 5), (7, 4.5, 5)}


def test_a_rectangle():
    """5 mm by 3 mm of pixels of 1 mm: to the middles of the outer pixels' sides."""
    points = np.array([[7.0, row, column] for row in range(3) for column in range(5)])
    long = longest(points, np.array([0.0, 1.0, 1.0]))
    assert long.mm == pytest.approx(np.hypot(5, 2))
    found = across(points, np.ones(3), long)
    assert found.mm == pytest.approx(chord(points, np.ones(3), long))
    assert {end[0] for end in (*long.ends, *found.ends)} == {7.0}
