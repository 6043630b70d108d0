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


def slice_uncertainty(probabilities: Tensor, thresholds: Tensor) -> Tensor:
    """Return (n,) uncertainties of slices with probabilities (n, K, H, W) and thresholds (K,)."""
    doubt = torch.minimum(probabilities, 1 - probabilities).amax(dim=1)
    expected_wrong = doubt.sum(dim=(1, 2))
    labelled = (probabilities >= thresholds[:, None, None]).any(dim=1).sum(dim=(1, 2))
    return expected_wrong / (expected_wrong + labelled + DAMPING_PIXELS)
