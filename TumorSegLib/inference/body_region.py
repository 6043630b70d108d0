"""Which part of the body a volume shows, and how it lies, as far as header or simple rules tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.normalisation import with_plain_air, without_stray
from TumorSegLib.image.volume import Volume
from TumorSegLib.image.voxel_box import bounding_box

BODY_HU, BONE_HU = -300.0, 300.0
HEAD_CM2, HEAD_BONE = 330.0, 0.08
"""A median slice of a head is smaller than this and has more bone: trunks are larger or, in
children, have less bone."""
LARGEST_HEAD_CM2 = 450.0
"""The median slice of no head on MRI is larger than this; on the training data at most 371."""
BRIGHT_BORDER = 0.9
"""Where the slices' border lies so high in the range of the volume, on MRI, it is no air's."""

SPINE_SHARE, IN_FRONT = 0.8, 0.52
"""Where this share of the bone lies, of the way from the body's front to its back. As they lie, it
is 0.59 and more in 129 CTs (with bowels full of contrast); turned over, 0.47 and less in 16."""
FEWEST_BONE = 100

HEAD = "HEAD BRAIN SKULL HEADNECK"
TRUNK = (
    "ABDOMEN ABDOMENPELVIS CHEST CHESTABDOMEN CHESTABDPELVIS THORAX LUNG HEART BREAST LIVER"
    " PANCREAS SPLEEN KIDNEY PELVIS PROSTATE BLADDER UTERUS RECTUM HIP"
)
SPINE = "SPINE CSPINE TSPINE LSPINE SSPINE"
LIMB = "SHOULDER HUMERUS ELBOW FOREARM WRIST HAND FEMUR THIGH KNEE LEG CALF ANKLE FOOT EXTREMITY"
ELSEWHERE = {
    "brain": frozenset(f"{TRUNK} {SPINE} {LIMB}".split()),
    "abdomen": frozenset(f"{HEAD} {LIMB}".split()),
}
"""By a model's anatomy, words of DICOM's BodyPartExamined (PS3.16 annex L) that rule it out. A
chest may hold the liver, and so may what is reconstructed for the spine."""

LOOK_AT_SLICES = 16
LOOK_AT_PIXELS = 256


def wrong_region(volume: Volume, modality: str, anatomy: str) -> str | None:
    """Return a line where a volume shows another part of the body than a model is for.

    Args:
        volume: of the model's modality.
        modality: "CT" (Hounsfield units) or "MR".
        anatomy: that the model is for ("brain", "abdomen"); nothing is known of others.
    """
    if volume.body_part.upper() in ELSEWHERE.get(anatomy, frozenset()):
        part = volume.body_part.lower()
        return f"{volume.name}: its header says {part}, the model is for the {anatomy}"
    if modality == "CT" and anatomy == "abdomen":
        return _head_or_limb(volume, anatomy)
    if modality == "MR" and anatomy == "brain":
        return _too_large(volume, anatomy)
    return None


def _head_or_limb(volume: Volume, anatomy: str) -> str | None:
    slices, (rows, columns) = some_slices(volume, slice(None))
    areas, bones = [], []
    for plane in slices:
        body = ct_body(plane, rows)
        if body is not None:
            areas.append(np.count_nonzero(body) * rows * columns / 100)
            bones.append(np.mean(plane[body] > BONE_HU))
    if not areas or np.median(areas) > HEAD_CM2 or np.median(bones) < HEAD_BONE:
        return None
    return f"{volume.name}: seems to show a head or a limb, the model is for the {anatomy}"


def turned_over(volume: Volume, anatomy: str) -> str | None:
    """Return a line where the spine on a CT (Hounsfield units) lies in front.

    Looked at is the bone in the middle third of the body's width.

    Args:
        volume: a CT.
        anatomy: that the model is for; nothing is told of others than the abdomen.
    """
    if anatomy != "abdomen":
        return None
    slices, (pixel_mm, _) = some_slices(volume, slice(None))
    places: list[float] = []
    for plane in slices[:, ::2, ::2]:
        body = ct_body(plane, 2 * pixel_mm)
        if body is None:
            continue
        box = bounding_box(body)
        assert box is not None
        depth, width = box
        third = (width.stop - 1 - width.start) // 3
        middle = slice(width.start + third, width.stop - third)
        rows = np.nonzero(body[:, middle] & (plane[:, middle] > BONE_HU))[0]
        places += ((rows - depth.start) / max(1, depth.stop - 1 - depth.start)).tolist()
    if len(places) < FEWEST_BONE or np.quantile(places, SPINE_SHARE) >= IN_FRONT:
        return None
    return (
        f"{volume.name}: its spine lies in front: front and back, and as a rule left and right, are"
        " exchanged in the image or its header"
    )


def ct_body(plane: NDArray[Any], pixel_mm: float) -> NDArray[np.bool_] | None:
    """Return where the body is on an axial plane (y, x) in HU, None if there is none."""
    rim = max(1, round(3 / pixel_mm))
    return _largest(ndimage.binary_opening(plane > BODY_HU, iterations=rim))


def _too_large(volume: Volume, anatomy: str) -> str | None:
    """Notice a trunk, as far as it is brighter than air."""
    slices, (rows, columns) = some_slices(volume, slice(None))
    slices = with_plain_air(slices)
    if _inverted(slices):
        return f"{volume.name}: its border is as bright as its brightest tissue; air in MRI is dark"
    slices = slices - np.percentile(slices, 1)
    planes = slices > 0.6 * slices.mean()
    bodies = [_largest(ndimage.binary_opening(plane, iterations=2)) for plane in planes]
    areas = [np.count_nonzero(body) * rows * columns / 100 for body in bodies if body is not None]
    if not areas or np.median(areas) <= LARGEST_HEAD_CM2:
        return None
    return (
        f"{volume.name}: measures {np.median(areas):.0f} cm² on its middle slices, too large for a"
        f" head, the model is for the {anatomy}"
    )


def _inverted(slices: NDArray[Any]) -> bool:
    """Tell whether the air of an MRI (z, y, x) is bright, or a bright frame surrounds it."""
    border = np.concatenate([slices[:, [0, -1]].ravel(), slices[:, :, [0, -1]].ravel()])
    low, high = np.percentile(slices, (0.5, 99.5))
    return bool(high > low and np.median(border) >= low + BRIGHT_BORDER * (high - low))


def _largest(solid: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return the largest component of a plane (y, x) without its holes, None if there is none."""
    components, count = ndimage.label(solid)
    if not count:
        return None
    largest = components == np.bincount(components.ravel())[1:].argmax() + 1
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(largest)
    return filled


def some_slices(volume: Volume, part: slice) -> tuple[NDArray[Any], tuple[float, float]]:
    """Return some axial slices of a part of the volume, coarser if need be, and mm in plane."""
    view = AxialView.of(volume.grid)
    slices = view.apply(volume.voxels)[part]
    step = -(-max(slices.shape[1:]) // LOOK_AT_PIXELS)
    every = -(-len(slices) // LOOK_AT_SLICES)
    chosen = without_stray(slices[every // 2 :: every, ::step, ::step].astype(np.float32))
    return chosen, (view.spacing_zyx[1] * step, view.spacing_zyx[2] * step)
