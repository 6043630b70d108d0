"""Which slices an epoch shows, in which order, with which random changes.

Every draw carries a seed of its own that follows from the run's seed, the epoch and its place in
the epoch. So an epoch is the same whether or not the run was interrupted before it, and however
many processes load the slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """One slice to show: its place in the data set, and the seed of its random changes."""

    place: int
    seed: int


class EpochSampler(Sampler[Draw]):
    """Draws slices with given probabilities, or each once if as many are drawn as there are."""

    def __init__(
        self,
        weights: NDArray[np.float64] | None,
        slices: int,
        count: int,
        *,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        """Draw for one of several processes that share the epoch.

        Args:
            weights: relative probability of each slice; none: all alike, without replacement.
            slices: in the data set.
            count: of slices drawn an epoch by all processes together.
            seed: of the run.
            rank: of this process.
            processes: in all.
        """
        self.weights = weights
        self.slices = slices
        self.count = count // processes
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Draw]:
        generator = np.random.default_rng([self.seed, self.epoch])
        total = self.count * self.processes
        if self.weights is not None:
            share = self.weights / self.weights.sum()
            indices = generator.choice(self.slices, total, p=share)
        else:
            rounds = -(-total // self.slices)
            orders = [generator.permutation(self.slices) for _ in range(rounds)]
            indices = np.concatenate(orders)[:total]
        seeds = generator.integers(2**31, size=total)
        mine = slice(self.rank, None, self.processes)
        for index, seed in zip(indices[mine].tolist(), seeds[mine].tolist(), strict=True):
            yield Draw(index, seed)


def draw_weights(
    popularity: NDArray[np.float64],
    foreground_share: float | None,
    synthetic: NDArray[np.bool_],
    synthetic_share: float,
) -> NDArray[np.float64] | None:
    """Return each slice's probability; none where every slice is to be shown alike.

    Args:
        popularity: of each slice among those that show a structure; 0 where none is shown.
        foreground_share: of the slices drawn, those with a structure; none: as they come.
        synthetic: which slices are synthetic.
        synthetic_share: of the slices drawn, those that are synthetic.
    """
    foreground = popularity > 0
    if foreground_share is None and not synthetic.any() and len(set(popularity[foreground])) < 2:
        return None
    weights = np.zeros(len(foreground))
    sources = [(~synthetic, 1.0)]
    if synthetic.any():
        sources = [(~synthetic, 1 - synthetic_share), (synthetic, synthetic_share)]
    for source, source_share in sources:
        shown, empty = source & foreground, source & ~foreground
        share = shown.sum() / source.sum() if foreground_share is None else foreground_share
        if not shown.any() or not empty.any():
            share = float(shown.any())
        if shown.any():
            weights[shown] = source_share * share * popularity[shown] / popularity[shown].sum()
        if empty.any():
            weights[empty] = source_share * (1 - share) / empty.sum()
    return weights


def balanced_popularity(
    shows: NDArray[np.bool_], cases: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Return how often to draw each slice so that no structure and no case crowds out the others.

    Every structure gets the same share. Within it a case counts by the root of its number of
    slices, between showing every slice alike and showing every case alike.

    Args:
        shows: (slices, structures), which slices show which.
        cases: (slices,), the number of the case that a slice is of.
    """
    popularity = np.zeros(len(shows))
    for structure in shows.T:
        counts = np.bincount(cases[structure], minlength=int(cases.max()) + 1)
        weights = structure / np.sqrt(np.maximum(1, counts[cases]))
        popularity += weights / max(weights.sum(), 1)
    return popularity
