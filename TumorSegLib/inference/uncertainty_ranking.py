"""Which slices need eyes first: their expected correction, and the ranking by it.

The area that a slice is expected to need corrected is

    C = E + D / 4

E is the expected area of wrong pixels (`TumorSegLib.inference.uncertainty`): what the network
itself doubts. D is the area over which the slice's labels differ from a neighbouring slice's, the
mean of both neighbours: what it does not doubt but should, for structures seldom end or change
within a slice.
How well C finds the slices that are wrong, beside other figures, is in `docs/review.md`.

NumPy only: the panel imports this, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

DISAGREEMENT_WEIGHT = 0.25
"""Part of D in C; anything from 0.1 to 1 ranks nearly alike."""

UNSURE_SHARE = 0.8
"""The unsure slices are the fewest that hold this part of the whole expected correction."""


def expected_correction(
    wrong_mm2: NDArray[np.floating], labels: NDArray[np.uint8], pixel_mm2: float
) -> NDArray[np.float64]:
    """Return C in mm2 of consecutive slices.

    Args:
        wrong_mm2: E of each slice.
        labels: label values (n, y, x) of these slices.
        pixel_mm2: area of a pixel of `labels`.
    """
    if len(labels) < 2:
        return np.asarray(wrong_mm2, np.float64)
    between = [np.count_nonzero(one != other) for one, other in pairwise(labels)]
    differing = np.array([between[0], *between]) + np.array([*between, between[-1]])
    corrections: NDArray[np.float64] = wrong_mm2 + DISAGREEMENT_WEIGHT * pixel_mm2 * differing / 2
    return corrections


def unsure_slices(corrections: Sequence[float]) -> list[int]:
    """Return the indices of the unsure slices, the one with the largest correction first."""
    values = np.asarray(corrections, np.float64)
    order = np.argsort(-values, kind="stable")
    held = np.cumsum(values[order])
    if not len(held) or held[-1] <= 0:
        return []
    count = 1 + int(np.searchsorted(held, UNSURE_SHARE * held[-1]))
    return [int(index) for index in order[:count]]


def doubt(probabilities: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 0 (sure) to 254 (probability one half) for each voxel.

    Args:
        probabilities: (label, ...), 0 to 255 for 0 to 1; of several labels the most doubtful
            counts.
    """
    doubled: NDArray[np.uint8] = np.minimum(probabilities, 255 - probabilities).max(axis=0) << 1
    return doubled
