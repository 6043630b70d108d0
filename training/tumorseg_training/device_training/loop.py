"""One training run that ends when its time is over, and what it left behind."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tumorseg_training.device_training.augment import Augmenter
from tumorseg_training.device_training.draws import Draws
from tumorseg_training.device_training.lesions import Painter
from tumorseg_training.device_training.losses import overlap_loss

WARM_UP = 0.1
FINAL_RATE = 0.002
AVERAGE_DECAY = 0.998
GRADIENT_NORM = 5.0
LOG_SECONDS = 5.0


@dataclass(frozen=True)
class Stage:
    """A part of a run.

    Attributes:
        until: share of the run's time at which it ends.
        size: of the grid on which slices are seen.
        crop: of what is cut out of them.
        batch: slices a step.
    """

    until: float
    size: int
    crop: int
    batch: int


@dataclass(frozen=True)
class Learned:
    """What a run left: averaged weights, and how it went.

    Attributes:
        network: with the averaged weights.
        steps: taken.
        images: shown.
        skipped: steps left out, as their gradient was not finite.
        loss: mean over the last seconds.
        rates: images a second by stage.
    """

    network: nn.Module
    steps: int
    images: int
    skipped: int
    loss: float
    rates: tuple[float, ...]


class Average:
    """An exponential average of a network's weights and statistics, young at first."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._mine = _floats(self.network)
        self._theirs = _floats(network)
        self._steps = 0

    def update(self) -> None:
        """Move towards the network as it is now."""
        self._steps += 1
        decay = min(AVERAGE_DECAY, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)


def train(
    network: nn.Module,
    augmenter: Augmenter,
    draws: Draws,
    stages: tuple[Stage, ...],
    *,
    seconds: float,
    learning_rate: float,
    weight_decay: float,
    log: Callable[[str], None],
) -> Learned:
    """Train `network` for some seconds; learning rate and stages follow the clock alone.

    The rate rises linearly to its peak and falls to nearly 0 along a cosine. At least one step is
    taken at each stage.
    """
    device = augmenter.device
    cuda = device.type == "cuda"
    network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = Average(network)
    parameters = list(network.parameters())
    optimiser = torch.optim.AdamW(parameters, learning_rate, weight_decay=weight_decay, fused=True)
    scaler = torch.amp.GradScaler(device.type, init_scale=1.0, growth_interval=1_000_000)
    bad = torch.zeros((), device=device)
    recent: list[Tensor] = []
    steps = images = 0
    rates: list[float] = []
    loss_mean = math.nan
    begun = logged = time.monotonic()
    for stage in stages:
        stage_begun, stage_images = time.monotonic(), 0
        while True:
            progress = (time.monotonic() - begun) / seconds
            if progress >= stage.until and stage_images:
                break
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * rate_at(min(progress, 1.0))
            with torch.no_grad():
                slices, tumours = draws.batch(stage.batch, Painter.roomy(stage.batch))
                sources = draws.tumours(Painter.pasted(stage.batch))
                inputs, targets = augmenter.batch(slices, sources, stage.size, stage.crop, tumours)
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
                logits = network(inputs)
            loss = overlap_loss(logits.float(), targets)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimiser)
            norm = nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
            scaler.step(optimiser)
            scaler.update()
            average.update()
            bad += ~torch.isfinite(norm)
            recent.append(loss.detach())
            steps += 1
            images += len(slices)
            stage_images += len(slices)
            now = time.monotonic()
            if now - logged >= LOG_SECONDS:
                loss_mean = float(torch.stack(recent).nanmean())
                rate = stage_images / (now - stage_begun)
                log(
                    f"{progress:4.0%} step {steps} loss {loss_mean:.4f} {rate:.0f} images/s"
                    f" at {stage.crop} of {stage.size}"
                )
                recent, logged = [], time.monotonic()
        if cuda:
            torch.cuda.synchronize()
        rates.append(stage_images / (time.monotonic() - stage_begun))
    if recent:
        loss_mean = float(torch.stack(recent).nanmean())
    return Learned(average.network, steps, images, int(bad), loss_mean, tuple(rates))


def rate_at(progress: float) -> float:
    """Return the part of the peak learning rate at a share of the run's time."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.02)
    falling = (progress - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * falling)) / 2


def _floats(network: nn.Module) -> list[Tensor]:
    found = [*network.parameters(), *network.buffers()]
    return [tensor.detach() for tensor in found if tensor.is_floating_point()]
