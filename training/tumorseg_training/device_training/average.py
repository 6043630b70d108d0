"""An average of a network's weights over the steps of its training."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

Share = Callable[[int], float]
"""From the number of steps so far, the part by which an average moves to the latest weights."""


class Average:
    """A moving average of a network's weights and BatchNorm statistics."""

    def __init__(self, network: nn.Module, share: Share) -> None:
        """Begin with the network as it is."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._mine = _floats(self.network)
        self._latest = _floats(network)
        self._share = share
        self.steps = 0

    def update(self) -> None:
        """Move towards the network as it is after a further step."""
        self.steps += 1
        torch._foreach_lerp_(self._mine, self._latest, self._share(self.steps))


def exponential(decay: float) -> Share:
    """Return the shares of an exponential average that is young at first, as in TensorFlow."""
    return lambda steps: 1 - min(decay, (1 + steps) / (10 + steps))


def over_part(part: float, longest: float = 1000.0) -> Share:
    """Return the shares of an average that reaches back over a part of the steps so far.

    Args:
        part: of the steps.
        longest: number of steps that it reaches back.
    """
    return lambda steps: 1 / max(1.0, min(part * steps, longest))


def _floats(network: nn.Module) -> list[Tensor]:
    found = [*network.parameters(), *network.buffers()]
    return [tensor.detach() for tensor in found if tensor.is_floating_point()]
