"""Heads that are small in their slices are seen as large as those learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import BRAIN_INPUT, CT_INPUT, brain_specification, write_tiny_bundle

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.in_plane import MAXIMUM_SIZE, FieldOfView
from TumorSegLib.image.normalisation import HistogramEqualisation
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.head_field import SMALL, USUAL, head_box, small_head
from TumorSegLib.inference.preparation import PreparedVolume, field_of_view, whole_slice
from TumorSegLib.inference.segmenter import Segmenter

EQUALISED = replace(BRAIN_INPUT, normalisation=HistogramEqualisation())
MM = 3.0
SIZE = 80
"""Pixels of a field of view of 240 mm."""


def head(size=SIZE, share=0.875):
    """A head of some structure that fills so much of (12, size, size), in noisy air."""
    z, y, x = np.mgrid[:12, :size, :size]
    radius = np.hypot(y - size / 2 + 0.5, x - size / 2 + 0.5) / (share * size / 2)
    generator = np.random.default_rng(0)
    tissue = 100 + 40 * np.sin(x / 8) + 30 * np.cos(y / 7 + z) + generator.normal(0, 3, x.shape)
    air = np.abs(generator.normal(0, 4, x.shape))
    return np.where(radius < 1, tissue, air).astype(np.float32)


def padded(voxels, pixels, value=0, slices=0):
    margins = ((slices, slices), (pixels, pixels), (pixels, pixels))
    return np.pad(voxels, margins, constant_values=value)


def prepared(voxels, specification=EQUALISED, mm=MM):
    return PreparedVolume(
        {"flair": Volume(voxels, Grid(voxels.shape, (mm, mm, 5.0)))}, specification
    )


@pytest.mark.parametrize("pixels", [40, 80, 120])
@pytest.mark.parametrize("slices", [0, 12])
def test_air_around_a_head_changes_nothing_that_the_network_sees(pixels, slices):
    plain = prepared(head()).slab(np.arange(12))
    wide = prepared(padded(head(), pixels, slices=slices))
    seen = wide.slab(np.arange(slices, slices + 12))[field_of_view(wide).index]
    assert seen.shape == plain.shape
    inner = (..., slice(8, -8), slice(8, -8))
    assert (seen - plain)[inner].abs().mean() < 0.06
    assert plain[inner].std() > 0.2


def test_the_network_sees_as_many_pixels_as_ever():
    for rows, columns in ((40, 40), (0, 60), (60, 10), (100, 0)):
        voxels = np.pad(head(), ((0, 0), (rows, 0), (0, columns)))
        box = field_of_view(prepared(voxels))
        assert [stop - start for start, stop in (box.rows, box.columns)] == [64, 64]


def test_heads_that_fill_their_slices_are_left_alone():
    for share in (0.73, 0.875, 1.0):
        voxels = prepared(head(120, share), mm=3.0)
        assert voxels.head is None
        assert voxels.network_shape == (64, 64)
        assert field_of_view(voxels) == whole_slice(voxels)


def test_a_part_of_a_head_in_its_own_field_of_view_is_left_alone():
    """Near the vertex a head is small on every slice that was given."""
    assert prepared(head(SIZE, 0.3)).head is None
    assert prepared(head(SIZE, 0.3), mm=2 * MM).head is not None


def test_the_share_decides():
    spacing = (3.0, 3.0)
    assert small_head(head(120, SMALL + 0.05), spacing) is None
    field = small_head(head(120, SMALL - 0.05), spacing)
    assert field.side_mm == pytest.approx((SMALL - 0.05) * 360 / USUAL, rel=0.05)


@pytest.mark.parametrize(
    "voxels",
    [
        np.random.default_rng(0).random((6, 120, 120)),
        np.full((6, 120, 120), 7),
        np.zeros((1, 1, 120)),
        np.pad(np.ones((6, 6, 6)), ((0, 0), (57, 57), (57, 57))),
    ],
    ids=["noise", "flat", "a line", "a spot"],
)
def test_what_shows_no_head_is_left_alone(voxels):
    assert small_head(voxels, (3.0, 3.0)) is None


def test_a_head_is_found_where_it_is_beside_noise_and_a_marker():
    voxels = np.pad(head(), ((0, 0), (60, 20), (10, 70)))
    voxels[:, 2:6, 150:154] = 300
    _, rows, columns = head_box(voxels)
    for part, start in ((rows, 60 + 5), (columns, 10 + 5)):
        assert part.start == pytest.approx(start, abs=3)
        assert part.stop == pytest.approx(start + 70, abs=3)


def test_a_tiny_head_stays_within_the_largest_grid():
    wanted = replace(EQUALISED, in_plane=FieldOfView(MAXIMUM_SIZE // 2))
    voxels = padded(head(32), 40)[:2]
    wide = prepared(voxels, wanted, mm=5.0)
    assert max(wide.network_shape) == MAXIMUM_SIZE
    box = field_of_view(wide)
    assert box.rows[1] - box.rows[0] == MAXIMUM_SIZE // 2


def test_ct_and_models_with_a_pixel_spacing_see_all():
    voxels = padded(head(), 80)
    volume = Volume(voxels, Grid(voxels.shape, (MM, MM, 5.0)))
    assert PreparedVolume({"ct": volume}, CT_INPUT).head is None
    assert PreparedVolume({"ct": volume}, replace(CT_INPUT, in_plane=FieldOfView(64))).head is None


def test_segments_do_not_depend_on_air_around_a_head(tmp_path):
    bundle = write_tiny_bundle(tmp_path, brain_specification(input=EQUALISED))
    segmenter = Segmenter(bundle, device="cpu", precision="fp32")
    found = []
    for voxels in (head(), padded(head(), SIZE)):
        volume = Volume(voxels, Grid(voxels.shape, (MM, MM, 5.0)))
        labels = segmenter.segment(volume).labelmap
        some = np.full(labels.shape, 9, np.uint8)
        segmenter.segment(volume, slices=range(5, 6), labelmap=some)
        np.testing.assert_array_equal(some[5], labels[5])
        found.append(labels > 0)
    plain, wide = found
    cut = wide[:, SIZE:-SIZE, SIZE:-SIZE]
    assert wide.sum() > 100
    assert 2 * (plain & cut).sum() / (plain.sum() + wide.sum()) > 0.85
