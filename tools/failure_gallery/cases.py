"""Phantoms as they are, and altered in the ways in which images go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.volume import Volume
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

Voxels = NDArray[np.float32]
Mask = NDArray[np.bool_]

HEAD: Any = {"shape": (14, 256, 256), "spacing": (0.9, 0.9, 8.0)}
BODY: Any = {"shape": (20, 256, 256), "spacing": (1.5, 1.5, 10.0)}
"""Of the phantoms: thick slices, as many clinical ones are."""

RIM_MM = 4.0
"""Around a lesion, what its blur has changed."""

REACH_MM = 12.0
"""From how far around tissue is taken that replaces a lesion."""


@dataclass(frozen=True)
class Case:
    """An image to segment, and what is known to be in it.

    Attributes:
        title: what is wrong with it, for people.
        volumes: by channel name, the first channel's first.
        truth: labels (z, y, x) on the first volume's grid; zeros where there is nothing to find.
    """

    title: str
    volumes: dict[str, Volume]
    truth: NDArray[np.uint8]


def brain_cases() -> list[Case]:
    """Return a head with a tumour of FLAIR, T1 and T1 after contrast, and what may go wrong."""
    volumes, truth = brain_phantom(**HEAD)
    lesion = truth > 0
    small = _ball(lesion, volumes["flair"], 6.0)
    body, _ = abdomen_phantom(**BODY)
    return [
        Case("As it is", volumes, truth),
        Case("A fifth of the contrast", _each(volumes, lambda v: faded(v, lesion, 0.2)), truth),
        Case(
            "A lesion of 12 mm",
            _each(volumes, lambda v: faded(v, lesion & ~small, 0.0)),
            small.astype(np.uint8),
        ),
        Case("T1 in place of FLAIR", {"flair": volumes["t1"]}, truth),
        Case("Much noise", _each(volumes, lambda v: noisy(v, 60.0)), truth),
        Case("A CT of the abdomen", {"flair": body}, np.zeros(body.grid.shape, np.uint8)),
    ]


def liver_cases() -> list[Case]:
    """Return an abdomen with two liver tumours, and what may go wrong."""
    ct, truth = abdomen_phantom(**BODY)
    tumours = truth == 2
    small = _ball(tumours, ct, 5.0)
    left = np.where(tumours & ~small, 1, truth).astype(np.uint8)
    head = brain_phantom(**HEAD)[0]["flair"]
    return [
        Case("As it is", {"ct": ct}, truth),
        Case("A fifth of the contrast", {"ct": faded(ct, tumours, 0.2)}, truth),
        Case("A lesion of 10 mm", {"ct": faded(ct, tumours & ~small, 0.0)}, left),
        Case("Low dose: noise of 60 HU", {"ct": noisy(ct, 60.0)}, truth),
        Case("A picture in a window, not HU", {"ct": _windowed(ct)}, truth),
        Case("An MRI of a head", {"ct": head}, np.zeros(head.grid.shape, np.uint8)),
    ]


def fat_cases() -> list[Case]:
    """Return an abdomen whose fat is what has its Hounsfield units, and what may go wrong."""
    ct, _ = abdomen_phantom(**BODY)
    smooth = ndimage.gaussian_filter(ct.voxels.astype(np.float32), (0, 1, 1))
    truth = ((smooth > -150) & (smooth < -50)).astype(np.uint8)
    head = brain_phantom(**HEAD)[0]["flair"]
    return [
        Case("As it is", {"ct": ct}, truth),
        Case("Low dose: noise of 60 HU", {"ct": noisy(ct, 60.0)}, truth),
        Case("A picture in a window, not HU", {"ct": _windowed(ct)}, truth),
        Case("An MRI of a head", {"ct": head}, np.zeros(head.grid.shape, np.uint8)),
    ]


def faded(volume: Volume, mask: Mask, share: float) -> Volume:
    """Return a volume in whose mask only a share of the contrast to the tissue around is left."""
    voxels = volume.voxels.astype(np.float32)
    pixels = REACH_MM / volume.grid.spacing[0]
    rim = ndimage.gaussian_filter(
        mask.astype(np.float32), (0, *[RIM_MM / volume.grid.spacing[0]] * 2)
    )
    around = (rim < 0.05).astype(np.float32)
    weight = ndimage.gaussian_filter(around, (0.5, pixels, pixels))
    tissue = ndimage.gaussian_filter(voxels * around, (0.5, pixels, pixels)) / np.maximum(
        weight, 1e-3
    )
    ring = (rim > 0.01) & (rim < 0.05)
    residue = np.abs(voxels - ndimage.gaussian_filter(voxels, (0, 2, 2)))[ring]
    grain = _grain(voxels.shape, 1.48 * float(np.median(residue)))  # whatever edges are in it
    replaced = tissue + grain
    gone = np.clip(2 * rim, 0, 1) * (1 - share)
    return _with(volume, voxels + gone * (replaced - voxels))


def noisy(volume: Volume, sigma: float) -> Volume:
    """Return a volume with noise of this standard deviation, blurred as a scanner's."""
    voxels = volume.voxels + _grain(volume.voxels.shape, sigma)
    return _with(volume, np.abs(voxels) if volume.modality == "MR" else voxels)


def _grain(shape: tuple[int, ...], sigma: float) -> Voxels:
    """Return noise of this standard deviation, blurred in plane as a scanner's."""
    white = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    grain: Voxels = ndimage.gaussian_filter(white, (0, 0.7, 0.7))
    return grain * np.float32(sigma / grain.std())


def _windowed(ct: Volume) -> Volume:
    """Return what is left of a CT that went through a picture of its soft-tissue window."""
    return _with(ct, (np.clip(ct.voxels, -160, 240) + 160) * (255 / 400))


def _ball(mask: Mask, volume: Volume, radius_mm: float) -> Mask:
    """Return a ball in the largest part of a mask, at its centre."""
    parts, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, parts, range(1, count + 1))
    centre = ndimage.center_of_mass(parts == 1 + int(np.argmax(sizes)))
    spacing = volume.grid.spacing[::-1]
    offsets = np.indices(mask.shape) - np.reshape(np.round(centre), (3, 1, 1, 1))
    distance = np.sqrt(((offsets * np.reshape(spacing, (3, 1, 1, 1))) ** 2).sum(axis=0))
    ball: Mask = (distance <= radius_mm) & mask
    return ball


def _each(volumes: dict[str, Volume], change: Callable[[Volume], Volume]) -> dict[str, Volume]:
    return {name: change(volume) for name, volume in volumes.items()}


def _with(volume: Volume, voxels: NDArray[np.floating]) -> Volume:
    return replace(volume, voxels=np.rint(voxels).astype(np.int16))
