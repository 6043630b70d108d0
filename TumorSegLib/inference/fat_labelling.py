"""Subcutaneous and visceral fat on abdominal CT by Hounsfield window and morphology.

No network: a first annotation, for a person to correct and for a network to learn from.

Fat is what lies within -190 and -30 HU (Kvist et al., Am J Clin Nutr 1988;48:1351). The trunk, the
body within the outer surface of its muscles and ribs, parts it: subcutaneous fat lies between trunk
and skin, visceral fat within the trunk. Fat of the chest's inside counts as visceral; fat between
muscles, in bones, in the spinal canal and in stool as neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.errors import InputError
from TumorSegLib.image.components import components_of
from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.modality import modality_of
from TumorSegLib.image.volume import Volume
from TumorSegLib.image.voxel_box import bounding_box, widened

SUBCUTANEOUS, VISCERAL = 1, 2

FAT_HU = (-190.0, -30.0)
GAS_HU = -300.0
STOOL_HU = -220.0
"""Fat with its noise does not reach this; bubbles in stool do."""
BONE_HU = 200.0

SHAPE_PIXEL_MM = 1.5
"""Shapes are found on pixels of about this size: whole numbers of the image's own."""

Mask = NDArray[np.bool_]
Spacing = tuple[float, float]
Operation = Callable[[Mask, Spacing, float], Mask]


def check_is_ct(volume: Volume) -> None:
    """Refuse what has no fat by its Hounsfield units.

    Raises:
        InputError: the volume seems to be no CT.
    """
    if modality_of(volume) != "CT":
        raise InputError(
            f"{volume.name}: seems to be {modality_of(volume)}, expected CT in Hounsfield units"
        )


def label_fat(volume: Volume) -> NDArray[np.uint8]:
    """Return 1 for subcutaneous, 2 for visceral fat, 0 elsewhere, on the volume's grid (z, y, x).

    Raises:
        InputError: the volume is no CT in Hounsfield units, or shows no body.
    """
    check_is_ct(volume)
    labelmap = np.zeros(volume.voxels.shape, np.uint8)
    view = AxialView.of(volume.grid)
    voxels, target = view.apply(volume.voxels), view.apply(labelmap)
    spacing = (view.spacing_zyx[1], view.spacing_zyx[2])
    factor = max(1, round(SHAPE_PIXEL_MM / max(spacing)))
    smooth = _smoothed(voxels, spacing)
    trunk = Trunk.of(smooth, (view.spacing_zyx[0], *spacing), factor, volume.name)
    fat = (smooth >= FAT_HU[0]) & (smooth <= FAT_HU[1])
    around = fat & _enlarged(trunk.around, factor, smooth.shape)
    # blurring makes a thin rim of air and skin, or of skin and the sheet it lies on, look like fat
    target[_each(_opened, around, spacing, 1.2)] = SUBCUTANEOUS
    target[fat & _enlarged(trunk.within, factor, smooth.shape)] = VISCERAL
    return labelmap


@dataclass(frozen=True, eq=False)
class Trunk:
    """Where fat can be, on reduced pixels (z, y, x).

    Attributes:
        around: between the trunk and the skin.
        within: inside the trunk, without bones, muscles and bowel content.
    """

    around: Mask
    within: Mask

    @classmethod
    def of(
        cls,
        smooth: NDArray[np.float32],
        spacing: tuple[float, float, float],
        factor: int,
        name: str,
    ) -> Trunk:
        """Find the trunk in axially ordered Hounsfield units (z, y, x); spacing in mm.

        Raises:
            InputError: there is no body.
        """
        depth, height, width = smooth.shape
        blocks = smooth[:, : height // factor * factor, : width // factor * factor].reshape(
            depth, height // factor, factor, width // factor, factor
        )
        mean, darkest = blocks.mean((2, 4)), blocks.min((2, 4))
        pixel = (spacing[1] * factor, spacing[2] * factor)
        body = _body(mean, pixel)
        box = bounding_box(body)
        if box is None:
            raise InputError(f"{name}: found no body, expected CT in Hounsfield units")
        # a rim of air, so that only the image's own border cuts the body off
        box = widened(box, (0, 1, 1))
        around, within = np.zeros_like(body), np.zeros_like(body)
        mean, darkest, body = mean[box], darkest[box], body[box]
        core = _core(mean, body, spacing[0], pixel)
        around[box] = _each(_eroded, body, pixel, max(2.0, spacing[1], spacing[2])) & ~core
        within[box] = _cavity(mean, darkest, core, spacing[0], pixel)
        return cls(around, within)


def _body(mean: NDArray[np.float32], pixel: Spacing) -> Mask:
    """Return the patient without couch, blankets and what else is thinner than 12 mm.

    Sheets go before gas is filled, lest air between them and the back counts as the patient's.
    """
    solid = _filled(_each(_opened, mean > GAS_HU, pixel, 2.0))
    return _filled(_largest(_each(_opened, solid, pixel, 6.0)))


