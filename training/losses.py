"""Losses by the names that configs use; all take logits and targets (B, K, H, W)."""

from __future__ import annotations

from collections.abc import Callable

from monai.losses import DiceLoss
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_by_name(name: str) -> Loss:
    """Return the loss called `name`; Dice is taken over the batch, which steadies empty slices."""
    dice: Loss = DiceLoss(sigmoid=True, batch=True)

    def bce_dice(logits: Tensor, targets: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits, targets) + dice(logits, targets)

    return {"bce": binary_cross_entropy_with_logits, "dice": dice, "bce+dice": bce_dice}[name]
