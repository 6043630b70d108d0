"""Whether what was found as liver may be one: as bright as those learnt from, and on its side.

Tumours are told from the liver by what each takes up of a contrast medium; without one, or in an
early phase, both look alike. In a mirrored body networks find half of the liver at most, and
nothing else tells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.volume import Volume
from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.inference.body_region import LOOK_AT_SLICES, ct_body
from TumorSegLib.model.specification import Label, ModelSpecification

LIVER = "10200004"
"""SNOMED CT code."""
FEWEST_VOXELS = 500
STEP = 2
"""Voxels along each axis, of which one is looked at."""

UNUSUAL_HU = 70.0
"""Of the 29 livers of LiTS that models learnt from, two have a lower median (27 and 64), of 85
further ones four (49, 64, 64, 68). Two CTs without contrast medium have 45 and 46."""


def liver_warnings(
    volume: Volume, labelmap: NDArray[np.uint8], specification: ModelSpecification
) -> list[str]:
    """Return a line for everything that is odd about a liver that was found on CT.

    Args:
        volume: that was segmented.
        labelmap: label values in the shape of the volume.
        specification: of the model.
    """
    if specification.modality != "CT":
        return []
    livers = [label for label in specification.labels if label.type.value == LIVER]
    lines = [_on_the_left(volume, labelmap, liver) for liver in livers]
    if specification.provenance.base is None:  # nobody knows what retrained models learnt from
        lines += [_dark(volume, labelmap, liver) for liver in livers if liver.includes]
    return [line for line in lines if line is not None]


def _dark(volume: Volume, labelmap: NDArray[np.uint8], liver: Label) -> str | None:
    every = (slice(None, None, STEP),) * 3
    found = volume.voxels[every][labelmap[every] == liver.value]
    if found.size < FEWEST_VOXELS or (median := np.median(found)) >= UNUSUAL_HU:
        return None
    return (
        f"{liver.name}: its median is {median:.0f} HU, as without contrast medium; the model"
        f" learnt from livers of {UNUSUAL_HU:.0f} HU and more, with few exceptions: check the"
        " tumours"
    )


def _on_the_left(volume: Volume, labelmap: NDArray[np.uint8], liver: Label) -> str | None:
    view = AxialView.of(volume.grid)
    slices, labels = (view.apply(array)[:, ::STEP, ::STEP] for array in (volume.voxels, labelmap))
    shown = np.flatnonzero((labels == liver.value).any(axis=(1, 2)))
    offsets, sizes = [], []
    for index in shown[:: -(-len(shown) // LOOK_AT_SLICES) or 1]:
        body = ct_body(slices[index], STEP * view.spacing_zyx[1])
        columns = np.nonzero(np.isin(labels[index], (liver.value, *liver.includes)))[1]
        box = None if body is None else bounding_box(body)
        if box is None:
            continue
        left, right = box[1].start, box[1].stop - 1
        offsets.append((columns.mean() - (left + right) / 2) / max(1, (right - left) / 2))
        sizes.append(columns.size)
    if sum(sizes) < FEWEST_VOXELS or np.average(offsets, weights=sizes) <= 0:
        return None
    return (
        f"{liver.name}: lies on the left of the body; unless the patient's organs are mirrored"
        " (situs inversus), left and right are exchanged in the image or its header"
    )
