"""Losses by the names that configs use; all take logits and targets (B, K, H, W) in fp32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.losses import DiceLoss, TverskyLoss
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from tumorseg_training.config import Optimisation

Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(settings: Optimisation, activation: str) -> Loss:
    """Return the loss that `settings` name, for logits of a "sigmoid" or a "softmax" network.

    Overlap losses are taken over the whole batch, which steadies slices without a structure, and
    over a softmax network's foreground classes only. What is not known does not count: pixels of no
    class (softmax), and targets below 0 (sigmoid).
    """
    parts = {
        "bce": _binary_cross_entropy,
        "ce": _cross_entropy,
        "dice": _dice,
        "tversky": _tversky,
        "focal_tversky": _focal_tversky,
    }
    losses = [parts[name](settings, activation) for name in settings.loss.split("+")]

    def added(logits: Tensor, targets: Tensor) -> Tensor:
        if activation == "softmax":
            logits = torch.where(targets.any(dim=1, keepdim=True), logits, _background(logits))
        else:
            logits, targets = logits.masked_fill(targets < 0, -100), targets.clamp(min=0)
        return torch.stack([loss(logits, targets) for loss in losses]).sum()

    return added


def _binary_cross_entropy(settings: Optimisation, _activation: str) -> Loss:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        weight = _weights(settings.class_weights, logits)
        return binary_cross_entropy_with_logits(logits, targets, weight)

    return loss


def _cross_entropy(settings: Optimisation, _activation: str) -> Loss:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        weight = _weights(settings.class_weights, logits)
        counted = targets if weight is None else targets * weight
        entropy = cross_entropy(logits, counted, reduction="sum")
        return entropy / counted.sum().clamp(min=1e-6)

    return loss


def _background(logits: Tensor) -> Tensor:
    """Return logits certain of background, from which no foreground class learns anything."""
    certain = torch.zeros_like(logits)
    certain[:, 0] = 100
    return certain


def _dice(settings: Optimisation, activation: str) -> Loss:
    softmax = activation == "softmax"
    overlap = DiceLoss(
        include_background=not softmax,
        sigmoid=not softmax,
        softmax=softmax,
        batch=True,
        reduction="none",
    )

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return _averaged(overlap(logits, targets), settings)

    return loss


def _tversky(settings: Optimisation, activation: str) -> Loss:
    """Tversky loss (Salehi, Erdogmus & Gholipour 2017, arXiv 1706.05721)."""
    index = _tversky_index(settings, activation)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return _averaged(index(logits, targets), settings)

    return loss


def _focal_tversky(settings: Optimisation, activation: str) -> Loss:
    """Focal Tversky loss (Abraham & Khan 2018, arXiv 1810.07842, eq. 4)."""
    index = _tversky_index(settings, activation)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        missed = index(logits, targets).clamp(min=1e-6)  # the root's slope at 0 is infinite
        return _averaged(missed ** (1 / settings.tversky.gamma), settings)

    return loss


def _tversky_index(settings: Optimisation, activation: str) -> Loss:
    """Return 1 - the Tversky index of each class."""
    softmax = activation == "softmax"
    tversky: Loss = TverskyLoss(
        include_background=not softmax,
        sigmoid=not softmax,
        softmax=softmax,
        alpha=settings.tversky.false_positives,
        beta=settings.tversky.false_negatives,
        batch=True,
        reduction="none",
    )
    return tversky


def _averaged(by_class: Tensor, settings: Optimisation) -> Tensor:
    """Average over the classes, weighted; a softmax network's background is not among them."""
    values = by_class.flatten()
    if settings.class_weights is None:
        return values.mean()
    weights = values.new_tensor(settings.class_weights)[-len(values) :]
    return (weights * values).sum() / weights.sum()


def _weights(weights: tuple[float, ...] | None, logits: Tensor) -> Tensor | None:
    """Return weights that broadcast over (B, K, ...)."""
    if weights is None:
        return None
    return logits.new_tensor(weights).view(-1, *(1,) * (logits.ndim - 2))
