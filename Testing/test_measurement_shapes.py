"""Figures of shapes whose volume, surface and diameters are known in closed form."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from measured_shapes import (
    digitised,
    ellipsoid,
    ellipsoid_surface,
    grid_around,
    numbered_components,
    oblique,
    torus,
)
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.measurement.segment import measure_segment

pytestmark = pytest.mark.slow

ANISOTROPIC = [(0.8, 0.8, 3.0), (0.5, 1.0, 2.0), (1.0, 1.0, 1.0)]
OBLIQUE = [oblique(0, 0, 0), oblique(12, 0, 0), oblique(7, -11, 20)]


def only_part(mask, grid, **options):
    measurement = measure_segment(mask, grid, **options)
    (part,) = measurement.parts
    return measurement, part


@pytest.mark.parametrize("spacing", ANISOTROPIC)
@pytest.mark.parametrize("direction", OBLIQUE)
def test_ellipsoid(spacing, direction):
    """An ellipsoid along the grid's axes, wherever these point."""
    semi_axes, centre = np.array([17.0, 11.0, 14.0]), np.array([-31.3, 45.7, 812.4])
    grid = grid_around(20, spacing, direction, centre)
    turn = np.array(direction)
    mask = digitised(lambda places: ellipsoid(semi_axes)((places - centre) @ turn), grid)
    _, part = only_part(mask, grid)
    assert part.volume_ml == pytest.approx(4 / 3 * np.pi * semi_axes.prod() / 1000, rel=0.01)
    assert part.surface_mm2 == pytest.approx(ellipsoid_surface(*semi_axes), rel=0.025)
    np.testing.assert_allclose(part.centroid_mm, centre, atol=0.05)
    x, y, z = spacing
    assert part.longest_axial_diameter_mm == pytest.approx(34, abs=x)
    assert part.perpendicular_diameter_mm == pytest.approx(22, abs=y)
    assert part.longest_diameter_mm == pytest.approx(34, abs=max(x, z / 2))
    np.testing.assert_allclose(part.extent_mm, 2 * semi_axes, atol=max(spacing))
    assert not part.cut_by_border
    assert part.slice_index == pytest.approx(grid.shape[0] // 2, abs=1)


@pytest.mark.parametrize("spacing", ANISOTROPIC)
@pytest.mark.parametrize("radius", [9.0, 20.0])
def test_sphere(spacing, radius):
    """Its surface is met to 1 % (3 % where slices are a third of the radius thick)."""
    centre = np.array([0.17, -0.31, 0.44])
    grid = grid_around(radius + 3, spacing)
    _, part = only_part(digitised(ellipsoid([radius] * 3, centre), grid), grid)
    assert part.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.01)
    tolerance = 0.03 if max(spacing) > radius / 4 else 0.01
    assert part.surface_mm2 == pytest.approx(4 * np.pi * radius**2, rel=tolerance)
    assert part.longest_diameter_mm == pytest.approx(2 * radius, abs=max(spacing))


def test_torus():
    """The hole counts as surface; the diameters span it, as calipers do."""
    ring, tube = 15.0, 5.0
    grid = grid_around(21, (0.7, 0.7, 1.25), oblique(0, 0, 30), (3.0, 4.0, 5.0))
    _, part = only_part(digitised(torus(ring, tube, (3.0, 4.0, 5.3)), grid), grid)
    assert part.volume_ml == pytest.approx(2 * np.pi**2 * ring * tube**2 / 1000, rel=0.01)
    assert part.surface_mm2 == pytest.approx(4 * np.pi**2 * ring * tube, rel=0.015)
    for found in (part.longest_axial_diameter_mm, part.perpendicular_diameter_mm):
        assert found == pytest.approx(2 * (ring + tube), abs=0.7)
    assert part.longest_diameter_mm == pytest.approx(2 * (ring + tube), abs=0.7)


@pytest.mark.parametrize("spacing", ANISOTROPIC)
def test_box_along_the_grid(spacing):
    """Diameters run to the outline; a corner of it is half a pixel short on one of the sides.

    Planes along the lattice are the worst case of Crofton's formula with 13 directions.
    """
    grid = Grid((12, 40, 60), spacing, (-20.0, -10.0, 5.0), oblique(3, -4, 8))
    mask = np.zeros(grid.shape, np.bool_)
    mask[3:9, 10:30, 12:52] = True
    x, y, z = np.array([40, 20, 6]) * spacing
    _, part = only_part(mask, grid)
    assert part.volume_ml == pytest.approx(x * y * z / 1000)
    assert part.box == ((3, 9), (10, 30), (12, 52))
    np.testing.assert_allclose(part.extent_mm, (x, y, z))
    dx, dy, dz = spacing
    assert part.longest_axial_diameter_mm == pytest.approx(
        max(np.hypot(x, y - dy), np.hypot(x - dx, y))
    )
    corners = [(x, y - dy, z - dz), (x - dx, y, z - dz), (x - dx, y - dy, z)]
    assert part.longest_diameter_mm == pytest.approx(max(map(np.linalg.norm, corners)))
    true, worst = 2 * (x * y + y * z + z * x), 0.11 if dx == dz else 0.19
    assert true * (1 - worst) < part.surface_mm2 < true
    # the longest chord across a rectangle's diagonal
    assert part.perpendicular_diameter_mm == pytest.approx(
        y * np.hypot(x, y) / x, abs=2 * max(dx, dy)
    )


