"""Which lesions of an earlier image are which of a later one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.segment import measure_numbered

Figures = NDArray[np.float64]

LEAST_SHARE = 0.1
"""Two lesions meet if they share this part of the smaller one's volume."""

NEAR_MM = 15.0
"""Lesions that do not meet are the same up to this distance of their centroids: breathing moves
a liver by a centimetre and more."""


@dataclass(frozen=True, eq=False, repr=False)
class Lesions:
    """The lesions of one image; equal to itself alone.

    Attributes:
        parts: their figures, the largest first.
        numbers: the lesion's number at each voxel (z, y, x), else 0.
        grid: of the voxels.
    """

    parts: tuple[Component, ...]
    numbers: NDArray[np.int32]
    grid: Grid

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.parts)} on {self.grid})"

    @classmethod
    def of(cls, mask: NDArray[Any], grid: Grid) -> Lesions:
        """Return the components of a mask (z, y, x); what is not 0 is inside.

        Raises:
            InputError: the mask is not on the grid.
        """
        found, numbers = measure_numbered(mask, grid, name="lesions")
        return cls(found.parts, numbers(), grid)


@dataclass(frozen=True)
class Group:
    """Lesions that are the same: usually one and one.

    Attributes:
        earlier: numbers in the earlier image; none of a new lesion, several that have merged.
        later: numbers in the later image; none if it has vanished, several if it has split.
        overlap_ml: that they share.
        distance_mm: between the centroids of the first of each; None if one side has none.
    """

    earlier: tuple[int, ...]
    later: tuple[int, ...]
    overlap_ml: float
    distance_mm: float | None


def matched(
    earlier: Lesions,
    later: Lesions,
    transform: NDArray[np.float64] | None = None,
    *,
    near_mm: float = NEAR_MM,
) -> list[Group]:
    """Return each lesion of both images in one group, in the order of the later image.

    One is assigned to one such that what they share (as Dice's coefficient) is largest in all; of
    the rest, such that the centroids are nearest. What meets a lesion that is assigned to another
    one is a part of it: it has split, or they have merged.

    Args:
        earlier: lesions of the earlier image.
        later: of the later one.
        transform: 4x4 from the earlier image's LPS mm to the later's; none: the frame of reference
            is the same.
        near_mm: see `NEAR_MM`.

    Raises:
        InputError: the transform is no invertible 4x4 matrix, or `near_mm` no distance.
    """
    if not 0 <= near_mm < np.inf:
        raise InputError(f"near_mm: found {near_mm}, expected a distance in mm, 0 or more")
    matrix = _checked(transform)
    shared = _shared_ml(earlier, later, matrix)
    sizes = np.array([part.volume_ml for part in earlier.parts])[:, None]
    later_sizes = np.array([part.volume_ml for part in later.parts])[None]
    meets = shared >= LEAST_SHARE * np.minimum(sizes, later_sizes)
    meets &= shared > 0
    apart = _distances(earlier, later, matrix)
    partner = _assigned(np.where(meets, 2 * shared / (sizes + later_sizes), 0))
    free = np.ones_like(meets)
    for one, other in partner.items():
        free[one], free[:, other] = False, False
    near = np.where(free & ~meets & (apart <= near_mm), 1 - apart / (near_mm + 1), 0)
    near[meets.any(axis=1)], near[:, meets.any(axis=0)] = 0, 0  # parts of others are not free
    partner |= _assigned(near)

    groups = {one: ([one], [other]) for one, other in partner.items()}
    taken = set(partner.values())
    for other in range(len(later.parts)):
        if other not in taken and meets[:, other].any():
            groups[int(np.where(meets[:, other], shared[:, other], -1).argmax())][1].append(other)
            taken.add(other)
    home = {other: one for one, (_, others) in groups.items() for other in others}
    alone = []
    for one in range(len(earlier.parts)):
        if one in partner:
            continue
        if meets[one].any():
            groups[home[int(np.where(meets[one], shared[one], -1).argmax())]][0].append(one)
        else:
            alone.append(one)
    matched = [
        Group(
            tuple(one + 1 for one in ones),
            tuple(other + 1 for other in others),
            float(shared[np.ix_(ones, others)].sum()),
            float(apart[ones[0], others[0]]),
        )
        for ones, others in sorted(groups.values(), key=lambda group: group[1][0])
    ]
    new = [
        Group((), (other + 1,), 0.0, None)
        for other in range(len(later.parts))
        if other not in taken
    ]
    return [*matched, *new, *(Group((one + 1,), (), 0.0, None) for one in alone)]


def _assigned(weights: Figures) -> dict[int, int]:
    """Return the pairs of row and column, each at most once, whose weights sum to most."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(weights, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: column for row, column in pairs if weights[row, column] > 0}


def _shared_ml(earlier: Lesions, later: Lesions, transform: Figures) -> Figures:
    """Return the volume that each two lesions share.

    Centres of voxels are looked up on the other grid, both ways: on a coarse grid small lesions
    lie between the centres.
    """
    forth = _met(earlier, later, transform)
    back = _met(later, earlier, np.asarray(np.linalg.inv(transform), float))
    return np.maximum(forth, back.T)


def _met(one: Lesions, other: Lesions, transform: Figures) -> Figures:
    shape = (len(one.parts), len(other.parts))
    indices = np.stack(np.unravel_index(np.flatnonzero(one.numbers), one.grid.shape), axis=1)
    to_index = np.linalg.inv(other.grid.affine) @ transform
    places = one.grid.positions(indices) @ to_index[:3, :3].T + to_index[:3, 3]
    there = np.rint(places[:, ::-1]).astype(np.int64)
    inside = ((there >= 0) & (there < other.grid.shape)).all(axis=1)
    numbers = one.numbers[tuple(indices[inside].T)].astype(np.int64) - 1
    met = other.numbers[tuple(there[inside].T)].astype(np.int64) - 1
    pairs = (numbers * shape[1] + met)[met >= 0]
    counts = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    return np.asarray(counts * one.grid.voxel_ml)


def _distances(earlier: Lesions, later: Lesions, transform: Figures) -> Figures:
    one = np.array([part.centroid_mm for part in earlier.parts]).reshape(-1, 3)
    other = np.array([part.centroid_mm for part in later.parts]).reshape(-1, 3)
    moved = one @ transform[:3, :3].T + transform[:3, 3]
    return np.asarray(np.linalg.norm(moved[:, None] - other[None], axis=-1))


def _checked(transform: NDArray[np.float64] | None) -> Figures:
    if transform is None:
        return np.eye(4)
    matrix = np.asarray(transform, float)
    if (
        matrix.shape != (4, 4)
        or not np.isfinite(matrix).all()
        or abs(np.linalg.det(matrix[:3, :3])) < 1e-6
        or not np.allclose(matrix[3], (0, 0, 0, 1))
    ):
        raise InputError(
            f"transform: found {matrix.tolist()}, expected an affine 4x4 matrix that can be"
            " inverted, from the earlier image's LPS mm to the later's"
        )
    return matrix
