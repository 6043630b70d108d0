"""How well a segmentation agrees with its reference, for one case and structure."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from numpy.typing import NDArray
from scipy import stats

from TumorSegLib.image.components import components_of
from TumorSegLib.image.grid import Vector
from TumorSegLib.image.voxel_box import bounding_box

Mask = NDArray[np.bool_]

SURFACE_TOLERANCE_MM = 2.0
"""Surfaces closer than this agree, for the surface Dice (Nikolov et al., arXiv 1809.04430)."""

DETECTED_SHARE = 0.1
"""A lesion of the reference is found when this part of its volume is marked."""


LESION_ML = (0.0, 0.5, 2.0, 10.0)
"""Volumes from which on lesions are counted by themselves; 0.5 ml is a ball of 10 mm, the least
that RECIST 1.1 measures."""


@dataclass(frozen=True)
class LesionCounts:
    """Lesions of some volume: of the reference, of these found, and found ones that are false."""

    reference: int
    found: int
    false: int


@dataclass(frozen=True)
class Agreement:
    """Figures of one structure in one case; `nan` where a figure is not defined.

    Attributes:
        dice: 1 where neither side has the structure.
        iou: intersection over union, likewise.
        sensitivity: part of the reference that was found.
        precision: part of the finding that is in the reference.
        hd95_mm: 95th percentile of the distances between the surfaces.
        surface_dice: part of both surfaces within `SURFACE_TOLERANCE_MM` of each other.
        reference_ml: volume in the reference.
        found_ml: volume that was found.
        lesions_by_volume: counted from each of `LESION_ML` up to the next.
    """

    dice: float
    iou: float
    sensitivity: float
    precision: float
    hd95_mm: float
    surface_dice: float
    reference_ml: float
    found_ml: float
    lesions_by_volume: tuple[LesionCounts, ...]

    @property
    def lesions(self) -> int:
        """Components of the reference."""
        return sum(counts.reference for counts in self.lesions_by_volume)

    @property
    def lesions_found(self) -> int:
        """Those of which at least `DETECTED_SHARE` was found."""
        return sum(counts.found for counts in self.lesions_by_volume)

    @property
    def false_lesions(self) -> int:
        """Components of the finding that meet no component of the reference."""
        return sum(counts.false for counts in self.lesions_by_volume)

    @property
    def volume_error_ml(self) -> float:
        """Found less reference."""
        return self.found_ml - self.reference_ml

    @property
    def volume_error(self) -> float:
        """Found less reference, as a part of the reference."""
        return self.volume_error_ml / self.reference_ml if self.reference_ml else math.nan


def agreement(found: Mask, reference: Mask, spacing_zyx: Vector) -> Agreement:
    """Compare two masks (z, y, x) whose voxels are `spacing_zyx` mm apart."""
    voxel_ml = math.prod(spacing_zyx) / 1000
    marked, true = int(found.sum()), int(reference.sum())
    box = _box(found | reference)
    found, reference = found[box], reference[box]
    both = int((found & reference).sum())
    either = marked + true - both
    hd95, surface = math.nan, math.nan
    if marked and true:
        hd95, surface = _surfaces(found, reference, spacing_zyx)
    elif marked or true:
        surface = 0.0
    return Agreement(
        dice=2 * both / (marked + true) if either else 1.0,
        iou=both / either if either else 1.0,
        sensitivity=both / true if true else math.nan,
        precision=both / marked if marked else math.nan,
        hd95_mm=hd95,
        surface_dice=surface,
        reference_ml=true * voxel_ml,
        found_ml=marked * voxel_ml,
        lesions_by_volume=_lesions(found, reference, voxel_ml),
    )


def roc_auc(scores: NDArray[np.floating], truth: Mask) -> float:
    """Return the area under the ROC curve; `nan` where one class is missing.

    It is Mann and Whitney's statistic as a part of the largest it can be.
    """
    positive, negative = scores[truth], scores[~truth]
    if positive.size == 0 or negative.size == 0:
        return math.nan
    higher = stats.mannwhitneyu(positive, negative, method="asymptotic").statistic
    return float(higher / (positive.size * negative.size))


def roc_curve(
    scores: NDArray[np.floating], truth: Mask
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return false alarms and hits, as parts of their classes, at every threshold from the lowest.

    Equal scores are one step. Both are empty where one class is missing.
    """
    if truth.all() or not truth.any():
        return np.empty(0), np.empty(0)
    thresholds = np.append(-np.inf, np.unique(scores))
    false, hits = (
        stats.ecdf(scores[kind]).sf.evaluate(thresholds).astype(np.float64)
        for kind in (~truth, truth)
    )
    return false, hits


def _surfaces(found: Mask, reference: Mask, spacing: Vector) -> tuple[float, float]:
    """Return the 95th percentile of surface distances in mm and the surface Dice, by MONAI."""
    one, other = (
        torch.from_numpy(np.pad(mask, 1).astype(np.float32))[None, None]
        for mask in (found, reference)
    )
    millimetres = list(spacing)
    tolerance = [SURFACE_TOLERANCE_MM]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.6 warns of its own calls
        hd95 = compute_hausdorff_distance(
            one, other, include_background=True, percentile=95, spacing=millimetres
        )
        surface = compute_surface_dice(
            one, other, tolerance, include_background=True, spacing=millimetres
        )
    return float(hd95), float(surface)


def _lesions(found: Mask, reference: Mask, voxel_ml: float) -> tuple[LesionCounts, ...]:
    """Count components of the reference, those found, and those found without one, by volume."""
    true, sizes = components_of(reference)
    hits = np.bincount(true[found], minlength=len(sizes))
    detected = hits >= DETECTED_SHARE * sizes
    marked, marked_sizes = components_of(found)
    false = np.ones(len(marked_sizes), np.bool_)
    false[marked[reference & found]] = False

    def by_volume(voxels: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        places = np.searchsorted(LESION_ML, voxels * voxel_ml, side="right") - 1
        return np.bincount(places, minlength=len(LESION_ML))

    counts = (sizes[1:], sizes[1:][detected[1:]], marked_sizes[1:][false[1:]])
    rows = np.stack([by_volume(part) for part in counts], axis=1)
    return tuple(LesionCounts(*row) for row in rows.tolist())


def _box(mask: Mask) -> tuple[slice, ...]:
    """Return the bounding box of a mask; one voxel where it is empty."""
    return bounding_box(mask) or (slice(0, 1),) * mask.ndim
