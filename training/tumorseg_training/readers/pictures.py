"""Slices as pictures, for the readers of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TumorSegLib.errors import InputError


def read_picture(path: Path) -> NDArray[Any]:
    """Return a picture's pixels (rows, columns), or (rows, columns, channels).

    Raises:
        InputError: it cannot be read; Pillow has several words for that.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InputError(
            f"{path.name}: cannot be read as a picture; it may be damaged or cut off"
        ) from None
