"""Segments in shared memory, as the worker sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.worker.shared_voxels import SharedMask

ArrayOf = Callable[[str, tuple[int, ...], str], NDArray[Any]]
"""Gives the array on a shared block, by the block's name, shape and type."""


def named_mask(mask: SharedMask, array: ArrayOf) -> NamedMask:
    """Return a segment of a command."""
    return NamedMask(
        mask.id,
        mask.name,
        array(mask.block, mask.shape, mask.dtype),
        mask.value,
        np.reshape(mask.affine, (4, 4)),
        mask.model,
    )
