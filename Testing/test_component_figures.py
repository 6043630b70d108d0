"""Every figure of components and segments, against arrays that are counted voxel by voxel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measured_shapes import numbered_components
from results import result_of, two_structures
from scipy import ndimage
from test_grid import ORIENTATIONS, rotation_about, stored_as
from tiny_models import ct_specification

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, Grid
from TumorSegLib.measurement.component import (
    components_of_runs,
    mean_and_deviation,
    runs_of,
)
from TumorSegLib.measurement.diameter import across, longest
from TumorSegLib.measurement.lesion_matching import Lesions
from TumorSegLib.measurement.runs import Runs
from TumorSegLib.measurement.segment import measure, measure_segment
from TumorSegLib.measurement.surface import surfaces
from TumorSegLib.model.labelled_volume import LabelledVolume

SPACING_ZYX = np.array([4.0, 1.5, 0.7])
SHAPE = (7, 16, 19)
SOME = ORIENTATIONS[::9]
ROUND = np.ones((3, 3, 3))


def blobs():
    """Return a mask of three components of 80, 17 and 1 voxels, of odd shapes."""
    mask = np.zeros(SHAPE, bool)
    mask[1:4, 2:9, 3:6] = True
    mask[2, 5, 6:10] = mask[3, 9, 6:15] = True
    mask[2, 3, 3] = mask[3, 2:6, 5] = False
    mask[5:7, 11:13, 0:4] = True
    mask[4, 13, 4] = True
    mask[0, 15, 18] = True
    return mask


def case(axes, signs, rotation=None):
    """Return mask, grid, values and probabilities of the blobs as they are stored."""
    random = np.random.default_rng(3)
    values = random.integers(-900, 900, SHAPE).astype(np.int16)
    probabilities = random.integers(128, 256, SHAPE).astype(np.uint8)
    stored, direction = stored_as(blobs(), axes, signs, rotation)
    spacing = SPACING_ZYX[list(axes)][::-1]
    grid = Grid(stored.shape, tuple(spacing.tolist()), (10.0, -20.0, 30.0), direction)
    others = (stored_as(array, axes, signs)[0] for array in (values, probabilities))
    return stored, grid, *others


def expected_parts(mask, grid):
    """Return masks of the components, the largest first."""
    labels, count = ndimage.label(mask, ROUND)
    parts = [labels == number for number in range(1, count + 1)]
    return sorted(parts, key=lambda part: -part.sum())


def axial_diameters(shown, spacing):
    """Return the longest diameter on a slice, the one across it, and the slice."""
    flat, found = spacing * (0, 1, 1), []
    for z, plane in enumerate(shown):
        labels, count = ndimage.label(plane, np.ones((3, 3)))
        for number in range(1, count + 1):
            points = np.argwhere(labels == number).astype(float)
            points = np.insert(points, 0, z, axis=1)
            long = longest(points, flat)
            found.append((long.mm, -z, across(points, flat, long).mm))
    mm, z, short = max(found)
    return mm, short, -z


@pytest.mark.parametrize(("axes", "signs"), SOME)
@pytest.mark.parametrize("turned", [False, True])
def test_every_figure_of_every_component(axes, signs, turned):
    rotation = rotation_about(2, 11) if turned else None
    mask, grid, values, probabilities = case(axes, signs, rotation)
    measured = measure_segment(mask, grid, voxels=values, probabilities=probabilities)
    view = AxialView.of(grid)
    expected = expected_parts(mask, grid)
    assert [part.number for part in measured.parts] == [1, 2, 3]
    for part, own in zip(measured.parts, expected, strict=True):
        indices = np.argwhere(own)
        assert part.voxels == len(indices)
        assert part.volume_ml == pytest.approx(len(indices) * 4 * 1.5 * 0.7 / 1000)
        centre = grid.positions(indices).mean(axis=0)
        np.testing.assert_allclose(part.centroid_mm, centre, atol=1e-9)
        low, high = indices.min(axis=0), indices.max(axis=0) + 1
        assert part.box == tuple(zip(low.tolist(), high.tolist(), strict=True))
        at_border = bool((low == 0).any() or (high == own.shape).any())
        assert part.cut_by_border is at_border
        shown = view.apply(own)
        size = np.ptp(np.argwhere(shown), axis=0) + 1
        np.testing.assert_allclose(part.extent_mm, (size * SPACING_ZYX)[::-1])
        runs = Runs.of(shown)
        only = np.zeros(len(runs), int)
        assert part.surface_mm2 == pytest.approx(surfaces(runs, only, view.spacing_zyx)[0])
        assert part.mean == pytest.approx(values[own].mean())
        deviation = values[own].std(ddof=1) if len(indices) > 1 else 0
        assert part.standard_deviation == pytest.approx(deviation)
        assert part.certainty == pytest.approx(probabilities[own].mean() / 255)
        mm, short, z = axial_diameters(shown, SPACING_ZYX)
        assert part.longest_axial_diameter_mm == pytest.approx(mm)
        assert part.perpendicular_diameter_mm == pytest.approx(short)
        assert part.slice_index == z
        in_space = longest(np.argwhere(shown).astype(float), SPACING_ZYX)
        assert part.longest_diameter_mm == pytest.approx(in_space.mm)
        for line, length in ((part.long_axis_mm, mm), (part.short_axis_mm, short)):
            first, second = np.array(line)
            assert np.linalg.norm(first - second) == pytest.approx(length)
            on_view = grid.indices(np.array(line))
            across_slices = on_view[:, view.axes[0]]
            stored = grid.shape[view.axes[0]] - 1 - z if view.flips[0] else z
            np.testing.assert_allclose(across_slices, stored, atol=1e-9)
            assert (on_view > low - 0.51).all()
            assert (on_view < high - 0.49).all()


@pytest.mark.parametrize(("axes", "signs"), SOME)
def test_every_figure_of_a_segment(axes, signs):
    mask, grid, values, _ = case(axes, signs)
    found = measure_segment(mask, grid, name="cyst", label=7, voxels=values)
    assert (found.name, found.label, found.components) == ("cyst", 7, 3)
    assert found.voxels == mask.sum()
    assert found.volume_ml == pytest.approx(mask.sum() * 4.2 / 1000)
    assert found.largest_component_ml == found.parts[0].volume_ml
    assert found.longest_axial_diameter_mm == max(p.longest_axial_diameter_mm for p in found.parts)
    assert found.longest_diameter_mm == max(part.longest_diameter_mm for part in found.parts)
    assert found.surface_mm2 == pytest.approx(sum(part.surface_mm2 for part in found.parts))
    centre = grid.positions(np.argwhere(mask)).mean(axis=0)
    np.testing.assert_allclose(found.centroid_mm, centre, atol=1e-9)
    areas = blobs().sum(axis=(1, 2)) * 1.5 * 0.7
    np.testing.assert_allclose(found.areas_mm2, areas)
    assert found.mean_area_mm2 == pytest.approx(areas[areas > 0].mean())
    assert found.mean == pytest.approx(values[mask].mean())
    assert found.standard_deviation == pytest.approx(values[mask].std(ddof=1))


@pytest.mark.parametrize("spacing", [(1e6, 1e-6, 1e-6), (1, 1e6, 1e6)])
def test_spacings_of_any_ratio_have_a_surface(spacing):
    """Directions that cannot be told apart ended a report after its run."""
    mask = np.zeros((4, 6, 6), bool)
    mask[1:3, 1:5, 1:5] = True
    runs = Runs.of(mask)
    (found,) = surfaces(runs, np.zeros(len(runs), int), spacing)
    z, y, x = np.multiply((2, 4, 4), spacing)
    assert 0.5 < found / (2 * (z * y + z * x + y * x)) < 1.1  # its worst case is flat faces


def test_slices_without_the_segment_do_not_count_in_the_mean_area():
    mask = np.zeros((5, 4, 4), bool)
    mask[1, 0, 0] = mask[3, :2, 0] = True
    found = measure_segment(mask, Grid(mask.shape, (0.5, 0.8, 2.0)))
    assert found.areas_mm2 == pytest.approx((0, 0.4, 0, 0.8, 0))
    assert found.mean_area_mm2 == pytest.approx(0.6)


def test_a_results_labels_have_the_figures_of_their_masks():
    """Those of a label that includes others are of all of them."""
    random = np.random.default_rng(5)
    labelmap, specification = two_structures(), ct_specification(anatomy="liver")
    probabilities = random.integers(0, 256, (2, *labelmap.shape)).astype(np.uint8)
    result = replace(result_of(labelmap, specification), probabilities=probabilities)
    masks = labelmap > 0, labelmap == 2
    for label, found, mask, certain in zip(
        specification.labels, measure(result), masks, probabilities, strict=True
    ):
        assert found == measure_segment(
            mask,
            result.volume.grid,
            name=label.name,
            label=label.value,
            voxels=result.volume.voxels,
            probabilities=certain,
        )
    plain = LabelledVolume(result.volume, specification, labelmap)
    assert {part.certainty for found in measure(plain) for part in found.parts} == {None}


def test_without_volume_and_probabilities_no_figures_of_them():
    mask, grid, _, _ = case(*SOME[0])
    found = measure_segment(mask, grid)
    assert (found.name, found.label) == ("segment", 0)
    for each in (found, *found.parts):
        assert (each.mean, each.standard_deviation) == (None, None)
    assert [part.certainty for part in found.parts] == [None] * 3


def test_an_empty_segment():
    _, grid, values, probabilities = case(*SOME[1])
    empty = np.zeros(grid.shape, bool)
    found = measure_segment(empty, grid, voxels=values, probabilities=probabilities)
    assert (found.voxels, found.volume_ml, found.components, found.parts) == (0, 0, 0, ())
    assert (found.largest_component_ml, found.longest_axial_diameter_mm) == (0, 0)
    assert (found.longest_diameter_mm, found.surface_mm2, found.mean_area_mm2) == (0, 0, 0)
    assert (found.centroid_mm, found.mean, found.standard_deviation) == (None, None, None)
    assert found.areas_mm2 == (0.0,) * SHAPE[0]
    assert len(runs_of(empty)) == 0
    assert components_of_runs(runs_of(empty), grid, None, None) == ()
    assert not numbered_components(empty, grid).any()


@pytest.mark.parametrize("what", ["mask", "volume", "probabilities"])
def test_an_array_of_another_shape_is_named(what):
    mask, grid, values, probabilities = case(*SOME[0])
    arrays = {"mask": mask, "volume": values, "probabilities": probabilities}
    arrays[what] = arrays[what][:-1]
    with pytest.raises(InputError, match=f"^lesion: its {what} has shape"):
        measure_segment(
            arrays["mask"],
            grid,
            name="lesion",
            voxels=arrays["volume"],
            probabilities=arrays["probabilities"],
        )


@pytest.mark.parametrize("inside", [np.uint8(1), np.uint8(255), np.int16(-3), np.float32(0.5)])
def test_a_mask_of_numbers_counts_as_one_of_booleans(inside):
    mask, grid, values, probabilities = case(*SOME[1])
    arrays = {"voxels": values, "probabilities": probabilities}
    numbers = mask * inside
    assert measure_segment(numbers, grid, **arrays) == measure_segment(mask, grid, **arrays)
    assert measure_segment(numbers.tolist(), grid).voxels == mask.sum()
    lesions, expected = Lesions.of(numbers, grid), Lesions.of(mask, grid)
    assert lesions.parts == expected.parts
    np.testing.assert_array_equal(lesions.numbers, expected.numbers)


@pytest.mark.parametrize("measured", [Lesions.of, measure_segment])
def test_a_mask_of_numbers_that_is_not_on_the_grid_is_refused(measured):
    with pytest.raises(InputError, match="its mask has shape .* expected that of its grid"):
        measured(np.ones((3, 4, 5), np.uint8), Grid((3, 4, 6), (1, 1, 1)))


@pytest.mark.parametrize(("axes", "signs"), SOME)
def test_numbers_are_those_of_the_components(axes, signs):
    mask, grid, _, _ = case(axes, signs)
    numbers = numbered_components(mask, grid)
    assert numbers.dtype == np.int32
    for number, own in enumerate(expected_parts(mask, grid), start=1):
        np.testing.assert_array_equal(numbers == number, own)
    assert (numbers > 0).sum() == mask.sum()


def test_of_equally_large_components_the_first_of_the_view_is_first():
    mask = np.zeros((3, 4, 5), bool)
    mask[2, 0, 0] = mask[0, 3, 0] = mask[0, 0, 4] = True
    grid = Grid(mask.shape, (1, 1, 1))
    assert [part.slice_index for part in measure_segment(mask, grid).parts] == [0, 0, 2]
    assert numbered_components(mask, grid)[mask].tolist() == [1, 2, 3]


def test_the_largest_has_the_most_voxels_not_the_most_rows():
    mask = np.zeros((3, 9, 20), bool)
    mask[0, :, 0] = True
    mask[2, 0, 3:] = True
    assert [part.voxels for part in measure_segment(mask, Grid(mask.shape, (1, 1, 1))).parts] == [
        17,
        9,
    ]
    assert numbered_components(mask, Grid(mask.shape, (1, 1, 1)))[2, 0, 3] == 1


def test_many_alike_are_numbered_as_the_view_meets_them():
    mask = np.zeros((80, 3, 3), bool)
    mask[::2, 1, 1] = True
    grid = Grid(mask.shape, (1, 1, 1))
    parts = measure_segment(mask, grid).parts
    assert [part.slice_index for part in parts] == list(range(0, 80, 2))


def test_of_many_slices_alike_the_lowest_is_taken():
    mask = np.zeros((80, 4, 5), bool)
    mask[3:, 1:3, 1:4] = True
    (part,) = measure_segment(mask, Grid(mask.shape, (1, 1, 1))).parts
    assert part.slice_index == 3


def test_of_equally_long_diameters_the_lowest_slice_is_taken():
    mask = np.zeros((4, 5, 6), bool)
    mask[1:3, 2, 1:5] = True
    (part,) = measure_segment(mask, Grid(mask.shape, (1, 1, 1))).parts
    assert part.slice_index == 1


def test_statistics_far_from_zero_keep_their_digits():
    """Squares of values of 10^7 with a deviation of 1 lose all digits where they are summed."""
    mask = np.zeros((2, 4, 50), bool)
    mask[0] = True
    values = 10_000_000 + np.random.default_rng(0).standard_normal(mask.shape)
    found = measure_segment(mask, Grid(mask.shape, (1, 1, 1)), voxels=values)
    expected = values[mask].std(ddof=1)
    assert found.parts[0].standard_deviation == pytest.approx(expected, rel=1e-6)
    assert found.standard_deviation == pytest.approx(expected, rel=1e-9)


def test_the_deviation_of_two_voxels():
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, :2] = True
    values = np.arange(27).reshape(mask.shape) ** 2
    (part,) = measure_segment(mask, Grid(mask.shape, (1, 1, 1)), voxels=values).parts
    assert part.standard_deviation == pytest.approx(values[mask].std(ddof=1))


def test_mean_and_deviation():
    assert mean_and_deviation(np.array([3], np.uint8)) == (3, 0)
    assert mean_and_deviation(np.array([250, 252], np.uint8)) == (251, pytest.approx(2**0.5))
    halves = np.array([2048, 2050], np.float16)  # has no number between the two
    assert mean_and_deviation(halves) == (2049, pytest.approx(2**0.5, rel=1e-9))


def test_means_lie_between_the_smallest_and_the_largest_value():
    mask = np.zeros((1, 40, 40), bool)
    mask[0, 2:30, 2:31] = True
    mask[0, 33:37, 5:30] = True
    probabilities = np.zeros(mask.shape, np.uint8)
    for seed in range(20):
        probabilities[0, 2:30, 2:31] = np.random.default_rng(seed).integers(1, 255, (28, 29))
        found = measure_segment(
            mask, Grid(mask.shape, (1.0, 1.0, 1.0)), probabilities=probabilities
        )
        certainties = [component.certainty for component in found.parts]
        assert 0 <= certainties[1] < 1e-9
