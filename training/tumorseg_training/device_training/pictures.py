"""Planes of 8 bits as WebP, small enough to be carried to a machine."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 90
"""Of WebP; the mean error is a hundredth of a head's range, less than its noise."""


def as_webp(plane: NDArray[np.uint8], *, quality: int = QUALITY, effort: int = 6) -> bytes:
    """Return a plane (H, W) as a picture, which loses a little.

    Args:
        plane: to write.
        quality: 0 to 100.
        effort: 0 to 6; more makes smaller pictures and takes longer.
    """
    content = io.BytesIO()
    Image.fromarray(plane).save(content, "WEBP", quality=quality, method=effort)
    return content.getvalue()


def from_webp(content: bytes) -> NDArray[np.uint8]:
    """Return the plane (H, W) of a picture."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("L"))
