"""Other images of the same head: its skull taken off, another scanner's contrast, a made-up T2.

Slices are float32 (z, y, x) of pixels of about 2 mm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.inference.image_features import depth_in

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


def head_of(slices: Image) -> Mask:
    """Return what stands out of the air, without holes."""
    above = slices - np.percentile(slices, 5)
    planes = above > 0.5 * above.mean()
    return np.stack([ndimage.binary_fill_holes(ndimage.binary_opening(plane)) for plane in planes])


def without_skull(slices: Image, mm: float, rng: Generator) -> Image:
    """Take off what is less than 9 to 14 mm, more or less evenly, below the surface."""
    head = head_of(slices)
    bumps = ndimage.gaussian_filter(rng.normal(0, 1, slices.shape), (1, 8, 8))
    least = rng.uniform(9, 14) + bumps * rng.uniform(0, 30)
    brain = np.stack([ndimage.binary_opening(plane) for plane in _depth(head, mm) > least])
    if not brain.any():
        return slices
    air = 0.0 if rng.random() < 0.5 else _air(slices, head)
    return np.where(brain, slices, air).astype(np.float32)


def made_up_t2(t1: Image, flair: Image, mm: float, rng: Generator) -> Image:
    """Make up a T2 from T1 and FLAIR of the same slices: fluid, dark in both, is the brightest.

    Tissue is a mixture of FLAIR and of T1 turned over; bone stays dark.
    """
    head = head_of(flair)
    t1, flair = _relative(t1, head), _relative(flair, head)
    brain = _depth(head, mm) > 8
    fluid = brain * _below(np.minimum(t1, 1.5), rng) * _below(flair, rng)
    share = rng.uniform(0.2, 1.0)
    turned = np.clip(1.9 - t1, 0, 2) * (head & (flair > 0.25))
    tissue = share * flair + (1 - share) * turned
    if rng.random() < 0.5:
        tissue = np.where(brain, tissue, tissue * rng.uniform(0.3, 1.0))
    mixed: Image = (tissue * (1 - fluid) + fluid * rng.uniform(1.5, 3.2)).astype(np.float32)
    return mixed


def changed(slices: Image, mm: float, rng: Generator, *, skull: bool = True) -> tuple[Image, float]:
    """Return slices as another scanner or program might give them, and mm a pixel.

    Args:
        slices: of a head.
        mm: a pixel.
        rng: draws what is changed.
        skull: False takes the skull off, True does so now and then.
    """
    if not skull or rng.random() < 0.3:
        slices = without_skull(slices, mm, rng)
    head = head_of(slices)
    if not head.any():
        return slices, mm
    if rng.random() < 0.5:
        relative, power = _relative(slices, head), rng.uniform(0.75, 1.35)
        slices = (np.sign(relative) * np.abs(relative) ** power).astype(np.float32)
    if rng.random() < 0.5:
        air = _air(slices, head)
        slices = (slices - air) * _bias_field(slices.shape, rng) + air
    if rng.random() < 0.4:
        grain = rng.uniform(0, 0.7)
        noise = ndimage.gaussian_filter(rng.normal(0, 1, slices.shape), (0, grain, grain))
        slices = slices + noise * slices[head].std() * rng.uniform(0, 0.25)
    if rng.random() < 0.3:
        blur = rng.uniform(0.3, 1.0)
        slices = ndimage.gaussian_filter(slices, (0, blur, blur))
    if rng.random() < 0.4:
        slices = np.minimum(slices, np.percentile(slices[head], rng.uniform(95, 99.9)))
    if rng.random() < 0.4:
        slices = _cropped(slices, head, rng)
    if rng.random() < 0.3:
        angle = rng.uniform(-12, 12)
        slices = ndimage.rotate(slices, angle, (1, 2), reshape=False, order=1, mode="nearest")
    return slices.astype(np.float32), mm * rng.uniform(0.75, 1.25)


def _cropped(slices: Image, head: Mask, rng: Generator) -> Image:
    rows, columns = (np.flatnonzero(head.any((0, axis))) for axis in (2, 1))
    margins = rng.integers(0, 6, 4)
    return slices[
        :,
        max(0, rows[0] - margins[0]) : rows[-1] + 1 + margins[1],
        max(0, columns[0] - margins[2]) : columns[-1] + 1 + margins[3],
    ]


def _bias_field(shape: tuple[int, ...], rng: Generator) -> Image:
    knots = rng.normal(0, rng.uniform(0.05, 0.2), (2, 3, 3))
    places = np.meshgrid(
        *(np.linspace(0, n - 1, count) for n, count in zip(knots.shape, shape, strict=True)),
        indexing="ij",
    )
    field: Image = np.exp(ndimage.map_coordinates(knots, places, order=1))
    return field


def _depth(head: Mask, mm: float) -> NDArray[Any]:
    return depth_in(head, (1.0, 1.0)) * mm


def _air(slices: Image, head: Mask) -> float:
    return float(np.median(slices[~head]) if not head.all() else slices.min())


def _relative(slices: Image, head: Mask) -> Image:
    air = _air(slices, head)
    return (slices - air) / max(float(np.median(slices[head])) - air, 1e-3)


def _below(relative: Image, rng: Generator) -> Image:
    """Return 1 for what is far below a drawn level, 0 far above."""
    faded: Image = 1 / (1 + np.exp(np.minimum((relative - rng.uniform(0.5, 0.7)) / 0.06, 80)))
    return faded
