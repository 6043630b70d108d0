"""Segments from the segmentation files of 3D Slicer (`.seg.nrrd`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from TumorSegLib.errors import InputError
from TumorSegLib.export.named_mask import NamedMask
from TumorSegLib.itk import grid_of_image
from TumorSegLib.quiet import quiet_stderr
from TumorSegLib.reading.file_path import readable
from TumorSegLib.reading.text_header import TextHeader
from TumorSegLib.writing.segments import MODEL_TAG


def read_segments(path: Path) -> tuple[NamedMask, ...]:
    """Read the segments of a file; those of one layer share its label map.

    Raises:
        InputError: the file is missing, damaged, or no segmentation.
    """
    readable(path)
    TextHeader.read(path).check()
    try:
        with quiet_stderr():
            image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise InputError(f"{path}: cannot be read as NRRD; copy or export it again") from None
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    if "Segment0_ID" not in fields or image.GetDimension() != 3:
        raise InputError(f"{path}: found no segments, expected a .seg.nrrd file of 3D Slicer")
    affine = grid_of_image(image, str(path)).affine
    layers = sitk.GetArrayFromImage(image)
    layers = layers[np.newaxis] if layers.ndim == 3 else np.moveaxis(layers, -1, 0)
    masks = []
    number = 0
    while f"Segment{number}_ID" in fields:
        segment = f"Segment{number}_"
        # Slicer 4.10 and earlier wrote neither layers nor values: a layer of ones a segment
        layer = int(fields.get(f"{segment}Layer", number))
        if not 0 <= layer < len(layers):
            raise InputError(
                f"{path}: {segment}Layer is {layer}, the file has {len(layers)} layers"
            )
        tags = dict(
            tag.split(":", 1) for tag in fields.get(f"{segment}Tags", "").split("|") if ":" in tag
        )
        masks.append(
            NamedMask(
                fields[f"{segment}ID"],
                fields.get(f"{segment}Name", fields[f"{segment}ID"]),
                layers[layer],
                int(fields.get(f"{segment}LabelValue", 1)),
                affine,
                tags.get(MODEL_TAG, ""),
            )
        )
        number += 1
    return tuple(masks)
