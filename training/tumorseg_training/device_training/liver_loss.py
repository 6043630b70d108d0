"""Cross-entropy and Dice for labels of which not every pixel of every slice is known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from tumorseg_training.device_training.liver_changes import Crops

SMOOTH = 1.0
SLICE_SMOOTH = 20.0
"""Pixels added to a single slice's Dice, so that one of few pixels does not count too much."""


def targets_of(crops: Crops, partial: Tensor) -> tuple[Tensor, Tensor]:
    """Return targets and weights, float (B, 2, h, w), for the organ and for its lesions.

    Where lesions are not annotated (`partial`), their channel is known outside the organ, which
    holds all of its lesions, and where lesions were put; anything else has weight 0.

    Args:
        crops: that were changed.
        partial: (B,), whose lesions are not annotated.
    """
    targets = torch.stack([crops.organ, crops.lesion], dim=1).float()
    weights = torch.ones_like(targets)
    unknown = partial[:, None, None] & crops.organ & ~crops.painted
    weights[:, 1] = (~unknown).float()
    return targets, weights


def partial_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the mean cross-entropy plus the Dice loss over the labels, all (B, K, h, w).

    The Dice of a label is half that over the whole batch, which steadies slices without it, and
    half the mean over slices that show it, to which small structures matter as much as large ones.
    """
    entropy = binary_cross_entropy_with_logits(logits, targets, weights, reduction="none")
    entropy = (entropy.sum((0, 2, 3)) / weights.sum((0, 2, 3)).clamp(min=1)).mean()
    found = logits.sigmoid() * weights
    truth = targets * weights
    both, either = (found * truth).sum((2, 3)), (found + truth).sum((2, 3))
    whole = (2 * both.sum(0) + SMOOTH) / (either.sum(0) + SMOOTH)
    shown = (truth.sum((2, 3)) > 0).float()
    single = (2 * both + SLICE_SMOOTH) / (either + SLICE_SMOOTH)
    single = 1 - ((1 - single) * shown).sum(0) / shown.sum(0).clamp(min=1)
    return entropy + 1 - (whole + single).mean() / 2
