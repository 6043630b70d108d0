"""Pixels inside closed contours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def filled(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie inside an odd number of polygons.

    So contours within contours are holes, and islands within those, as DICOM PS3.3 C.8.8.6.3 has
    them where they are stored as contours of their own (exclusive or).

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