def test_a_turned_box_has_its_surface():
    """Slices twice as thick as pixels are wide: within 15 %, 5 % on the average of directions."""
    half = np.array([10.5, 14.5, 19.0])
    true = 8 * (half[0] * half[1] + half[1] * half[2] + half[2] * half[0])
    errors = []
    for angles in product((0, 20, 45), repeat=3):
        turn = np.array(oblique(*angles))
        grid = grid_around(26, (1.0, 1.0, 2.0))
        mask = digitised(lambda places, turn=turn: (abs(places @ turn) <= half).all(axis=1), grid)
        _, part = only_part(mask, grid)
        errors.append(part.surface_mm2 / true - 1)
        assert part.volume_ml == pytest.approx(8 * half.prod() / 1000, rel=0.05)
    assert max(map(abs, errors)) < 0.15
    assert abs(np.mean(errors)) < 0.05


def test_diameters_of_digitised_discs_are_what_is_said_of_them():
    random = np.random.default_rng(0)
    errors = []
    for _ in range(150):
        across = random.uniform(10, 40)
        grid = Grid((1, 45, 45), (1.0, 1.0, 1.0), (-22.0, -22.0, 0.0))
        centre = (*random.uniform(-0.5, 0.5, 2), 0.0)
        mask = digitised(ellipsoid((across / 2, across / 2, 1), centre), grid)
        _, part = only_part(mask, grid)
        errors.append(part.longest_axial_diameter_mm - across)
        assert part.perpendicular_diameter_mm == pytest.approx(across, abs=1)
    assert 0.2 < min(errors) < max(errors) < 1
    assert np.mean(errors) == pytest.approx(0.7, abs=0.1)


def test_the_axes_are_where_the_lesion_is():
    """A slanting ellipse on the third of five slices: ends on its outline, at right angles."""
    direction = oblique(10, -5, 25)
    grid = grid_around(20, (0.7, 0.7, 4.0), direction, (11.0, 22.0, 33.0))
    turn = np.array(direction)
    long = turn @ [np.cos(0.5), np.sin(0.5), 0]
    short = turn @ [-np.sin(0.5), np.cos(0.5), 0]

    def inside(places):
        from_centre = places - (11.0, 22.0, 33.0)
        flat = abs(from_centre @ turn[:, 2]) < 6
        return (from_centre @ long / 15) ** 2 + (from_centre @ short / 8) ** 2 + ~flat <= 1

    _, part = only_part(digitised(inside, grid), grid)
    found = np.array(part.long_axis_mm)
    along = (found[1] - found[0]) / part.longest_axial_diameter_mm
    assert np.linalg.norm(along) == pytest.approx(1)
    assert abs(along @ long) > 0.995
    across = np.subtract(*part.short_axis_mm)
    assert np.linalg.norm(across) == pytest.approx(part.perpendicular_diameter_mm)
    assert along @ across == pytest.approx(0, abs=1e-9)
    assert part.perpendicular_diameter_mm == pytest.approx(16, abs=0.7)
    np.testing.assert_allclose(np.mean(found, axis=0), part.centroid_mm, atol=5)


def test_one_voxel():
    grid = Grid((3, 5, 7), (0.7, 0.9, 4.0), (1.0, 2.0, 3.0))
    mask = np.zeros(grid.shape, np.bool_)
    mask[1, 2, 3] = True
    voxels = np.arange(mask.size, dtype=np.int16).reshape(mask.shape)
    measurement, part = only_part(mask, grid, voxels=voxels)
    assert part.volume_ml == pytest.approx(0.7 * 0.9 * 4.0 / 1000)
    assert part.longest_axial_diameter_mm == pytest.approx(0.9)
    assert part.perpendicular_diameter_mm == pytest.approx(0.7)
    assert part.longest_diameter_mm == pytest.approx(4.0)
    np.testing.assert_allclose(part.centroid_mm, (1 + 3 * 0.7, 2 + 2 * 0.9, 3 + 4.0))
    assert (part.mean, part.standard_deviation) == (voxels[1, 2, 3], 0)
    assert measurement.mean == voxels[1, 2, 3]
    assert not part.cut_by_border