def _core(mean: NDArray[np.float32], body: Mask, thickness: float, pixel: Spacing) -> Mask:
    """Return all within the outer surface of muscles and ribs.

    Gaps of 50 mm between muscles are bridged, slice by slice; what is thinner than 16 mm, such as
    the navel's skin, is cut off; the surface is smoothed in 3-D.
    """
    deep = _each(_eroded, body, pixel, 6.0)  # skin is up to 5 mm thick on the back
    lean = _each(_opened, deep & (mean > FAT_HU[1]), pixel, 2.5)
    core = _largest(lean | (deep & (mean < GAS_HU)))
    core = _each(_opened, _filled(_each(_closed, core, pixel, 25.0)), pixel, 8.0)
    sigma = (3.0 / thickness, 3.0 / pixel[0], 3.0 / pixel[1])
    return np.asarray(ndimage.gaussian_filter(core.astype(np.float32), sigma) > 0.5)


def _cavity(
    mean: NDArray[np.float32],
    darkest: NDArray[np.float32],
    core: Mask,
    thickness: float,
    pixel: Spacing,
) -> Mask:
    """Return where fat within the trunk is visceral.

    Within 20 mm of the trunk's surface, fat counts where it is thick, and belongs to at least
    4 ml of thick fat: what lies between the layers of muscle is thin.
    """
    bone = (mean > BONE_HU) & core
    bubbles = (darkest < STOOL_HU) & core
    bowel = _each(_closed, bubbles, pixel, 8.0) | _each(_dilated, bubbles, pixel, 3.0)
    allowed = core & ~_filled(_each(_closed, bone, pixel, 6.0)) & ~bowel & ~_back(bone, core, pixel)
    fat = allowed & (mean >= FAT_HU[0]) & (mean <= FAT_HU[1])
    radius = max(2.5, 1.03 * max(pixel))
    components, sizes = components_of(_each(_eroded, fat, pixel, radius))
    large = sizes * thickness * pixel[0] * pixel[1] / 1000 >= 4.0
    large[0] = False
    thick = _each(_dilated, large[components], pixel, radius + 1.5)
    return allowed & (thick | _each(_eroded, core, pixel, 20.0))


def _back(bone: Mask, core: Mask, pixel: Spacing) -> Mask:
    """Return the muscles of the back: behind the vertebral bodies, up to 50 mm from the midline."""
    back = np.zeros_like(core)
    beside, search = round(50 / pixel[1]), round(25 / pixel[1])
    for plane, bones, trunk in zip(back, bone, core, strict=True):
        rows, columns = np.flatnonzero(trunk.any(axis=1)), np.flatnonzero(trunk.any(axis=0))
        if rows.size == 0:
            continue
        middle = (columns[0] + columns[-1]) // 2
        near = bones[:, max(0, middle - search) : middle + search]
        spine = np.flatnonzero(near.any(axis=1))
        spine = spine[spine > rows.mean()]
        if spine.size:
            behind = round(spine[0] + 0.6 * (spine[-1] - spine[0]))
            plane[behind:, max(0, middle - beside) : middle + beside] = True
    return back


def _smoothed(voxels: NDArray[np.generic], spacing: Spacing) -> NDArray[np.float32]:
    """Return Hounsfield units less noisy in-plane, by a Gaussian of 0.8 mm."""
    sigma = (0.0, 0.8 / spacing[0], 0.8 / spacing[1])
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(voxels.astype(np.float32), sigma)
    return smooth


def _enlarged(mask: Mask, factor: int, shape: tuple[int, ...]) -> Mask:
    """Return a mask on the image's own pixels; what the reduced grid does not cover is empty."""
    whole = np.zeros(shape, np.bool_)
    covered = mask.repeat(factor, axis=1).repeat(factor, axis=2)
    whole[:, : covered.shape[1], : covered.shape[2]] = covered
    return whole


def _each(operation: Operation, mask: Mask, pixel: Spacing, radius: float) -> Mask:
    return np.stack([operation(plane, pixel, radius) for plane in mask])


def _dilated(plane: Mask, pixel: Spacing, radius: float) -> Mask:
    if not plane.any():
        return plane
    return np.asarray(ndimage.distance_transform_edt(~plane, sampling=pixel) <= radius)


def _eroded(plane: Mask, pixel: Spacing, radius: float) -> Mask:
    """Erode; what lies beyond the image's border continues it, as the body does there."""
    padded = np.pad(plane, 1, mode="edge")
    distance = ndimage.distance_transform_edt(padded, sampling=pixel)
    return np.asarray(distance[1:-1, 1:-1] > radius)


def _opened(plane: Mask, pixel: Spacing, radius: float) -> Mask:
    return _dilated(_eroded(plane, pixel, radius), pixel, radius)


def _closed(plane: Mask, pixel: Spacing, radius: float) -> Mask:
    margin = [round(radius / mm) + 2 for mm in pixel]
    padded = _dilated(np.pad(plane, [(n, n) for n in margin]), pixel, radius)
    distance = ndimage.distance_transform_edt(padded, sampling=pixel)
    return np.asarray(distance[margin[0] : -margin[0], margin[1] : -margin[1]] > radius)


def _filled(mask: Mask) -> Mask:
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask])


def _largest(mask: Mask) -> Mask:
    components, sizes = components_of(mask)
    return np.asarray((components == sizes.argmax()) & mask)
