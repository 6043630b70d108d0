"""From probabilities to labels: the one rule of runs and of the sensitivity that follows them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.model.specification import Label


def quantised_threshold(threshold: float) -> int:
    """Return the smallest probability of 0 to 255 that reaches `threshold`; never 0."""
    return max(1, math.ceil(threshold * 255))


def labelmap_from_probabilities(
    probabilities: Sequence[NDArray[np.uint8]],
    labels: Sequence[Label],
    thresholds: Sequence[float],
) -> NDArray[np.uint8]:
    """Return label values for probabilities of 0 to 255, an array a label, all of one shape.

    Where several labels reach their thresholds, the one listed last wins.
    """
    values = np.zeros(probabilities[0].shape, np.uint8)
    for label, part, threshold in zip(labels, probabilities, thresholds, strict=True):
        values[part >= quantised_threshold(threshold)] = label.value
    return values
