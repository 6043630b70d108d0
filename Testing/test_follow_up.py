"""Lesions of two images of a patient: which is which, and what has become of them."""

from __future__ import annotations

import numpy as np
import pytest
from measured_shapes import digitised, ellipsoid, grid_around, oblique

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.measurement.follow_up import change_table, follow_up
from TumorSegLib.measurement.lesion_matching import Lesions, matched
from TumorSegLib.measurement.table import as_clipboard

GRID = Grid((20, 120, 120), (1.0, 1.0, 1.0), (-60.0, -60.0, 0.0))


def bars(*lesions, grid=GRID):
    """Lesions of 4 rows by 3 slices that are `length` mm long, from (z, y, x) on."""
    mask = np.zeros(grid.shape, np.bool_)
    for z, y, x, length in lesions:
        mask[z : z + 3, y : y + 4, x : x + length] = True
    return Lesions.of(mask, grid)


def spheres(grid, *lesions):
    """Spheres (x, y, z, radius) in LPS mm."""
    found = [digitised(ellipsoid([radius] * 3, place), grid) for *place, radius in lesions]
    return Lesions.of(np.any([np.zeros(grid.shape, bool), *found], axis=0), grid)


def outcomes(earlier, later, *arguments, **options):
    found = follow_up(earlier, later, *arguments, **options)
    return {(item.earlier, item.later): item.words for item in found.changes}


def test_the_same_lesions_are_unchanged():
    lesions = bars((2, 10, 10, 30), (2, 50, 10, 20), (10, 80, 60, 12))
    found = follow_up(lesions, lesions)
    assert [(item.earlier, item.later) for item in found.changes] == [
        ((n,), (n,)) for n in (1, 2, 3)
    ]
    assert {item.change for item in found.changes} == {"unchanged"}
    assert found.change_percent == 0
    assert found.changes[0].distance_mm == 0
    assert found.changes[0].overlap_ml == pytest.approx(lesions.parts[0].volume_ml)


def test_new_and_vanished():
    earlier = bars((2, 10, 10, 30), (2, 50, 10, 20))
    later = bars((2, 10, 10, 30), (12, 100, 90, 12))
    assert outcomes(earlier, later) == {
        ((1,), (1,)): "unchanged",
        ((), (2,)): "new",
        ((2,), ()): "vanished",
    }
    found = follow_up(earlier, later)
    assert [found.count(change) for change in ("new", "vanished", "grown")] == [1, 1, 0]
    gone = found.changes[-1]
    assert (gone.later_mm, gone.change_percent, gone.distance_mm) == (0, -100, None)
    assert found.changes[1].change_percent is None


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (30, 36, "grown"),  # 20 % and 6 mm
        (30, 35, "unchanged"),  # 5 mm, but 17 %
        (12, 16, "unchanged"),  # 33 %, but 4 mm
        (20, 25, "grown"),  # 25 % and 5 mm
        (60, 42, "shrunk"),  # 30 %
        (60, 43, "unchanged"),
    ],
)
def test_thresholds(before, after, change):
    """On one slice each: bars of one row are as long as they are, to the outline."""
    masks = []
    for length in (before, after):
        mask = np.zeros(GRID.shape, np.bool_)
        mask[5, 30, 10 : 10 + length] = True
        masks.append(Lesions.of(mask, GRID))
    (found,) = follow_up(*masks).changes
    assert (found.earlier_mm, found.later_mm) == (before, after)
    assert found.change == change
    assert found.change_mm == after - before
    assert found.change_percent == pytest.approx((after - before) / before * 100)


def test_sums_of_diameters():
    def row(*lengths):
        mask = np.zeros(GRID.shape, np.bool_)
        for index, length in enumerate(lengths):
            mask[5, 10 + 30 * index, 10 : 10 + length] = True
        return Lesions.of(mask, GRID)

    found = follow_up(row(40, 20), row(25, 17))
    assert (found.earlier_sum_mm, found.later_sum_mm) == (60, 42)
    assert found.change_percent == pytest.approx(-30)


def test_split():
    earlier, later = bars((2, 10, 10, 40)), bars((2, 10, 10, 15), (2, 10, 32, 18))
    assert outcomes(earlier, later) == {((1,), (1, 2)): "unchanged, split"}
    (found,) = follow_up(earlier, later).changes
    assert found.later_mm == pytest.approx(
        sum(part.longest_axial_diameter_mm for part in later.parts)
    )


def test_merged():
    earlier, later = bars((2, 10, 10, 15), (2, 10, 32, 18)), bars((2, 10, 10, 40))
    assert outcomes(earlier, later) == {((1, 2), (1,)): "unchanged, merged"}


