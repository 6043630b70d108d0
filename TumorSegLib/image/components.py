"""Connected components of 3-D masks, without the memory that the obvious calls take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FULL_CONNECTIVITY = np.ones((3, 3, 3), np.bool_)
"""Voxels that touch by a face, an edge or a corner belong together (26-connectivity)."""


def components_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the components of `mask` (z, y, x), numbered from 1, and their sizes in voxels.

    The sizes are counted slice by slice: counting all at once copies the volume as 64-bit numbers.
    `sizes[0]`, the background, is 0.
    """
    components, count = ndimage.label(mask, FULL_CONNECTIVITY)
    sizes = np.zeros(count + 1, np.int64)
    for plane in components:
        sizes += np.bincount(plane.ravel(), minlength=count + 1)
    sizes[0] = 0
    return components, sizes


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
