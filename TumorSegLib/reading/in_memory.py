"""Volumes from images and arrays that a program holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, check_spacing
from TumorSegLib.image.itk import grid_of_image
from TumorSegLib.image.volume import Volume

MODALITY_TAG = "0008|0060"


def volume_of_image(image: sitk.Image, *, name: str = "image") -> Volume:
    """Return a copy of an image as a volume on the very grid of the image.

    Args:
        image: scalar, with three axes.
        name: for messages.

    Returns:
        The volume; its modality is what the image's DICOM metadata say, if they do.

    Raises:
        InputError: it is not one scalar 3-D volume, or its axes are not perpendicular.
    """
    axes, components = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if axes != 3 or components != 1:
        raise InputError(
            f"{name}: found {axes} axes and {components} values a voxel, expected a scalar image"
            " with three axes"
        )
    modality = image.GetMetaData(MODALITY_TAG).strip() if image.HasMetaDataKey(MODALITY_TAG) else ""
    voxels = sitk.GetArrayFromImage(image)
    return Volume(voxels, grid_of_image(image, name), modality=modality or None, name=name)


def volume_of_array(
    array: ArrayLike, spacing_zyx: Iterable[float] | NDArray[Any], *, name: str = "array"
) -> Volume:
    """Return an array as a volume; the patient is taken to lie along its axes.

    Args:
        array: (z, y, x): slices from the feet to the head, rows from front to back, columns from
            the patient's right to left.
        spacing_zyx: mm between voxel centres along (z, y, x), the array's own order: the distance
            of slices first. SimpleITK's and DICOM's lists run the other way.
        name: for messages.

    Raises:
        InputError: it is no usable scalar volume, or not three distances.
    """
    voxels: np.ndarray[Any, Any] = np.asarray(array)
    try:
        z, y, x = (float(mm) for mm in spacing_zyx)
    except (TypeError, ValueError):
        raise InputError(
            f"{name}: found spacing {spacing_zyx!r}, expected three distances in mm along (z, y, x)"
        ) from None
    if voxels.ndim != 3:
        raise InputError(f"{name}: found {voxels.ndim} axes, expected three, (z, y, x)")
    check_spacing((z, y, x), name)
    slices, rows, columns = voxels.shape
    return Volume(voxels, Grid((slices, rows, columns), (x, y, z)), name=name)
