from __future__ import annotations

import math

import numpy as np
import pytest

from tumorseg_training.metrics import LesionCounts, agreement, roc_auc, roc_curve
from tumorseg_training.statistics import compare, estimate, interval


def box(shape: tuple[int, int, int], *spans: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def test_figures_of_two_overlapping_boxes() -> None:
    reference = box((20, 20, 20), (4, 12), (4, 12), (4, 12))
    found = box((20, 20, 20), (6, 14), (4, 12), (4, 12))
    figures = agreement(found, reference, (2.5, 1.0, 1.0))
    assert figures.dice == pytest.approx(0.75)
    assert figures.iou == pytest.approx(0.6)
    assert figures.sensitivity == pytest.approx(0.75)
    assert figures.precision == pytest.approx(0.75)
    assert figures.reference_ml == pytest.approx(512 * 2.5 / 1000)
    assert figures.volume_error == 0
    assert figures.hd95_mm == pytest.approx(5.0)  # two slices of 2.5 mm
    assert 0.4 < figures.surface_dice < 1


def test_identity() -> None:
    mask = box((9, 9, 9), (2, 6), (2, 6), (2, 6))
    figures = agreement(mask, mask, (1.0, 1.0, 1.0))
    assert (figures.dice, figures.hd95_mm, figures.surface_dice) == (1.0, 0.0, 1.0)


def test_absence_is_agreement_and_distances_are_then_undefined() -> None:
    empty, some = box((5, 5, 5), (0, 0), (0, 0), (0, 0)), box((5, 5, 5), (1, 2), (1, 2), (1, 2))
    neither = agreement(empty, empty, (1.0, 1.0, 1.0))
    assert neither.dice == neither.iou == 1
    assert math.isnan(neither.hd95_mm)
    assert math.isnan(neither.surface_dice)
    for pair in ((empty, some), (some, empty)):
        figures = agreement(*pair, (1.0, 1.0, 1.0))
        assert (figures.dice, figures.surface_dice) == (0, 0)
        assert math.isnan(figures.hd95_mm)
    assert agreement(some, empty, (1.0, 1.0, 1.0)).false_lesions == 1


def test_lesions_are_counted_one_by_one() -> None:
    shape = (10, 30, 30)
    reference = (
        box(shape, (1, 5), (1, 6), (1, 6))
        | box(shape, (1, 5), (12, 17), (1, 6))
        | box(shape, (6, 9), (22, 28), (22, 28))
    )
    found = (
        box(shape, (1, 5), (1, 6), (1, 4))  # most of the first
        | box(shape, (1, 2), (12, 13), (1, 3))  # 2 of 100 voxels of the second
        | box(shape, (1, 3), (1, 4), (20, 24))  # where there is nothing
    )
    figures = agreement(found, reference, (1.0, 1.0, 1.0))
    assert (figures.lesions, figures.lesions_found, figures.false_lesions) == (3, 1, 1)


def test_lesions_are_counted_by_their_own_volume() -> None:
    shape = (20, 40, 40)
    small, large = box(shape, (0, 5), (0, 10), (0, 10)), box(shape, (0, 20), (0, 10), (15, 26))
    missed = box(shape, (0, 20), (20, 30), (0, 10))
    false = box(shape, (0, 5), (35, 39), (35, 39))
    figures = agreement(small | large | false, small | large | missed, (1.0, 1.0, 1.0))
    assert figures.lesions_by_volume == (
        LesionCounts(0, 0, 1),
        LesionCounts(1, 1, 0),
        LesionCounts(2, 1, 0),
        LesionCounts(0, 0, 0),
    )
    coarse = agreement(small | large | false, small | large | missed, (2.0, 2.0, 1.0))
    assert coarse.lesions_by_volume == (
        LesionCounts(0, 0, 1),
        LesionCounts(0, 0, 0),
        LesionCounts(3, 2, 0),
        LesionCounts(0, 0, 0),
    )


def test_roc_auc_counts_pairs() -> None:
    random = np.random.default_rng(0)
    scores = np.round(random.random(80), 1)  # with ties
    truth = random.random(80) > 0.6
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert roc_auc(scores, truth) == pytest.approx(np.mean(pairs))
    assert math.isnan(roc_auc(scores, np.ones(80, np.bool_)))


@pytest.mark.parametrize("count", [2, 7, 80, 3000])
def test_roc_is_scikit_learns(count: int) -> None:
    measures = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(count)
    scores = random.integers(0, 20, count) / 20  # with ties
    truth = random.random(count) > 0.6
    truth[:2] = True, False
    assert roc_auc(scores, truth) == pytest.approx(measures.roc_auc_score(truth, scores), abs=1e-12)
    curve = measures.roc_curve(truth, scores, drop_intermediate=False)
    for ours, theirs in zip(roc_curve(scores, truth), curve, strict=False):
        np.testing.assert_allclose(ours[::-1], theirs, atol=1e-12)


@pytest.mark.parametrize("kind", [True, False])
def test_one_class_has_no_curve(kind: bool) -> None:
    assert [side.size for side in roc_curve(np.arange(5.0), np.full(5, kind))] == [0, 0]


@pytest.mark.parametrize("count", [1, 2, 3, 25, 130])
def test_intervals_are_percentiles_of_drawn_samples(count: int) -> None:
    """Digit by digit, so that figures that were published stay as they are."""
    values = np.random.default_rng(count).normal(0.7, 0.1, count)
    drawn = values[np.random.default_rng(0).integers(0, count, (5000, count))]
    found = estimate(values.tolist())
    assert [found.low, found.high] == np.percentile(drawn.mean(axis=1), (2.5, 97.5)).tolist()


def test_samples_without_the_statistic_do_not_count() -> None:
    def statistic(sample: np.ndarray) -> float:
        return math.nan if sample.min() == 0 else float(sample.mean())

    low, high = interval(np.arange(4.0), statistic, 500)
    assert 1 <= low < high <= 3
    assert all(map(math.isnan, interval(np.zeros(3), statistic, 50)))


@pytest.mark.slow
def test_intervals_hold_the_true_mean_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        found = estimate(random.normal(0.7, 0.1, 25).tolist(), seed=trial)
        hits += found.low <= 0.7 <= found.high
    assert 0.86 <= hits / 200 <= 0.99


def test_undefined_figures_are_left_out_of_means() -> None:
    found = estimate([0.5, math.nan, 0.7])
    assert (found.mean, found.patients) == (pytest.approx(0.6), 2)
    assert math.isnan(estimate([]).mean)


def test_comparison_is_paired() -> None:
    random = np.random.default_rng(2)
    difficulty = random.random(20)
    better = compare(
        (difficulty + 0.02 + random.normal(0, 0.005, 20)).tolist(), difficulty.tolist()
    )
    assert better.p_value < 0.001
    assert better.difference.low > 0.01
    same = compare(difficulty.tolist(), difficulty.tolist())
    assert (same.p_value, same.difference.mean) == (1.0, 0.0)
