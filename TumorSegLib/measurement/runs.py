"""A mask as runs of voxels, from which components, volumes, surfaces and outlines follow quickly.

A run is an unbroken row of voxels along x. A liver of two million voxels has thirty thousand, and
two rows touch, overlap or not by the ends of their runs alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

IN_PLANE = ((0, 1),)
"""Steps (z, y) from a row to its neighbours on the slice; the opposite ones are implied."""

ALL_ROUND = ((0, 1), (1, -1), (1, 0), (1, 1))
"""Steps (z, y) to all neighbouring rows."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of a mask (z, y, x) in the order of the array; all arrays have one item a run.

    Attributes:
        z, y: index of the row.
        start, stop: first voxel along x, and one past the last.
    """

    z: Integers
    y: Integers
    start: Integers
    stop: Integers

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Runs:
        """Return the runs of `mask` (z, y, x)."""
        z_size, y_size, x_size = mask.shape
        framed = np.zeros((z_size, y_size, x_size + 2), np.bool_)
        framed[..., 1:-1] = mask
        flat = framed.ravel()
        changes = np.flatnonzero(flat[1:] != flat[:-1])
        row, start = np.divmod(changes[::2], x_size + 2)
        stop = changes[1::2] - row * (x_size + 2)
        z, y = np.divmod(row, max(y_size, 1))
        return cls(z, y, start, stop)

    def __len__(self) -> int:
        return len(self.start)

    @property
    def lengths(self) -> Integers:
        """Voxels of each run."""
        return self.stop - self.start

    def moved(self, corner: Sequence[int]) -> Runs:
        """Return the runs where the mask begins at `corner` (z, y, x) of a larger array."""
        z, y, x = corner
        return Runs(self.z + z, self.y + y, self.start + x, self.stop + x)

    def neighbours(self, steps: Sequence[tuple[int, int]]) -> Iterator[tuple[Integers, Integers]]:
        """Yield, for each step, the pairs of runs that touch by a face, an edge or a corner."""
        if not len(self):
            return
        y_pitch, x_pitch = int(self.y.max()) + 2, int(self.stop.max()) + 2
        row = self.z * y_pitch + self.y
        starts, stops = row * x_pitch + self.start, row * x_pitch + self.stop
        for z, y in steps:
            ahead = (z * y_pitch + y) * x_pitch
            first = np.searchsorted(stops, starts + ahead, "left")
            counts = np.searchsorted(starts, stops + ahead, "right") - first
            one = np.repeat(np.arange(len(self)), counts)
            within = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
            yield one, first[one] + within

    def connected(self, steps: Sequence[tuple[int, int]]) -> Integers:
        """Return for each run the number, from 0, of the connected part that it belongs to."""
        pairs = [np.stack(pair) for pair in self.neighbours(steps)]
        one, other = np.concatenate([np.zeros((2, 0), np.int64), *pairs], axis=1)
        part = np.arange(len(self))  # of each run: the first run known to be of the same part
        while (apart := part[one] != part[other]).any():
            one, other = one[apart], other[apart]
            lowest = np.minimum(part[one], part[other])
            np.minimum.at(part, part[one], lowest)
            np.minimum.at(part, part[other], lowest)
            while (known := part[part]).tobytes() != part.tobytes():
                part = known
        return np.unique(part, return_inverse=True)[1].astype(np.int64)


def per_run(values: NDArray[Any], runs: Runs) -> NDArray[Any]:
    """Return the sum over each run of `values`, one a voxel of the mask in the array's order."""
    begins = np.cumsum(runs.lengths) - runs.lengths
    return np.asarray(np.add.reduceat(values, begins)) if len(runs) else values[:0]
