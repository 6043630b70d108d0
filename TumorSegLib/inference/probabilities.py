"""From what a network says to probabilities, and how they are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.arrays import array_from_tensor


def activation_of(specification: ModelSpecification) -> Callable[[Tensor], Tensor]:
    """Return what turns logits (B, channels, ...) into the labels' probabilities (B, K, ...)."""
    if specification.activation == "sigmoid":
        return torch.sigmoid
    values = [label.value for label in specification.labels]
    parts = [[values.index(value) for value in label.whole] for label in specification.labels]

    def softmax(logits: Tensor) -> Tensor:
        foreground = logits.softmax(dim=1)[:, 1:]
        return torch.stack([foreground[:, part].sum(dim=1) for part in parts], dim=1)

    return softmax


def smoothed(probabilities: Sequence[float], deviation: float) -> list[float]:
    """Return the slices' probabilities, their log-odds smoothed by a Gaussian along the slices."""
    if deviation == 0:
        return list(probabilities)
    certain = np.clip(probabilities, 1e-4, 1 - 1e-4)
    log_odds = np.log(certain / (1 - certain))
    log_odds = gaussian_filter1d(log_odds, deviation, mode="nearest")
    return [float(value) for value in 1 / (1 + np.exp(-log_odds))]


def quantise(probabilities: Tensor) -> NDArray[np.uint8]:
    """Return probabilities as uint8, 0 to 255 for 0 to 1."""
    return array_from_tensor(probabilities.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8))
