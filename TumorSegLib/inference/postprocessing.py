"""Corrections of the whole label map after the network, as `model.json` lists them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.components import components_of, table_of
from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.model.postprocessing import FillHoles, KeepLargest, RemoveSmall
from TumorSegLib.model.specification import Label

Step = KeepLargest | RemoveSmall | FillHoles


def postprocess(
    labelmap: NDArray[np.uint8],
    steps: Sequence[Step],
    *,
    voxel_ml: float,
    labels: Sequence[Label] = (),
) -> None:
    """Apply `steps` in place to an axially ordered label map (z, y, x).

    Components touch by faces, edges or corners (26-connectivity). A structure's components are
    taken together with the parts it includes, and go with them; what is taken from a part falls
    to the structure that includes it.

    Args:
        labelmap: label values.
        steps: in order.
        voxel_ml: volume of a voxel.
        labels: of the model, where some include others.
    """
    occupied = bounding_box(labelmap)
    if occupied is None:
        return
    labelmap = labelmap[occupied]  # steps only take away, but for holes within
    for step in steps:
        values = next((label.whole for label in labels if label.value == step.label), (step.label,))
        beneath = next((label.value for label in labels if step.label in label.includes), 0)
        belongs = table_of(values)
        region = bounding_box(belongs[labelmap])
        if region is None:
            continue
        part = labelmap[region]
        mask = belongs[part]
        match step:
            case FillHoles():
                _fill_holes(part, mask, step.label)
            case _:
                part[mask & ~_kept(mask, step, voxel_ml)] = beneath


def _kept(
    mask: NDArray[np.bool_], step: KeepLargest | RemoveSmall, voxel_ml: float
) -> NDArray[np.bool_]:
    """Return the components that a step leaves."""
    components, sizes = components_of(mask)
    if isinstance(step, KeepLargest):
        return np.asarray(components == sizes.argmax())
    keep = sizes >= max(step.millilitres / voxel_ml, step.share_of_largest * sizes.max())
    keep[0] = False
    return np.asarray(keep[components])


def _fill_holes(part: NDArray[np.uint8], mask: NDArray[np.bool_], label: int) -> None:
    for index, filled in enumerate(ndimage.binary_fill_holes(plane) for plane in mask):
        part[index][filled & (part[index] == 0)] = label
