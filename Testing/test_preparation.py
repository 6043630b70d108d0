from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import BRAIN_INPUT, CT_INPUT

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.in_plane import FieldOfView, PixelSpacing, resize
from TumorSegLib.image.normalisation import (
    ForegroundRange,
    HistogramEqualisation,
    Window,
    with_dark_air,
    with_plain_air,
    without_fill,
    without_stray,
)
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.preparation import PreparedVolume, body_box, stack_context
from TumorSegLib.model.specification import Channel


def volume_of(voxels, spacing=(1.0, 1.0, 5.0)):
    return Volume(voxels, Grid(voxels.shape, spacing))


def test_window():
    normalised = (
        Window(-40, 160).fit(np.zeros((1, 1, 1))).apply(np.array([-1000, -40, 60, 160, 900]))
    )
    np.testing.assert_allclose(normalised, [0, 0, 0.5, 1, 1], atol=1e-6)


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (16, 0), (0.01, 0), (3, 100)])
def test_foreground_ignores_the_scanners_units(gain, offset):
    generator = np.random.default_rng(0)
    head = np.where(generator.random((8, 40, 40)) < 0.4, generator.normal(100, 15, (8, 40, 40)), 2)
    reference = ForegroundRange().fit(head).apply(head)
    changed = head * gain + offset
    np.testing.assert_allclose(ForegroundRange().fit(changed).apply(changed), reference, atol=1e-3)
    assert np.median(reference[head > 50]) == pytest.approx(3 / 8, abs=0.01)


@pytest.mark.parametrize("normalisation", [ForegroundRange(), HistogramEqualisation()])
def test_a_flat_volume_stays_finite(normalisation):
    flat = np.full((2, 4, 4), 7.0)
    assert np.isfinite(normalisation.fit(flat).apply(flat)).all()


def head_with_fat(fat):
    """A brain with a faint tumour in a ring of fat: 100, 108, `fat`, in noise; air is 2."""
    y, x = np.mgrid[-20:20, -20:20]
    radius = np.hypot(y, x)
    head = np.select([radius < 15, radius < 16.5], [100.0, fat], 2.0) + np.zeros((8, 1, 1))
    head[:, 22:28, 22:28] = 108
    return head + np.random.default_rng(0).normal(0, 3, head.shape) * (head > 50)


def contrast(normalisation, head):
    """How far the tumour lies above the brain, on average."""
    shown = normalisation.fit(head).apply(head)
    return shown[:, 22:28, 22:28].mean() - shown[:, 12:22, 10:20].mean()


def test_bright_fat_takes_nothing_from_the_brain_when_equalised():
    dim, bright = head_with_fat(110), head_with_fat(300)
    assert contrast(ForegroundRange(), bright) < 0.2 * contrast(ForegroundRange(), dim)
    assert contrast(HistogramEqualisation(), bright) == pytest.approx(
        contrast(HistogramEqualisation(), dim), rel=0.2
    )


@pytest.mark.parametrize("stray", [1e5, 1e9, 3e38, -3e38])
@pytest.mark.parametrize("normalisation", [ForegroundRange(), HistogramEqualisation()])
def test_stray_voxels_change_nothing_elsewhere(normalisation, stray):
    head = head_with_fat(300).astype(np.float32)
    expected = normalisation.fit(head).apply(head)
    spoilt = head.copy()
    spoilt[0, 0, :2] = stray
    found = normalisation.fit(spoilt).apply(spoilt)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1:], expected[1:], atol=0.01)


@pytest.mark.parametrize("normalisation", [ForegroundRange(), HistogramEqualisation()])
def test_images_without_stray_voxels_stay_as_they_are(normalisation):
    head = head_with_fat(300)
    vessels = head.copy()
    vessels[:, 18, 18:22] = 2500
    for image in (head, vessels):
        assert without_stray(image) is image


@pytest.mark.parametrize(("offset", "width"), [(1e6, 300.0), (1e4, 0.01), (1e9, 300.0)])
def test_an_offset_large_beside_the_range_is_no_fault(offset, width):
    noise = np.random.default_rng(0).random((3, 64, 64))
    voxels = (noise * width + offset).astype(np.float32)
    for normalisation in (ForegroundRange(), HistogramEqualisation()):
        assert np.isfinite(normalisation.fit(voxels).apply(voxels)).all()


def test_equalised_is_monotone_and_ignores_units():
    head = head_with_fat(300)
    shown = HistogramEqualisation().fit(head).apply(head)
    order = np.argsort(head, axis=None)
    assert (np.diff(shown.ravel()[order]) >= 0).all()
    changed = head * 12 + 40
    np.testing.assert_allclose(
        HistogramEqualisation().fit(changed).apply(changed), shown, atol=0.01
    )


def test_a_rank_is_the_part_of_the_foreground_that_is_darker():
    head = np.where(np.arange(1000) < 400, 0.0, np.arange(1000)).reshape(10, 10, 10)
    shown = HistogramEqualisation().fit(head).apply(head).ravel()
    foreground = head[head > head.mean()]
    assert not shown[:420].any()  # the mean is 419.7
    for value in (500, 750, 900, 999):
        assert shown[value] == pytest.approx((foreground < value).mean(), abs=0.01)


