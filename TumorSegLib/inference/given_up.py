"""What the filter of false positives took out of a result, kept so that a user can put it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class GivenUp:
    """A candidate that the model holds for something else.

    Its mask is kept, since probabilities that fall to nothing no longer tell where it was.

    Attributes:
        label: value of the label that it would have.
        likelihood: that it is one, 0 to 1.
        runs: rows of its voxels in the volume's array, of each z, y, first x, one past the last x.
    """

    label: int
    likelihood: float
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.runs) % 4:
            raise ValueError(f"runs: found {len(self.runs)} numbers, expected four a run")

    @property
    def box(self) -> tuple[int, ...]:
        """Start and stop along (z, y, x) of what it fills, () if nothing."""
        if not self.runs:
            return ()
        z, y, first, last = (self.runs[place::4] for place in range(4))
        return min(z), max(z) + 1, min(y), max(y) + 1, min(first), max(last)

    def draw(self, mask: NDArray[Any], corner: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Set its voxels in an array (z, y, x) that begins at `corner` of the volume."""
        from_z, from_y, from_x = corner
        for place in range(0, len(self.runs), 4):
            z, y, first, last = self.runs[place : place + 4]
            mask[z - from_z, y - from_y, first - from_x : last - from_x] = True


def runs_of(indices: NDArray[Any]) -> tuple[int, ...]:
    """Return the rows of some voxels, as `GivenUp` keeps them.

    Args:
        indices: (n, 3) along (z, y, x) in the volume's array, each once.
    """
    import numpy as np

    if not len(indices):
        return ()
    places = indices[np.lexsort(indices.T[::-1])].astype(np.int64)
    step = np.diff(places, axis=0)
    begins = np.r_[True, step[:, :2].any(axis=1) | (step[:, 2] != 1)]
    ends = np.r_[begins[1:], True]
    runs = np.c_[places[begins], places[ends, 2] + 1]
    return tuple(runs.ravel().tolist())
