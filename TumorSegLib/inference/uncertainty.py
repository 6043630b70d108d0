"""One figure a slice that says how much of it may need correction.

Where the network gives probability p to a label, it expects to be wrong about it with probability
min(p, 1 - p). Summed over a slice that is E, the expected number of wrong pixels; A is the number
of pixels labelled. The uncertainty

    U = E / (E + A + k)

runs from 0 (sure) to 1 (all is doubt); k = 30 pixels of the network's grid keep a few doubtful
pixels on an otherwise empty slice from ranking above a doubtful tumour. With several labels, a
pixel counts with the one in most doubt.
"""

from __future__ import annotations

import torch
from torch import Tensor

DAMPING_PIXELS = 30.0


def expected_wrong(probabilities: Tensor) -> Tensor:
    """Return (n,) expected numbers of wrong pixels of slices with probabilities (n, K, H, W)."""
    return torch.minimum(probabilities, 1 - probabilities).amax(dim=1).sum(dim=(1, 2))


def slice_uncertainty(wrong: Tensor, probabilities: Tensor, thresholds: Tensor) -> Tensor:
    """Return (n,) uncertainties of slices.

    Args:
        wrong: (n,), from `expected_wrong`.
        probabilities: (n, K, H, W).
        thresholds: (K,).
    """
    labelled = (probabilities >= thresholds[:, None, None]).any(dim=1).sum(dim=(1, 2))
    return wrong / (wrong + labelled + DAMPING_PIXELS)