def test_slabs_are_equalised_as_the_whole_volume_is():
    head = head_with_fat(300).astype(np.float32)
    grid = FieldOfView(40)
    equalised = replace(BRAIN_INPUT, normalisation=HistogramEqualisation(), in_plane=grid)
    prepared = PreparedVolume({"flair": volume_of(head)}, equalised)
    shown = HistogramEqualisation().fit(head).apply(prepared.view.apply(head)[2:5])
    np.testing.assert_allclose(prepared.slab(np.arange(2, 5))[:, 0], shown, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "target"), [((20, 30), (10, 60)), ((33, 17), (32, 32)), ((5, 5), (5, 5))]
)
def test_resize_keeps_ramps_and_constants(source, target):
    rows, columns = np.mgrid[: source[0], : source[1]]
    ramp = torch.from_numpy(
        ((rows + 0.5) / source[0] + (columns + 0.5) / source[1]).astype(np.float32)
    )
    rows, columns = np.mgrid[: target[0], : target[1]]
    expected = (rows + 0.5) / target[0] + (columns + 0.5) / target[1]
    inner = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(resize(ramp, target).numpy()[inner], expected[inner], atol=1e-3)
    torch.testing.assert_close(resize(torch.ones(2, *source), target), torch.ones(2, *target))


def test_in_plane_grids():
    assert FieldOfView(256).grid((512, 512), (0.45, 0.45)) == (256, 256)
    assert FieldOfView(256).grid((100, 200), (1.0, 1.0)) == (128, 256)
    assert FieldOfView(100).grid((100, 100), (2.0, 1.0)) == (100, 50)
    assert PixelSpacing(1.5).grid((512, 512), (0.75, 0.75)) == (256, 256)


def test_missing_channels_are_replaced_and_named():
    voxels = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    prepared = PreparedVolume({"flair": volume_of(voxels)}, BRAIN_INPUT)
    slab = prepared.slab(np.arange(0, 3))
    assert slab.shape == (3, 3, 64, 64)
    torch.testing.assert_close(slab[:, 0], slab[:, 2])
    assert prepared.replaced == {"t1": "flair", "t1c": "flair"}


CHAIN = replace(
    BRAIN_INPUT,
    channels=(
        Channel("flair", "FLAIR"),
        Channel("t1c", "T1 after contrast", "t1"),
        Channel("t1", "T1", "flair"),
    ),
)


@pytest.mark.parametrize(
    ("given", "sources"),
    [
        (("flair",), ("flair", "flair", "flair")),
        (("flair", "t1"), ("flair", "t1", "t1")),
        (("flair", "t1c"), ("flair", "t1c", "flair")),
    ],
)
def test_what_replaces_a_channel_may_be_replaced_itself(given, sources):
    for channel, source in zip(CHAIN.channels, sources, strict=True):
        assert CHAIN.stand_in(channel.name, given) == source
    voxels = np.arange(64.0 * 64).reshape(1, 64, 64)
    prepared = PreparedVolume({name: volume_of(voxels) for name in given}, CHAIN)
    names = [channel.name for channel in CHAIN.channels]
    expected = dict(zip(names, sources, strict=True))
    assert {name: prepared.replaced.get(name, name) for name in names} == expected


def test_nothing_stands_in_for_what_must_be_given():
    assert CHAIN.stand_in("t1c", ()) is None


def test_a_channel_that_nothing_replaces_is_asked_for():
    voxels = np.zeros((1, 64, 64))
    voxels[0, 0] = 1
    with pytest.raises(InputError, match="channel flair: missing"):
        PreparedVolume({"t1": volume_of(voxels)}, BRAIN_INPUT)
    with pytest.raises(InputError, match="channel t2: the model takes flair, t1, t1c"):
        PreparedVolume({"flair": volume_of(voxels), "t2": volume_of(voxels)}, BRAIN_INPUT)


def test_absurd_spacing_is_refused():
    voxels = np.arange(8000.0).reshape(2, 40, 100)
    with pytest.raises(InputError, match="correct the spacing"):
        PreparedVolume({"ct": volume_of(voxels, (100.0, 100.0, 5.0))}, CT_INPUT)


def test_context_clamps_at_the_ends():
    channels = torch.arange(4.0)[:, None, None, None].expand(4, 2, 1, 1).clone()
    channels[:, 1] += 10
    stacked = stack_context(channels, np.arange(4), 1)[:, :, 0, 0]
    assert stacked[0].tolist() == [0, 0, 1, 10, 10, 11]
    assert stacked[3].tolist() == [2, 3, 3, 12, 13, 13]


