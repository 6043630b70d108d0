"""Means with confidence intervals, and paired comparisons, over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

RESAMPLES = 5000


@dataclass(frozen=True)
class Estimate:
    """A mean over patients.

    Attributes:
        mean: of the patients for whom the figure is defined; `nan` where there are none.
        low: lower end of the 95 % interval of the mean, by bootstrap over patients.
        high: its upper end.
        median: of the patients.
        patients: how many there are.
    """

    mean: float
    low: float
    high: float
    median: float
    patients: int


@dataclass(frozen=True)
class Comparison:
    """Two models on the same patients.

    Attributes:
        difference: first less second, with its interval.
        p_value: Wilcoxon's signed-rank test, two-sided; 1 where no patient differs.
    """

    difference: Estimate
    p_value: float


def estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """Return mean, 95 % percentile-bootstrap interval and median; `nan` values are left out."""
    known = np.array([value for value in values if np.isfinite(value)], np.float64)
    if known.size == 0:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    means = _bootstrap_means(known, seed)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(
        float(known.mean()), float(low), float(high), float(np.median(known)), known.size
    )


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compare two models, patient by patient in the same order."""
    differences = np.subtract(first, second)
    differences = differences[np.isfinite(differences)]
    moved = differences[differences != 0]
    p_value = float(wilcoxon(moved).pvalue) if moved.size else 1.0
    return Comparison(estimate(differences.tolist()), p_value)


def _bootstrap_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    drawn = random.integers(0, values.size, (RESAMPLES, values.size))
    means: NDArray[np.float64] = values[drawn].mean(axis=1)
    return means
