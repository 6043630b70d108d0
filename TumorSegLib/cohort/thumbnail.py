"""One slice of a case, for a list of many."""

from __future__ import annotations

import numpy as np
from PIL import Image

from TumorSegLib.image.display_window import display_window
from TumorSegLib.image.grid import AxialView
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.report.slice_picture import (
    count_by_slice,
    outlines,
    picture_size,
    slice_picture,
)

LONGER = 160
"""Pixels of the longer side."""


def thumbnail(result: SegmentationResult) -> Image.Image:
    """Return the axial slice with most of what was found, or else the middle one, with contours.

    Anterior is up and the patient's right on the left.
    """
    view = AxialView.of(result.volume.grid)
    voxels, labelmap = view.apply(result.volume.voxels), view.apply(result.labelmap)
    labels = result.specification.labels
    counts = count_by_slice(labelmap, labels)
    index = int(counts.argmax()) if counts.any() else len(voxels) // 2
    rows, columns = view.spacing_zyx[1:]
    size = picture_size((voxels.shape[1], voxels.shape[2]), (rows, columns), LONGER)
    return slice_picture(
        np.asarray(voxels[index]),
        labelmap[index],
        outlines(labels),
        window=display_window(result.volume),
        size=size,
    )