def test_slabs_with_context_do_not_depend_on_where_they_begin():
    voxels = np.random.default_rng(0).normal(50, 20, (7, 32, 32))
    prepared = PreparedVolume(
        {"ct": volume_of(voxels, (3.0, 3.0, 5.0))}, replace(CT_INPUT, context=2)
    )
    whole = prepared.slab(np.arange(0, 7))
    assert whole.shape == (7, 5, 32, 32)
    for start in range(6):
        slab = prepared.slab(np.arange(start, start + 2))
        torch.testing.assert_close(slab, whole[start : start + 2])
    apart = np.array([0, 3, 4, 6])
    torch.testing.assert_close(prepared.slab(apart), whole[apart])


def test_body_box_holds_everything_but_air():
    voxels = np.full((4, 200, 200), -1000, np.int16)
    voxels[1:3, 80:110, 90:140] = 50
    prepared = PreparedVolume({"ct": volume_of(voxels, (3.0, 3.0, 5.0))}, CT_INPUT)
    box = body_box(prepared, margin=8, multiple=16)
    assert box.rows[0] <= 72
    assert box.rows[1] >= 118
    assert (box.rows[1] - box.rows[0]) % 16 == 0
    assert box.columns[1] - box.columns[0] < 100
    outside = prepared.slab(np.arange(0, 4))
    outside[box.index] = 0
    assert not outside.any()


def standardised(air):
    """A head standardised within itself, as pipelines do before networks; air is `air`."""
    head = head_with_fat(150)
    head[:, 18:23, 12:20] = 25  # ventricles
    inside = head > 10
    standard = (head - head[inside].mean()) / head[inside].std()
    return head, np.where(inside, standard, air).astype(np.float32)


@pytest.mark.parametrize("normalisation", [HistogramEqualisation(), ForegroundRange()])
@pytest.mark.parametrize("scale", [(1.0, 0.0), (0.1, 0.5)])
def test_air_amid_tissues_values_is_still_air(normalisation, scale):
    """Standardised within the head, air is left at 0: the mean of the head."""
    head, changed = standardised(0.0)
    changed = changed * np.float32(scale[0]) + np.float32(scale[1])
    wanted = replace(BRAIN_INPUT, normalisation=normalisation, in_plane=FieldOfView(40))
    plain = PreparedVolume({"flair": volume_of(head)}, wanted).slab(np.arange(0, 8))[:, 0]
    shown = PreparedVolume({"flair": volume_of(changed)}, wanted).slab(np.arange(0, 8))[:, 0]
    inside = torch.from_numpy(head > 10)
    assert not shown[~inside].any()
    assert abs(shown[:, 22:28, 22:28].mean() - plain[:, 22:28, 22:28].mean()) < 0.1
    assert (shown - plain)[inside].abs().mean() < 0.1


def test_ordinary_air_is_left_alone():
    head = head_with_fat(150)
    flat = np.full((3, 8, 8), 5.0)
    clipped = np.minimum(head, 100)  # so bright that a third of the volume has one value
    for voxels in (head, head.astype(np.int16), flat, clipped, -head):
        assert with_dark_air(voxels) is voxels


@pytest.mark.parametrize("normalisation", [HistogramEqualisation(), ForegroundRange()])
@pytest.mark.parametrize("fill", [-1, -2000, -32768])
@pytest.mark.parametrize("scale", [1, 16])
def test_a_fill_value_around_a_head_changes_nothing(normalisation, fill, scale):
    head = (np.maximum(head_with_fat(150), 0) * scale).astype(np.int16)
    wide = np.pad(head, ((0, 0), (8, 8), (8, 8)))
    filled = np.pad(head, ((0, 0), (8, 8), (8, 8)), constant_values=fill)
    wanted = replace(BRAIN_INPUT, normalisation=normalisation, in_plane=FieldOfView(56))
    shown = [
        PreparedVolume({"flair": volume_of(voxels)}, wanted).slab(np.arange(0, 8))
        for voxels in (wide, filled)
    ]
    torch.testing.assert_close(shown[1], shown[0])


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_a_fill_value_below_intensities_of_any_range_is_raised_to_them(offset):
    _, standard = standardised(-3.0)
    standard += np.float32(offset)
    filled = np.pad(standard, ((0, 0), (8, 8), (8, 8)), constant_values=offset - 1000)
    raised = without_fill(filled)
    np.testing.assert_array_equal(raised[:, 8:-8, 8:-8] >= raised.min(), True)
    assert raised.min() == pytest.approx(offset - 3, abs=0.1)


def test_blended_borders_of_a_fill_value_are_raised_with_it():
    filled = np.pad(head_with_fat(150), ((0, 0), (20, 20), (20, 20)), constant_values=-1000)
    filled[::2, 19, 19:61] = -500
    assert without_fill(filled).min() == 0


def test_ordinary_dark_values_are_no_fill_values():
    head = head_with_fat(150)
    stripped = np.where(head > 10, head * 4, 0)
    _, standard = standardised(0.0)
    overshot = head.copy()
    overshot[0, 0, 0] = -40
    for voxels in (head, stripped, standard, overshot, head - 1000, np.full((3, 8, 8), -5.0)):
        assert without_fill(voxels) is voxels
    assert without_fill(np.zeros((0, 4, 4))).size == 0
    assert with_plain_air(head) is head