def test_cut_by_the_border():
    """Half a sphere: its cut closes it, and it is said that it may go on."""
    grid = Grid((41, 41, 20), (1.0, 1.0, 1.0), (0.5, -20.0, -20.0))
    _, part = only_part(digitised(ellipsoid([15.0] * 3), grid), grid)
    assert part.cut_by_border
    assert part.volume_ml == pytest.approx(2 / 3 * np.pi * 15**3 / 1000, rel=0.01)
    assert part.surface_mm2 == pytest.approx(3 * np.pi * 15**2, rel=0.08)
    assert part.longest_axial_diameter_mm == pytest.approx(30, abs=1)
    assert part.perpendicular_diameter_mm == pytest.approx(15, abs=1)


def test_four_hundred_specks():
    """As many components as there are, numbered alike in the table and on the voxels."""
    random = np.random.default_rng(2)
    grid = Grid((20, 80, 80), (0.8, 0.8, 5.0), direction=oblique(0, 0, 10))
    mask = np.zeros(grid.shape, np.bool_)
    places = list(product(range(0, 20, 2), range(1, 79, 8), range(1, 79, 20)))
    for z, y, x in places:
        mask[z, y : y + random.integers(1, 4), x : x + random.integers(1, 4)] = True
    measurement = measure_segment(mask, grid)
    assert measurement.components == len(places) == 400
    sizes = [part.voxels for part in measurement.parts]
    assert sizes == sorted(sizes, reverse=True)
    numbers = numbered_components(mask, grid)
    assert (np.bincount(numbers.ravel())[1:] == sizes).all()
    for part in measurement.parts[::37]:
        indices = np.argwhere(numbers == part.number)
        np.testing.assert_allclose(grid.positions(indices).mean(axis=0), part.centroid_mm)
        assert part.box == tuple(zip(indices.min(axis=0), indices.max(axis=0) + 1, strict=True))


def test_an_array_on_another_grid_is_refused():
    grid = Grid((3, 4, 5), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"liver: its volume has shape \(3, 4, 6\)"):
        measure_segment(np.ones((3, 4, 5), bool), grid, name="liver", voxels=np.ones((3, 4, 6)))


def test_the_longest_diameter_agrees_with_all_pairs_of_points_of_the_outline():
    """In space, of uneven lesions whose hulls have few corners and many."""
    random = np.random.default_rng(5)
    halves = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    for size in (6, 14):
        spacing = random.uniform(0.4, 3, 3)
        noise = ndimage.gaussian_filter(random.normal(size=(size, 20, 20)), 1.2)
        grid = Grid(noise.shape, tuple(spacing[::-1].tolist()), direction=oblique(4, 9, -12))
        mask = noise > 0.08
        numbers = numbered_components(mask, grid)
        for part in measure_segment(mask, grid).parts:
            outline = (np.argwhere(numbers == part.number)[:, None] + halves).reshape(-1, 3)
            corners = outline[ConvexHull(outline).vertices] * spacing
            assert part.longest_diameter_mm == pytest.approx(pdist(corners).max())


def test_the_perpendicular_is_the_longest_chord_of_the_hull_across():
    """Against chords of the outline's hull, tried at many places."""
    random = np.random.default_rng(6)
    halves = np.array([[0, 0.5, 0], [0, -0.5, 0], [0, 0, 0.5], [0, 0, -0.5]])
    for _ in range(15):
        spacing = random.uniform(0.4, 2, 2)
        grid = Grid((1, 14, 18), (*spacing[::-1].tolist(), 4.0))
        mask = ndimage.gaussian_filter(random.normal(size=(14, 18)), 1.5)[None] > 0.05
        numbers = numbered_components(mask, grid)
        part = measure_segment(mask, grid).parts[0]
        outline = (np.argwhere(numbers == 1)[:, None] + halves).reshape(-1, 3)[:, 1:] * spacing
        hull = ConvexHull(outline)
        start, end = (np.array(point[:2])[::-1] for point in part.long_axis_mm)
        along = (end - start) / part.longest_axial_diameter_mm
        aside = np.array([-along[1], along[0]])
        longest = 0.0
        for place in np.linspace(0, part.longest_axial_diameter_mm, 3001):
            rates = hull.equations[:, :2] @ aside
            rooms = -(hull.equations[:, :2] @ (start + place * along) + hull.equations[:, 2])
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = rooms / rates
            longest = max(longest, reach[rates > 1e-9].min() - reach[rates < -1e-9].max())
        assert part.perpendicular_diameter_mm == pytest.approx(longest, rel=2e-3)
