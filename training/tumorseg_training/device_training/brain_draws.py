"""Which slices a run shows, drawn ahead of time so that the GPU never waits."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from tumorseg_training.device_training.brain_pack import Heads

TUMOUR_SHARE = 0.5
ROOMY = (0.35, 0.9)
"""Parts of a head's slices, from below, between which there is plenty of brain."""

CROWD = 0.75
"""A slice of a patient who has n such slices is drawn in proportion to n to the minus this."""


class Draws:
    """Slices of some patients, in order of a seed."""

    def __init__(
        self, heads: Heads, patients: Collection[str], seed: int, ahead: int = 4096
    ) -> None:
        """Draw from `patients`, whatever their number of slices nearly alike.

        Raises:
            ValueError: they have no slices with or without tumour, or one of them is unknown.
        """
        self._random: Generator = np.random.default_rng(seed)
        self._device = heads.images.device
        self._ahead = ahead
        shows = heads.masks.flatten(1).bool().any(1).cpu().numpy()
        kinds = [np.zeros(len(shows)) for _ in range(3)]
        for name in patients:
            part = np.zeros(len(shows), np.bool_)
            part[list(heads.slices_of(name))] = True
            height = (np.arange(len(shows)) - heads.slices_of(name).start) / part.sum()
            roomy = (height >= ROOMY[0]) & (height < ROOMY[1])
            wishes = (part & shows, part & ~shows & roomy, part & ~shows)
            for weights, wanted in zip(kinds, wishes, strict=True):
                if wanted.any():
                    weights[wanted] = wanted.sum() ** -CROWD
        for weights, wanted in zip(kinds, ("with", "without", "without"), strict=True):
            if not weights.any():
                raise ValueError(f"{len(patients)} patients have no slices {wanted} tumour to draw")
            weights /= weights.sum()
        self._weights = kinds
        self._waiting = [torch.empty(0, dtype=torch.int64, device=self._device)] * len(kinds)

    def batch(self, count: int, roomy: int) -> tuple[Tensor, int]:
        """Return `count` slices, and how many of them, the first, show a tumour.

        Args:
            count: of slices.
            roomy: of those without a tumour, the first, how many show plenty of brain.
        """
        tumours = max(1, round(TUMOUR_SHARE * count))
        roomy = min(roomy, count - tumours)
        counts = (tumours, roomy, count - tumours - roomy)
        return torch.cat([self._take(kind, many) for kind, many in enumerate(counts)]), tumours

    def tumours(self, count: int) -> Tensor:
        """Return `count` slices that show a tumour."""
        return self._take(0, count)

    def _take(self, kind: int, count: int) -> Tensor:
        if len(self._waiting[kind]) < count:
            weights = self._weights[kind]
            drawn = self._random.choice(len(weights), max(self._ahead, count), p=weights)
            self._waiting[kind] = torch.from_numpy(drawn).to(self._device)
        taken, self._waiting[kind] = self._waiting[kind][:count], self._waiting[kind][count:]
        return taken
