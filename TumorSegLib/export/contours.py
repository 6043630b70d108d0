"""Pixels inside closed contours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def filled(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie inside an odd number of polygons (exclusive or).

    Args:
        polygons: vertices (n, 2) as (x, y) in pixels, whose centres are whole numbers.
        shape: rows and columns.
    """
    rows, columns = shape
    crossed = np.zeros((rows, columns + 1), np.int32)
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if y0 > y1:
                x0, y0, x1, y1 = x1, y1, x0, y0
            y = np.arange(max(int(np.ceil(y0)), 0), min(int(np.ceil(y1)), rows))
            if not y.size:
                continue  # between two rows of centres
            x = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(crossed, (y, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    inside: NDArray[np.bool_] = np.cumsum(crossed[:, :columns], axis=1) % 2 == 1
    return inside


def united(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels that closed contours of one structure enclose together.

    A contour wholly within another is a hole, one within a hole an island, as DICOM PS3.3 C.8.8.6.3
    has them where they are stored as contours of their own. What contours that meet enclose is
    added up.

    Args:
        polygons: see `filled`.
        shape: rows and columns.
    """
    masks = {mask.tobytes(): mask for mask in (filled([one], shape) for one in polygons)}
    contours = [_Contour.of(mask) for mask in masks.values() if mask.any()]
    contours.sort(key=lambda contour: contour.size, reverse=True)
    whole = np.zeros(shape, np.bool_)
    for index, contour in enumerate(contours):  # the largest first
        around = [other for other in contours[:index] if contour.is_within(other)]
        contour.depth = 1 + max((other.depth for other in around), default=-1)
        for other in around:
            if other.depth == contour.depth - 1:
                other.within.append(contour)
    for contour in contours:
        if contour.depth % 2 == 0:
            inside = contour.mask.copy()
            for hole in contour.within:
                inside &= ~hole.mask
            whole |= inside
    return whole


@dataclass(eq=False)
class _Contour:
    """A closed contour.

    Attributes:
        mask: the pixels inside.
        size: their number.
        box: first and last row and column of them.
        depth: how many contours lie around it, one around the other.
        within: the contours of the next depth that lie wholly within.
    """

    mask: NDArray[np.bool_]
    size: int
    box: tuple[int, int, int, int]
    depth: int = 0
    within: list[_Contour] = field(default_factory=list)

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> _Contour:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]))
        return cls(mask, int(np.count_nonzero(mask)), box)

    def is_within(self, other: _Contour) -> bool:
        """Tell whether all its pixels are another's."""
        top, bottom, left, right = self.box
        if not (other.box[0] <= top and bottom <= other.box[1]):
            return False
        if not (other.box[2] <= left and right <= other.box[3]):
            return False
        return not (self.mask & ~other.mask).any()
