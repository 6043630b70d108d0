"""Segments from the segmentation files of 3D Slicer (`.seg.nrrd`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from TumorSegLib.errors import InputError
from TumorSegLib.reading.file_path import readable, reading
from TumorSegLib.reading.nrrd_header import read_nrrd
from TumorSegLib.slicer_io.fingerprint import VOXELS_TAG
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import MODEL_TAG

WHOLE_NUMBER = re.compile(r"\s*(\d{1,9})(\.0*)?\s*")
"""Some programs write label values as 1.0."""


def read_segments(path: Path) -> tuple[NamedMask, ...]:
    """Read the segments of a file; those of one layer share its label map.

    Raises:
        InputError: the file is missing, damaged, or no segmentation.
    """
    with reading(readable(path)):
        return _read_segments(path)


def _read_segments(path: Path) -> tuple[NamedMask, ...]:
    image = read_nrrd(path)
    fields = image.fields
    if "Segment0_ID" not in fields or len(image.sizes) != 3:
        raise InputError(f"{path}: found no segments, expected a .seg.nrrd file of 3D Slicer")
    if image.dtype.kind not in "iu":
        raise InputError(f"{path}: found voxels of type {image.dtype}, expected label values")
    affine = image.grid().affine
    layers, _ = image.read()
    layers = layers[np.newaxis] if layers.ndim == 3 else layers
    masks = []
    number = 0
    while f"Segment{number}_ID" in fields:
        segment = f"Segment{number}_"
        # Slicer 4.10 and earlier wrote neither layers nor values: a layer of ones a segment
        layer = _whole(path, fields, f"{segment}Layer", number)
        if layer >= len(layers):
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
                _whole(path, fields, f"{segment}LabelValue", 1),
                affine,
                tags.get(MODEL_TAG, ""),
                tags.get(VOXELS_TAG, ""),
            )
        )
        number += 1
    return tuple(masks)


def _whole(path: Path, fields: Mapping[str, str], name: str, otherwise: int) -> int:
    """Return a field that is a whole number, `otherwise` if it is missing.

    Raises:
        InputError: it is something else.
    """
    text = fields.get(name, str(otherwise))
    match = WHOLE_NUMBER.fullmatch(text)
    if match is None:
        raise InputError(
            f"{path}: found {name} {text[:40]!r}, expected a whole number; save it again"
        )
    return int(match[1])
