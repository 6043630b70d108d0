"""A rough brain, to take the skull off with, from one sequence of a head.

Nothing here is as good as a tool for the purpose, nor needs to be: the skull is taken off in
training only, at a random depth, so that a network learns not to lean on it. Pixels are taken to
be about 1.8 mm wide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]

OUTLINE = 128
"""The stored depth of the brain's outline."""

DEPTH_STEPS = 8
"""Steps of a stored depth to a pixel."""

DEEP = 0.6
"""Of the largest distance to the head's surface: what lies deeper is brain."""

LIKE_BRAIN = (0.5, 2.0)
"""Of the deep brain's median: bone and fluid are darker, fat is brighter."""

NECK = 2
"""Pixels: bridges to scalp and eyes that are thinner than twice this are cut."""

SCALP = 4
"""Pixels of scalp and bone at the least."""


def brain_mask(head: NDArray[np.float32]) -> Mask:
    """Return where the brain of a head (slices, H, W) may be; empty where there is no head."""
    distance = np.stack([ndimage.distance_transform_edt(plane) for plane in _head(head)])
    if distance.max() <= 2 * SCALP:
        return np.zeros(head.shape, np.bool_)
    deep = distance > DEEP * distance.max()
    median = np.median(head[deep])
    smooth = ndimage.gaussian_filter(head, (0, 0.6, 0.6))
    tissue = (smooth > LIKE_BRAIN[0] * median) & (smooth < LIKE_BRAIN[1] * median)
    tissue &= distance > SCALP
    core = np.stack([ndimage.binary_erosion(plane, _disk(NECK)) for plane in tissue])
    core = _largest(core | (deep & tissue))
    planes = zip(core, distance > SCALP, strict=True)
    return np.stack([_smoothed(plane, within) for plane, within in planes])


def brain_depth(head: NDArray[np.float32], lesion: Mask) -> NDArray[np.uint8]:
    """Return each pixel's distance inside the brain's outline, (slices, H, W).

    `OUTLINE` is the outline, `DEPTH_STEPS` more is a pixel inside, less is outside; 0 and 255 stand
    for all beyond.

    Args:
        head: one sequence (slices, H, W).
        lesion: within the brain, whatever it looks like.
    """
    brain = brain_mask(head)
    brain |= np.stack([ndimage.binary_dilation(plane, _disk(1)) for plane in lesion])
    depth = np.stack([_signed_distance(plane) for plane in brain])
    return np.clip(OUTLINE + DEPTH_STEPS * depth, 0, 255).astype(np.uint8)


def _head(image: NDArray[np.float32]) -> Mask:
    """Return the head with all that it encloses."""
    smooth = ndimage.gaussian_filter(image, (0, 1, 1))
    head = smooth > 0.7 * smooth.mean()
    closed = [_closed(plane, 3) for plane in head]
    return _largest(np.stack([ndimage.binary_fill_holes(plane) for plane in closed]))


def _largest(mask: Mask) -> Mask:
    components, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return np.asarray(components == sizes.argmax())


def _smoothed(core: Mask, within: Mask) -> Mask:
    """Return the core grown back and without its notches."""
    if not core.any():
        return core
    grown = ndimage.binary_dilation(core, _disk(NECK))
    filled = ndimage.binary_fill_holes(_closed(grown, 5)) & within
    return np.asarray(ndimage.binary_opening(filled, _disk(NECK + 1)))


def _signed_distance(plane: Mask) -> NDArray[np.float64]:
    if not plane.any():
        return np.full(plane.shape, -np.inf)
    inside = ndimage.distance_transform_edt(plane)
    return np.asarray(inside - ndimage.distance_transform_edt(~plane))


def _closed(plane: Mask, radius: int) -> Mask:
    """Close gaps narrower than twice the radius; the border of the slice closes nothing."""
    padded = np.pad(plane, radius + 1)
    closed = ndimage.binary_closing(padded, _disk(radius))
    return np.asarray(closed[radius + 1 : -radius - 1, radius + 1 : -radius - 1])


def _disk(radius: int) -> Mask:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(y**2 + x**2 <= radius**2 + 0.5)
