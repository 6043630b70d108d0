from __future__ import annotations

import numpy as np
import pytest
from results import result_of, two_structures
from scipy import ndimage
from scipy.spatial.distance import cdist, pdist
from test_grid import ORIENTATIONS, rotation_about, stored_as
from tiny_models import brain_specification, ct_specification

from TumorSegLib.measurement.segment import measure


def tumour(labelmap, **options):
    (measurement,) = measure(result_of(labelmap, brain_specification(), **options))
    return measurement


def test_box():
    labelmap = np.zeros((6, 40, 50))
    labelmap[2:4, 10:20, 5:25] = 1
    measurement = tumour(labelmap, spacing=(0.5, 2.0, 5.0))
    assert (measurement.name, measurement.label) == ("Tumour", 1)
    assert measurement.voxels == 400
    assert measurement.volume_ml == pytest.approx(400 * 0.5 * 2 * 5 / 1000)
    assert measurement.components == 1
    assert measurement.largest_component_ml == pytest.approx(measurement.volume_ml)
    assert measurement.longest_axial_diameter_mm == pytest.approx(
        np.hypot(20 * 0.5 - 0.5, 10 * 2.0)
    )


def test_components_touch_by_corners():
    labelmap = np.zeros((6, 10, 10))
    labelmap[1, 2, 2] = labelmap[2, 3, 3] = 1
    labelmap[4, 8, 8] = 1
    measurement = tumour(labelmap, spacing=(1.0, 1.0, 1.0))
    assert measurement.components == 2
    assert measurement.volume_ml == pytest.approx(0.003)
    assert measurement.largest_component_ml == pytest.approx(0.002)


def test_diameter_is_that_of_one_part_on_one_slice():
    labelmap = np.zeros((5, 30, 30))
    labelmap[0, 0, 0] = labelmap[4, 29, 29] = 1
    assert tumour(labelmap, spacing=(1.0, 1.0, 3.0)).longest_axial_diameter_mm == pytest.approx(1)
    labelmap[2, 3, 4:10] = labelmap[2, 20, 4:10] = 1
    assert tumour(labelmap, spacing=(1.0, 1.0, 3.0)).longest_axial_diameter_mm == pytest.approx(6)
    labelmap[2, 3:21, 4] = 1
    assert tumour(labelmap, spacing=(1.0, 1.0, 3.0)).longest_axial_diameter_mm == pytest.approx(
        np.hypot(5, 18)
    )


def test_diameter_agrees_with_all_pairs_of_points_of_the_outline():
    rng = np.random.default_rng(1)
    for _ in range(20):
        plane = rng.random((9, 12)) < rng.uniform(0.02, 0.6)
        plane[4, 5] = True
        spacing = rng.uniform(0.3, 3, 2)
        parts, count = ndimage.label(plane, np.ones((3, 3)))
        longest = 0.0
        for number in range(1, count + 1):
            halves = [[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]]
            outline = np.argwhere(parts == number)[:, None] + halves
            longest = max(longest, pdist(outline.reshape(-1, 2) * spacing[::-1]).max())
        measurement = tumour(plane[None], spacing=(*spacing.tolist(), 4.0))
        assert measurement.longest_axial_diameter_mm == pytest.approx(longest)


def test_disc_has_its_diameter():
    y, x = np.mgrid[:200, :100]
    disc = np.hypot((y - 100) * 0.5, (x - 50) * 1.0) <= 30
    measurement = tumour(disc[None], spacing=(1.0, 0.5, 4.0))
    assert measurement.longest_axial_diameter_mm == pytest.approx(60, abs=1.2)


def test_axial_whatever_the_order_of_the_array():
    specification = ct_specification()
    expected = measure(result_of(two_structures(), specification, spacing=(0.9, 0.7, 4.5)))
    rotation = rotation_about(1, 20)
    for axes, signs in ORIENTATIONS:
        labelmap, direction = stored_as(two_structures(), axes, signs, rotation)
        spacing_zyx = np.array([4.5, 0.7, 0.9])[list(axes)]
        spacing = tuple(spacing_zyx[::-1].tolist())
        found = measure(result_of(labelmap, specification, spacing=spacing, direction=direction))
        for one, other in zip(expected, found, strict=True):
            assert one.components == other.components
            assert one.volume_ml == pytest.approx(other.volume_ml)
            assert one.longest_axial_diameter_mm == pytest.approx(other.longest_axial_diameter_mm)


def test_a_liver_includes_its_tumours():
    labelmap = two_structures()
    labelmap[6, 19, 23] = 0
    liver, lesion = measure(result_of(labelmap, ct_specification()))
    assert liver.voxels == np.count_nonzero(labelmap)
    assert lesion.voxels == np.count_nonzero(labelmap == 2)
    assert liver.components == 1


def test_nothing_found():
    measurement = tumour(np.zeros((3, 8, 8)))
    assert measurement.voxels == measurement.components == 0
    assert measurement.volume_ml == measurement.largest_component_ml == 0
    assert measurement.longest_axial_diameter_mm == 0


def test_one_label_found():
    labelmap = two_structures()
    labelmap[labelmap == 2] = 0
    liver, lesion = measure(result_of(labelmap, ct_specification()))
    assert liver.voxels > 0
    assert lesion.voxels == 0
    labelmap = two_structures()
    labelmap[labelmap == 1] = 0
    liver, lesion = measure(result_of(labelmap, ct_specification()))
    assert liver.voxels == lesion.voxels > 0


def test_of_a_large_organ_only_corners_of_its_outline_are_compared(monkeypatch):
    points = []

    def counted(one, other):
        points.append(len(one))
        return cdist(one, other)

    monkeypatch.setattr("scipy.spatial.distance.cdist", counted)
    labelmap = np.zeros((200, 512, 512), np.uint8)
    z, y, x = np.ogrid[:200, :512, :512]
    labelmap[((z - 90) / 70) ** 2 + ((y - 230) / 110) ** 2 + ((x - 180) / 110) ** 2 < 1] = 1
    labelmap[((z - 90) / 12) ** 2 + ((y - 230) / 20) ** 2 + ((x - 180) / 20) ** 2 < 1] = 2
    result = result_of(labelmap, ct_specification(), voxels=labelmap)
    liver, _ = measure(result)
    assert liver.components == 1
    assert 0 < len(points) <= 2 * 200  # once a slice and structure at most
    assert max(points) < 1000  # of tens of thousands of pixels
