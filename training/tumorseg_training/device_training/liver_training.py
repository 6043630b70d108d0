"""One training run that ends in time: its schedule follows the clock, not a count of steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn

from tumorseg_training.device_training.liver_draws import Batch, Draws, Stage
from tumorseg_training.device_training.liver_loss import partial_loss

Report = Callable[[str], None]

LOOK_EVERY = 20
"""Steps between looks at the loss, for each of which the processor waits for the device."""
REPORT_SECONDS = 5.0
AT_ONCE = 4
"""Batches drawn together on a GPU."""
WARM_UP = 0.06
AVERAGED = 0.04
"""Part of the steps so far over which the averaged weights reach back."""


@dataclass(frozen=True)
class Optimisation:
    """How weights are fitted.

    Attributes:
        learning_rate: the highest, after the warm-up.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        stages: what is shown when.
    """

    learning_rate: float = 3e-3
    weight_decay: float = 2e-2
    clip: float = 2.0
    stages: tuple[Stage, ...] = (
        Stage(until=0.12, crop=112, coarse=True, batch=32),
        Stage(until=0.8, crop=160, coarse=False, batch=32),
        Stage(until=1.0, crop=224, coarse=False, batch=16),
    )


@dataclass(frozen=True)
class Trained:
    """What a run has left.

    Attributes:
        network: with the averaged weights, for evaluation.
        steps: made.
        skipped: of these, for a gradient that was not finite.
        slices: shown.
        seconds: taken.
    """

    network: nn.Module
    steps: int
    skipped: int
    slices: int
    seconds: float


class Average:
    """Exponential moving average of a network's weights and BatchNorm statistics."""

    def __init__(self, network: nn.Module) -> None:
        self.network = deepcopy(network).eval()
        pairs = zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        floating = [pair for pair in pairs if pair[0].is_floating_point()]
        self._mine = [mine for mine, _ in floating]
        self._latest = [latest for _, latest in floating]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps."""
        share = 1 / max(1.0, min(AVERAGED * step, 1000.0))
        torch._foreach_lerp_(self._mine, self._latest, share)


def train(
    network: nn.Module,
    draws: Draws,
    seconds: float,
    settings: Optimisation,
    report: Report,
) -> Trained:
    """Train a network for so many seconds.

    Args:
        network: on the device of the draws.
        draws: what it is shown.
        seconds: after which it ends, to within `LOOK_EVERY` steps.
        settings: of the optimisation.
        report: takes a line every few seconds.
    """
    device = draws.store.masks.device
    on_gpu = device.type == "cuda"
    network = network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = Average(network)
    parameters = list(network.parameters())
    optimiser = torch.optim.AdamW(
        parameters, lr=0.0, weight_decay=settings.weight_decay, fused=on_gpu
    )
    # Without scaling: it leaves out steps whose gradients are not finite, and does not wait.
    scaler = torch.amp.GradScaler(device.type, init_scale=1.0, growth_interval=2**31 - 1)
    started = last = time.perf_counter()
    steps = slices = shown = 0
    part, stage = 0.0, settings.stages[0]
    batches: Iterator[Batch] = iter(())
    total = torch.zeros((), device=device)
    while part < 1:
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * one_cycle(part)
        batch = next(batches, None)
        if batch is None:
            stage = next((stage for stage in settings.stages if part < stage.until), stage)
            batches = draws.batches(stage, AT_ONCE if on_gpu else 1)
            batch = next(batches)
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            logits = network(batch.image.contiguous(memory_format=torch.channels_last))
        loss = partial_loss(logits.float(), batch.targets, batch.weights)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(scaler.scale(loss))
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(parameters, settings.clip)
        scaler.step(optimiser)
        scaler.update()
        steps += 1
        slices += stage.batch
        average.update(steps)
        total += loss.detach().nan_to_num()
        shown += 1
        now = time.perf_counter()
        if steps % LOOK_EVERY == 0 or not on_gpu:
            if on_gpu:
                torch.cuda.synchronize()
                now = time.perf_counter()
            if now - last >= REPORT_SECONDS:
                rate = shown * stage.batch / (now - last)
                report(f"{part:4.0%} loss {float(total) / shown:.4f}, {rate:.0f} slices a second")
                total.zero_()
                last, shown = now, 0
        part = (now - started) / seconds
    skipped = round(-math.log2(max(float(scaler.get_scale()), 1e-30)))
    return Trained(average.network, steps, skipped, slices, time.perf_counter() - started)


def one_cycle(part: float) -> float:
    """Return the learning rate over its highest, at a part of the time: up in a line, down in cos.

    Args:
        part: from 0 to 1.
    """
    if part < WARM_UP:
        return max(part / WARM_UP, 0.02)
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (part - WARM_UP) / (1 - WARM_UP)))
