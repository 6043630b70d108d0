"""What tells whether a segment's voxels are still as a model left them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOXELS_TAG = "TumorSeg.Voxels"
"""Tag of a segment: the fingerprint of its voxels as the model left them, saved with the scene."""


def voxels_fingerprint(labelmap: NDArray[Any], corner: tuple[int, int, int], value: int = 1) -> str:
    """Return a short text that is equal for equal voxels, however much surrounds them.

    Args:
        labelmap: mask or whole numbers (z, y, x).
        corner: index (z, y, x) on the volume of the first voxel.
        value: of the voxels that count.
    """
    checksum, count = 0, 0
    for z, labels in enumerate(labelmap):
        plane = labels == value
        rows = np.flatnonzero(plane.any(axis=1))
        if rows.size:
            occupied = plane[rows[0] : rows[-1] + 1]
            columns = np.flatnonzero(occupied.any(axis=0))
            occupied = occupied[:, columns[0] : columns[-1] + 1]
            place = (z + corner[0], rows[0] + corner[1], columns[0] + corner[2], *occupied.shape)
            checksum = zlib.crc32(np.array(place, np.int32).tobytes(), checksum)
            checksum = zlib.crc32(np.packbits(occupied).tobytes(), checksum)
            count += int(np.count_nonzero(occupied))
    return f"{count}-{checksum:08x}"
