"""What a filter of false positives gave up, kept with the segmentation and thus saved with it."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import slicer

from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.geometry import Placement
from TumorSegLib.slicer_io.nodes import set_quietly
from TumorSegLib.slicer_io.segments import segment_id
from TumorSegLib.support.schema import SchemaError, from_dict, parsed, to_dict

GIVEN_UP_ATTRIBUTE = "TumorSeg.GivenUp"

MOST_BYTES = 1 << 26
"""Of a stored text, unpacked: a scene from elsewhere may hold one that fills the memory."""


@dataclass(frozen=True)
class _Stored:
    """The attribute's content, which is packed: rows of voxels are long and alike.

    Attributes:
        ijk_to_ras: 4x4, row by row, from the volume's voxel indices to the segmentation's
            coordinates.
        shape: voxels of the volume along (z, y, x).
        lesions: by segment id.
    """

    ijk_to_ras: tuple[float, ...]
    shape: tuple[int, int, int]
    lesions: Mapping[str, tuple[GivenUp, ...]]

    def __post_init__(self) -> None:
        for lesion in (lesion for found in self.lesions.values() for lesion in found):
            box = lesion.box or (0,) * 6
            if any(box[2 * n] < 0 or box[2 * n + 1] > size for n, size in enumerate(self.shape)):
                raise ValueError("voxels beyond the volume")


def keep_given_up(
    segmentation: slicer.vtkMRMLSegmentationNode,
    placement: Placement,
    specification: ModelSpecification,
    given_up: Sequence[GivenUp],
) -> None:
    """Keep with a segmentation what the run that wrote it gave up."""
    lesions = {
        segment_id(specification, label): [
            to_dict(item) for item in given_up if item.label == label.value
        ]
        for label in specification.labels
    }
    if not given_up:
        set_quietly(segmentation, GIVEN_UP_ATTRIBUTE, None)
        return
    content = {
        "ijk_to_ras": placement.ijk_to(segmentation).ravel().tolist(),
        "shape": list(placement.grid.shape),
        "lesions": {name: found for name, found in lesions.items() if found},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(content).encode()))
    set_quietly(segmentation, GIVEN_UP_ATTRIBUTE, packed.decode())


def given_up_of(
    segmentation: slicer.vtkMRMLSegmentationNode, placement: Placement | None
) -> Mapping[str, tuple[GivenUp, ...]]:
    """Return what was given up, by segment id; nothing if the volume is on another grid now."""
    text = segmentation.GetAttribute(GIVEN_UP_ATTRIBUTE)
    if not text or placement is None:
        return {}
    try:
        packed = zlib.decompressobj().decompress(base64.b64decode(text), MOST_BYTES)
        stored = from_dict(_Stored, parsed(packed))
        matrix = np.reshape(stored.ijk_to_ras, (4, 4))
    except (ValueError, SchemaError, binascii.Error, zlib.error):  # by hand, or another version
        return {}
    same = np.allclose(matrix, placement.ijk_to(segmentation), atol=1e-3)
    return stored.lesions if same and stored.shape == placement.grid.shape else {}
