"""Means with confidence intervals, and paired comparisons, over patients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import DegenerateDataWarning, bootstrap, wilcoxon

RESAMPLES = 5000
THIRDS = (1 / 3, 2 / 3)
"""Quantiles that divide values into three groups of a size."""


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
    mean, median = float(known.mean()), float(np.median(known))
    return Estimate(mean, *interval(known, np.mean, RESAMPLES, seed), median, known.size)


def between(
    limits: Sequence[float] | NDArray[np.floating], values: Sequence[float]
) -> list[tuple[str, list[int]]]:
    """Return three groups, in words and by the places of their values.

    Args:
        limits: the highest value of the first group and that of the second.
        values: what is divided.
    """
    low, high = (f"{limit:.0f}" if limit >= 100 else f"{limit:.3g}" for limit in limits)
    groups = np.searchsorted(limits, values)
    texts = (f"up to {low}", f"{low} to {high}", f"over {high}")
    return [(text, np.flatnonzero(groups == number).tolist()) for number, text in enumerate(texts)]


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compare two models, patient by patient in the same order."""
    differences = np.subtract(first, second)
    differences = differences[np.isfinite(differences)]
    moved = differences[differences != 0]
    p_value = float(wilcoxon(moved).pvalue) if moved.size else 1.0
    return Comparison(estimate(differences.tolist()), p_value)


def interval(
    sample: NDArray[Any], statistic: Callable[..., Any], resamples: int, seed: int = 0
) -> tuple[float, float]:
    """Return the ends of a statistic's 95 % percentile-bootstrap interval.

    Args:
        sample: of at least one value.
        statistic: takes values of the sample, and `axis` if it can take many samples at once.
        resamples: how many samples are drawn; those for which the statistic is `nan` do not count.
        seed: of the drawing.
    """
    if len(sample) == 1:
        return (float(statistic(sample)),) * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # of `nan`, which are left out here
        drawn = bootstrap(
            (sample,),
            statistic,
            n_resamples=resamples,
            method="percentile",
            random_state=np.random.default_rng(seed),
        ).bootstrap_distribution
    known = drawn[np.isfinite(drawn)]
    low, high = np.percentile(known, (2.5, 97.5)) if known.size else (np.nan, np.nan)
    return float(low), float(high)
