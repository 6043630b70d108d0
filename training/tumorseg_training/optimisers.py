"""Optimisers and learning-rate schedules by the names that configs use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from tumorseg_training.config import Optimisation

POLY_POWER = 0.9
"""As in Chen et al. 2016 (arXiv 1606.00915)."""


def build_optimiser(settings: Optimisation, parameters: Iterable[Parameter]) -> Optimizer:
    """Return the optimiser that `settings` name."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "sgd":
        nesterov = settings.momentum > 0
        return SGD(parameters, rate, settings.momentum, weight_decay=decay, nesterov=nesterov)
    if settings.optimiser == "adam":
        return Adam(parameters, rate, weight_decay=decay)
    return AdamW(parameters, rate, weight_decay=decay)


def build_schedule(settings: Optimisation, optimiser: Optimizer, steps: int) -> LRScheduler:
    """Return the schedule that `settings` name, over `steps` optimiser steps in all."""
    if settings.schedule == "onecycle" and steps > 2:  # Smith & Topin 2017, arXiv 1708.07120
        warm_up = max(settings.warm_up, 2 / steps)
        return OneCycleLR(optimiser, settings.learning_rate, steps, pct_start=min(warm_up, 1.0))
    return LambdaLR(optimiser, rate_over(settings, steps))


def rate_over(settings: Optimisation, steps: int) -> Callable[[int], float]:
    """Return the part of the learning rate at each of `steps` steps, for all but one-cycle."""
    warm_up = round(settings.warm_up * steps)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
        if settings.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        return float((1 - done) ** POLY_POWER) if settings.schedule == "poly" else 1.0

    return factor


def configured(settings: Optimisation, network: torch.nn.Module, steps: int) -> dict[str, Any]:
    """Return optimiser and schedule as Lightning wants them."""
    optimiser = build_optimiser(settings, network.parameters())
    schedule = build_schedule(settings, optimiser, steps)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
