"""The field of view of an MRI whose head is small in it: padded, or on the grid of a larger scan.

Networks learn heads that fill their slices (`FieldOfView`). What they are shown of a slice much
larger than its head is what would fill it so, and intensities are fitted to that, too: air counts
in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ORDINARY_MM = 280.0
"""Fields of view up to this are a head's own, which a part of a head may fill less."""

SMALL = 0.65
"""Heads that fill less of a slice's longer side are small; those learnt from fill 0.73 to 1."""

SMALLEST = 0.15
"""What fills less is no head, but a bright spot."""

USUAL = 0.875
"""How much of it they are then made to fill: the median of the heads learnt from."""

LOOK_AT_SLICES, LOOK_AT_PIXELS = 32, 128

ROUNDS = 5
"""So often the head is looked for anew in the box found before, without the air around it."""

ABOVE_AIR, ABOVE_NOISE = 0.6, 0.15
"""Of the mean and of the brightest, above the darkest; what is brighter is no air."""

SLICES_SHARE = 0.1
"""A pixel is the head's if it is brighter than air in so many of the slices that show anything."""

MOST = 0.8
"""A head is so much of all that is brighter than air; in noise nothing is."""


@dataclass(frozen=True)
class HeadField:
    """A part of a volume that a head fills as usual.

    Attributes:
        box: slices, rows and columns; square where the slices are large enough.
        side_mm: of that square.
    """

    box: tuple[slice, slice, slice]
    side_mm: float


def small_head(voxels: NDArray[Any], spacing: tuple[float, float]) -> HeadField | None:
    """Return the part that a head fills as usual, None where it fills the slices already.

    Args:
        voxels: (slices, h, w) of an MRI whose air is darker than its tissue.
        spacing: mm along (h, w).
    """
    shape = voxels.shape[1:]
    longer = max(count * mm for count, mm in zip(shape, spacing, strict=True))
    head = head_box(voxels) if longer > ORDINARY_MM else None
    if head is None:
        return None
    length = max((part.stop - part.start) * mm for part, mm in zip(head[1:], spacing, strict=True))
    if not SMALLEST * longer <= length < SMALL * longer:
        return None
    side_mm = length / USUAL
    rows, columns = (
        _around(part, side_mm / mm, count)
        for part, mm, count in zip(head[1:], spacing, shape, strict=True)
    )
    return HeadField((head[0], rows, columns), side_mm)


def _around(part: slice, size: float, count: int) -> slice:
    """Return `size` of `count` pixels around the middle of a part of them."""
    wanted = min(count, round(size))
    start = min(max(0, (part.start + part.stop - wanted) // 2), count - wanted)
    return slice(start, start + wanted)


def head_box(voxels: NDArray[Any]) -> tuple[slice, slice, slice] | None:
    """Return the slices that show anything, and the rows and columns that enclose the head on them.

    Args:
        voxels: (slices, h, w) of an MRI whose air is darker than its tissue.
    """
    step = max(1, -(-max(voxels.shape[1:]) // LOOK_AT_PIXELS))
    seen = voxels[:, step // 2 :: step, step // 2 :: step]
    shown = np.flatnonzero((seen != seen[:, :1, :1]).any(axis=(1, 2)))
    if shown.size == 0:
        return None
    every = -(-len(shown) // LOOK_AT_SLICES)
    seen = seen[shown[every // 2 :: every]].astype(np.float32)
    seen -= np.percentile(seen, 1)
    place = int((1 - SLICES_SHARE) * (len(seen) - 1))
    bright = np.partition(seen, place, axis=0)[place]
    least = ABOVE_NOISE * float(np.percentile(bright, 99))
    box = (slice(0, bright.shape[0]), slice(0, bright.shape[1]))
    for _ in range(ROUNDS):
        mean = float(seen[:, box[0], box[1]].mean())
        found = _largest(bright > max(ABOVE_AIR * mean, least))
        if found is None:
            return None
        if found == box:
            break
        box = found
    rows, columns = (
        slice(part.start * step, min(count, part.stop * step))
        for part, count in zip(box, voxels.shape[1:], strict=True)
    )
    return slice(int(shown[0]), int(shown[-1]) + 1), rows, columns


def _largest(solid: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the rows and columns of the component of a plane (y, x) that is most of what shows."""
    components, count = ndimage.label(ndimage.binary_opening(solid))
    sizes = np.bincount(components.ravel())[1:]
    if not count or sizes.max() < MOST * np.count_nonzero(solid):
        return None
    rows, columns = ndimage.find_objects(components)[int(sizes.argmax())]
    return rows, columns
