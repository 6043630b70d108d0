"""The corners of the convex hulls of a mask's parts, slice by slice, for all parts at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.measurement.runs import Integers, Runs


@dataclass(frozen=True, eq=False)
class HullCorners:
    """Pixels whose centres are corners of the convex hulls of the parts on each slice.

    All arrays have one item a pixel and are sorted by part.

    Attributes:
        part: that the pixel belongs to, from 0.
        points: (n, 3) voxel indices along (z, y, x).
        begins: where each part's pixels begin, and after the last its end.
    """

    part: Integers
    points: Integers
    begins: Integers


def hull_corners(runs: Runs, parts: Integers) -> HullCorners:
    """Return the hulls' corners of parts that lie on one slice each.

    Only the first and the last pixel of a part in each row can be corners.

    Args:
        runs: of the mask.
        parts: the part on a slice that each run belongs to, from 0.
    """
    order = np.lexsort((runs.y, parts))
    part, z, y = parts[order], runs.z[order], runs.y[order]
    row = np.ones(len(order), np.bool_)
    row[1:] = (part[1:] != part[:-1]) | (y[1:] != y[:-1])
    rows = np.flatnonzero(row)
    part, z, y = part[rows], z[rows], y[rows]
    if not len(rows):
        return HullCorners(part, np.zeros((0, 3), np.int64), np.zeros(1, np.int64))
    left = np.minimum.reduceat(runs.start[order], rows)
    right = np.maximum.reduceat(runs.stop[order], rows) - 1
    sides = []
    for x, sign in ((left, 1), (right, -1)):
        kept = _convex(part, y, sign * x)
        sides.append(np.stack([part[kept], z[kept], y[kept], x[kept]], axis=1))
    corners = np.unique(np.concatenate(sides), axis=0)
    begins = np.searchsorted(corners[:, 0], np.arange(int(part[-1]) + 2))
    return HullCorners(corners[:, 0], corners[:, 1:], begins)


def _convex(part: Integers, y: Integers, x: Integers) -> Integers:
    """Return the indices of the pixels that stay on the side of small x.

    What lies on or behind the line between its neighbours is dropped until nothing is: all of that
    at once is right, as the line lies in the hull whether or not its ends stay.
    """
    kept = np.arange(len(part))
    while True:
        below, pixel, above = kept[:-2], kept[1:-1], kept[2:]
        inner = (part[below] == part[above]) & (
            (x[pixel] - x[below]) * (y[above] - y[below])
            >= (x[above] - x[below]) * (y[pixel] - y[below])
        )
        if not inner.any():
            return kept
        stays: NDArray[np.bool_] = np.ones(len(kept), np.bool_)
        stays[1:-1] = ~inner
        kept = kept[stays]