def test_what_overlaps_is_the_same_though_that_leaves_two_alone():
    """Each of the two left has a neighbour near: among those that overlap, none is to be had."""
    earlier = bars((2, 30, 10, 20), (2, 18, 10, 20))
    later = bars((2, 32, 10, 20), (2, 44, 10, 20))
    found = {
        (
            earlier.parts[group.earlier[0] - 1].box[1] if group.earlier else None,
            later.parts[group.later[0] - 1].box[1] if group.later else None,
        )
        for group in matched(earlier, later)
    }
    assert found == {((30, 34), (32, 36)), ((18, 22), None), (None, (44, 48))}


def test_moved_by_a_breath_is_the_same():
    earlier, later = bars((2, 10, 10, 12)), bars((14, 10, 10, 12))
    (found,) = matched(earlier, later)
    assert (found.earlier, found.later, found.overlap_ml) == ((1,), (1,), 0)
    assert found.distance_mm == pytest.approx(12)
    assert len(matched(earlier, later, near_mm=10)) == 2


def test_images_on_other_grids():
    """Thick oblique slices from elsewhere against thin ones: positions count, not indices."""
    lesions = [(-20, -20, 5, 9), (20, 15, -5, 6), (-15, 22, 0, 4)]
    earlier = spheres(grid_around(40, (0.9, 0.9, 1.5)), *lesions)
    turned = grid_around(45, (1.4, 1.1, 5.0), oblique(10, 5, 15), (3, -2, 4))
    later = spheres(turned, *lesions[:2])
    assert outcomes(earlier, later) == {
        ((1,), (1,)): "unchanged",
        ((2,), (2,)): "unchanged",
        ((3,), ()): "vanished",
    }


def test_a_small_lesion_between_thick_slices_is_met():
    """Its voxels hold no centre of the other grid's; the other way round they do."""
    thin = Grid((40, 40, 40), (0.5, 0.5, 0.5))
    mask = np.zeros(thin.shape, np.bool_)
    mask[12:16, 20:24, 20:24] = True  # 6 to 7.5 mm
    thick = Grid((4, 20, 20), (1.0, 1.0, 5.0))  # centres at 0, 5, 10, 15 mm
    coarse = np.zeros(thick.shape, np.bool_)
    coarse[1, 10:12, 10:12] = True
    for first, second in (((mask, thin), (coarse, thick)), ((coarse, thick), (mask, thin))):
        (found,) = matched(Lesions.of(*first), Lesions.of(*second))
        assert found.overlap_ml > 0


def test_after_registration():
    """The transform takes earlier positions to later ones."""
    turn = np.array(oblique(0, 0, 30))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, (12.0, -7.0, 3.0)
    places = np.array([(-25.0, 0, 0), (25.0, 0, 0), (0, 30.0, 8.0)])
    grid = grid_around(55, (1.5, 1.5, 2.0))
    earlier = spheres(grid, *((*place, 6) for place in places))
    moved = places @ turn.T + matrix[:3, 3]
    later = spheres(grid, *((*place, 6) for place in moved))
    found = matched(earlier, later, matrix)
    assert len(found) == 3
    for group in found:
        assert group.distance_mm < 1
        assert group.overlap_ml > 0.8 * earlier.parts[0].volume_ml
    assert sum(bool(group.overlap_ml) for group in matched(earlier, later)) < 3


@pytest.mark.parametrize("near_mm", [-1, float("nan"), float("inf")])
def test_what_is_no_distance_is_refused(near_mm):
    lesions = bars((2, 10, 10, 30))
    with pytest.raises(InputError, match="near_mm: found .*, expected a distance in mm"):
        follow_up(lesions, lesions, near_mm=near_mm)
    assert len(follow_up(lesions, lesions, near_mm=0).changes) == 1


@pytest.mark.parametrize("matrix", [np.eye(3), np.zeros((4, 4)), np.full((4, 4), np.nan)])
def test_what_is_no_transform_is_refused(matrix):
    lesions = bars((2, 10, 10, 30))
    with pytest.raises(InputError, match="expected an affine 4x4 matrix"):
        matched(lesions, lesions, matrix)


def test_empty_segmentations():
    some, none = bars((2, 10, 10, 30)), bars()
    assert outcomes(none, none) == {}
    assert follow_up(none, none).change_percent is None
    assert outcomes(some, none) == {((1,), ()): "vanished"}
    assert outcomes(none, some) == {((), (1,)): "new"}


def test_four_hundred_specks_find_themselves():
    mask = np.zeros((20, 80, 80), np.bool_)
    mask[::2, 1::8, 1::20] = True
    grid = Grid(mask.shape, (0.8, 0.8, 5.0))
    found = follow_up(Lesions.of(mask, grid), Lesions.of(mask, grid))
    assert len(found.changes) == 400
    assert all(item.earlier == item.later for item in found.changes)


def test_table():
    text = as_clipboard(change_table(follow_up(bars((2, 10, 10, 30)), bars())))
    heading, row = (line.split("\t") for line in text.splitlines())
    assert len(heading) == len(row) == 10
    assert row[:3] == ["1", "", "vanished"]
    assert row[6] == "-100.0"
