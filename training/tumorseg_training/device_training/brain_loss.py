"""The loss of the segmentation of one structure."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

SMOOTH = 20.0
"""Pixels added to overlap and areas, so that a few pixels do not make a loss of 1."""


def overlap_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return cross-entropy plus half the Dice loss of the batch and half that of tumours' slices.

    Over the batch large tumours count most and slices without one steady it; slice by slice a small
    tumour counts as much as a large one.

    Args:
        logits: (B, 1, H, W) in fp32.
        targets: the same, 0 or 1.
    """
    certain = binary_cross_entropy_with_logits(logits, targets)
    found = logits.sigmoid().flatten(1)
    wanted = targets.flatten(1)
    common, areas = (found * wanted).sum(1), found.sum(1) + wanted.sum(1)
    batch = 1 - 2 * common.sum() / areas.sum().clamp(min=1)
    shown = (wanted.sum(1) > 0).float()
    slices = 1 - (2 * common + SMOOTH) / (areas + SMOOTH)
    return certain + 0.5 * batch + 0.5 * (slices * shown).sum() / shown.sum().clamp(min=1)
