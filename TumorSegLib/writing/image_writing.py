"""Images whose file was seen to be whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk


def write_image_atomically(image: sitk.Image, path: Path) -> bool:
    """Write an image, compressed; tell whether the file holds it.

    It is read back, because SimpleITK does not notice that a NIfTI file was cut short.
    """
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
        written = sitk.ReadImage(str(path))
    except RuntimeError:
        return False
    return np.array_equal(sitk.GetArrayViewFromImage(written), sitk.GetArrayViewFromImage(image))
