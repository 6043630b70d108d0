"""Corrections of the whole label map after the network, as `model.json` lists them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.components import bounding_box, components_of
from TumorSegLib.specification import FillHoles, KeepLargest, RemoveSmall

Step = KeepLargest | RemoveSmall | FillHoles


def postprocess(labelmap: NDArray[np.uint8], steps: Sequence[Step], *, voxel_ml: float) -> None:
    """Apply `steps` in place to an axially ordered label map (z, y, x).

    Components touch by faces, edges or corners (26-connectivity).
    """
    for step in steps:
        region = bounding_box(labelmap == step.label)
        if region is None:
            continue
        part = labelmap[region]
        mask = part == step.label
        match step:
            case KeepLargest():
                part[mask & ~_large_components(mask, None)] = 0
            case RemoveSmall():
                part[mask & ~_large_components(mask, step.millilitres / voxel_ml)] = 0
            case FillHoles():
                _fill_holes(part, mask, step.label)


def _large_components(mask: NDArray[np.bool_], voxels: float | None) -> NDArray[np.bool_]:
    """Return the components of at least `voxels`, or the largest one alone."""
    components, sizes = components_of(mask)
    if voxels is None:
        return np.asarray(components == sizes.argmax())
    keep = sizes >= voxels
    keep[0] = False
    return np.asarray(keep[components])


def _fill_holes(part: NDArray[np.uint8], mask: NDArray[np.bool_], label: int) -> None:
    for index, filled in enumerate(ndimage.binary_fill_holes(plane) for plane in mask):
        part[index][filled & (part[index] == 0)] = label
