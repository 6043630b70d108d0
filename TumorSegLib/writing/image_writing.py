"""Images whose file was seen to be whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from TumorSegLib.support.decimal_point import decimal_point
from TumorSegLib.support.disk import ensure_room


def write_image_atomically(image: sitk.Image, path: Path) -> bool:
    """Write an image, compressed; tell whether the file holds it.

    It is read back, because SimpleITK does not notice that a NIfTI file was cut short.

    Raises:
        OSError: it does not, and the disk is full or cannot be written to.
    """
    whole = _is_written(image, path)
    if not whole:
        ensure_room(path.parent)
    return whole


def _is_written(image: sitk.Image, path: Path) -> bool:
    try:
        with decimal_point():
            sitk.WriteImage(image, str(path), useCompression=True)
            written = sitk.ReadImage(str(path))
    except RuntimeError:
        return False
    return np.array_equal(sitk.GetArrayViewFromImage(written), sitk.GetArrayViewFromImage(image))
