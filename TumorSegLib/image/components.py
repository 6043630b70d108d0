"""Connected components of 3-D masks, without the memory that the obvious calls take."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FULL_CONNECTIVITY = np.ones((3, 3, 3), np.bool_)
"""Voxels that touch by a face, an edge or a corner belong together (26-connectivity)."""


def table_of(values: Iterable[int]) -> NDArray[np.bool_]:
    """Return which of 256 label values are among `values`: indexed by a label map, their mask."""
    table = np.zeros(256, np.bool_)
    table[list(values)] = True
    return table


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
