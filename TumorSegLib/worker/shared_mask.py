"""Grids and segments in shared memory, as the worker sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import Grid, matrix_of, vector
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.worker.measure_protocol import SharedGrid
from TumorSegLib.worker.shared_voxels import SharedMask, SharedVolume

ArrayOf = Callable[[str, tuple[int, ...], str], NDArray[Any]]
"""Gives the array on a shared block, by the block's name, shape and type."""


def grid_of(shared: SharedGrid | SharedVolume) -> Grid:
    """Return where a command's voxels lie."""
    direction = matrix_of(np.reshape(shared.direction, (3, 3)))
    return Grid(shared.shape, vector(shared.spacing), vector(shared.origin), direction)


def named_mask(mask: SharedMask, array: ArrayOf) -> NamedMask:
    """Return a segment of a command."""
    return NamedMask(
        mask.id,
        mask.name,
        array(mask.block, mask.shape, mask.dtype),
        mask.value,
        np.reshape(mask.affine, (4, 4)),
        mask.model,
        mask.as_drawn,
    )
