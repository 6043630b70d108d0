"""One training run that ends when its time is over: its schedule follows the clock, not steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from tumorseg_training.device_training.average import Average, Share

LOG_SECONDS = 5.0
FIRST_RATE = 0.02
"""Least part of the peak learning rate while it rises."""


class TimedStage(Protocol):
    """A part of a run."""

    @property
    def until(self) -> float:
        """Share of the run's time at which it ends."""


AnyStage = TypeVar("AnyStage", bound=TimedStage)


@dataclass(frozen=True)
class Example:
    """What one step learns from.

    Attributes:
        inputs: (B, C, h, w).
        loss: of the network's logits in fp32.
    """

    inputs: Tensor
    loss: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Fitting:
    """How weights are fitted.

    Attributes:
        learning_rate: at its peak.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        warm_up: part of the time in which the learning rate rises.
        final_rate: part of the peak that is left at the end.
        average: how the weights are averaged.
    """

    learning_rate: float
    weight_decay: float
    clip: float
    warm_up: float
    final_rate: float
    average: Share

    def rate(self, progress: float) -> float:
        """Return the learning rate: it rises in a line and falls along a cosine.

        Args:
            progress: part of the run's time, 0 to 1.
        """
        if progress < self.warm_up:
            return self.learning_rate * max(progress / self.warm_up, FIRST_RATE)
        falling = min(1.0, (progress - self.warm_up) / (1 - self.warm_up))
        cosine = (1 + math.cos(math.pi * falling)) / 2
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * cosine)


@dataclass(frozen=True)
class Learned:
    """What a run left: averaged weights, and how it went.

    Attributes:
        network: with the averaged weights, for evaluation.
        steps: taken.
        images: shown.
        skipped: steps left out, as their gradient was not finite.
        loss: mean over the last seconds.
        rates: images a second by stage.
        seconds: taken.
    """

    network: nn.Module
    steps: int
    images: int
    skipped: int
    loss: float
    rates: tuple[float, ...]
    seconds: float


def train(
    network: nn.Module,
    stages: Sequence[AnyStage],
    examples: Callable[[AnyStage], Iterator[Example]],
    fitting: Fitting,
    *,
    device: torch.device,
    seconds: float,
    log: Callable[[str], None],
) -> Learned:
    """Train `network` for some seconds; learning rate and stages follow the clock alone.

    Args:
        network: to train.
        stages: one after the other; at least one step is taken at each.
        examples: what there is to learn from at a stage, without end.
        fitting: how weights are fitted.
        device: where to train.
        seconds: after which the run ends.
        log: takes a line every few seconds.
    """
    cuda = device.type == "cuda"
    network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = Average(network, fitting.average)
    parameters = list(network.parameters())
    optimiser = torch.optim.AdamW(
        parameters, fitting.learning_rate, weight_decay=fitting.weight_decay, fused=cuda
    )
    # Without scaling: it leaves out steps whose gradients are not finite, and does not wait.
    scaler = torch.amp.GradScaler(device.type, init_scale=1.0, growth_interval=2**31 - 1)
    bad = torch.zeros((), device=device)
    recent: list[Tensor] = []
    images = 0
    rates: list[float] = []
    loss_mean = math.nan
    begun = logged = time.monotonic()
    for stage in stages:
        stage_begun, stage_images = time.monotonic(), 0
        drawn = examples(stage)
        while True:
            progress = (time.monotonic() - begun) / seconds
            if progress >= stage.until and stage_images:
                break
            for group in optimiser.param_groups:
                group["lr"] = fitting.rate(min(progress, 1.0))
            with torch.no_grad():
                example = next(drawn)
                inputs = example.inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
                logits = network(inputs)
            loss = example.loss(logits.float())
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimiser)
            norm = nn.utils.clip_grad_norm_(parameters, fitting.clip)
            scaler.step(optimiser)
            scaler.update()
            average.update()
            bad += ~torch.isfinite(norm)
            recent.append(loss.detach())
            stage_images += len(inputs)
            now = time.monotonic()
            if now - logged >= LOG_SECONDS:
                loss_mean = float(torch.stack(recent).nanmean())
                rate = stage_images / (now - stage_begun)
                log(
                    f"{progress:4.0%} step {average.steps} loss {loss_mean:.4f}"
                    f" {rate:.0f} images/s in {stage}"
                )
                recent, logged = [], time.monotonic()
        if cuda:
            torch.cuda.synchronize()
        images += stage_images
        rates.append(stage_images / (time.monotonic() - stage_begun))
    if recent:
        loss_mean = float(torch.stack(recent).nanmean())
    return Learned(
        average.network,
        average.steps,
        images,
        int(bad),
        loss_mean,
        tuple(rates),
        time.monotonic() - begun,
    )
