"""Boxes of voxels, a slice an axis. Importing this loads no SciPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def bounding_box(mask: NDArray[np.bool_ | np.uint8]) -> tuple[slice, ...] | None:
    """Return the slices that enclose what is not 0, or nothing."""
    box = []
    while mask.ndim:
        hit = np.flatnonzero(mask.any(axis=tuple(range(1, mask.ndim))))
        if hit.size == 0:
            return None
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
        mask = np.maximum.reduce(mask[box[-1]], axis=0)
    return tuple(box)


def widened(box: tuple[slice, ...], margins: Sequence[int]) -> tuple[slice, ...]:
    """Return a box with so many more voxels on either side of each axis; arrays clip its ends."""
    return tuple(
        slice(max(0, part.start - margin), part.stop + margin)
        for part, margin in zip(box, margins, strict=True)
    )
