"""Segments from label maps, whose values are those of a model's labels, as nnU-Net keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from TumorSegLib.errors import InputError
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.reading.file_path import readable, reading
from TumorSegLib.reading.image_file import FORMATS, read_array
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import segment_id

SEGMENTATION_ENDINGS = (".seg.nrrd", ".seg.nhdr")


def is_labelmap(path: Path) -> bool:
    """Tell whether a file's name is that of a label map, not of a segmentation of 3D Slicer."""
    name = path.name.lower()
    return name.endswith(tuple(FORMATS)) and not name.endswith(SEGMENTATION_ENDINGS)


def read_labelmap(path: Path, specification: ModelSpecification) -> tuple[NamedMask, ...]:
    """Return a segment for every label of a model, empty where the label map has none.

    All may be empty: a patient without a finding is a case, too.

    Raises:
        InputError: the file cannot be read, or has values that are none of the model's labels.
    """
    with reading(readable(path)):
        voxels, grid = read_array(path, segmentations=False)
    labels = {label.value: label.name for label in specification.labels}
    unknown = sorted(set(np.unique(voxels).tolist()) - {0, *labels})
    if unknown:
        known = ", ".join(f"{value} {name}" for value, name in labels.items())
        raise InputError(
            f"{path}: found value {unknown[0]:g}, expected a label map with the labels of"
            f" {specification.id}: 0 background, {known}"
        )
    return tuple(
        NamedMask(
            segment_id(specification, label),
            label.name,
            voxels,
            label.value,
            grid.affine,
        )
        for label in specification.labels
    )
