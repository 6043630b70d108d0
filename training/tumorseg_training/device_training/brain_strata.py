"""Where a brain model fails: its Dice by the tumour's volume and contrast, and by institution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tumorseg_training.case import LabelledCase
from tumorseg_training.statistics import THIRDS, between, estimate

RING = (3, 8)
"""Pixels around the tumour that are passed over, and within which its surroundings lie."""


def strata(contents: Mapping[str, LabelledCase], dice: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the Dice of groups of patients.

    Args:
        contents: of the patients.
        dice: theirs.

    Returns:
        A row a group: what divides, the group, its Dice as `Estimate`.
    """
    volumes = {
        name: float(content.labelmap.sum()) * content.volumes["flair"].grid.voxel_ml
        for name, content in contents.items()
    }
    contrasts = {name: contrast(content) for name, content in contents.items()}
    found = list(dice.values())
    rows = []
    for title, values in (("tumour, ml", volumes), ("FLAIR, tumour over surroundings", contrasts)):
        of_patients = [values[name] for name in dice]
        for text, places in between(np.quantile(of_patients, THIRDS), of_patients):
            rows.append(_row(title, text, [found[place] for place in places]))
    for site in sorted({_site(name) for name in dice}):
        values_there = [dice[name] for name in dice if _site(name) == site]
        rows.append(_row("institution", site, values_there))
    return rows


def contrast(content: LabelledCase) -> float:
    """Return the mean FLAIR of the tumour over that of a ring around it on the same slices."""
    within_slices = np.zeros((3, 3, 3), np.bool_)
    within_slices[1] = ndimage.generate_binary_structure(2, 1)
    flair: NDArray[Any] = content.volumes["flair"].voxels
    tumour = content.labelmap > 0
    air = flair <= 0.1 * np.percentile(flair, 98)
    near, far = (
        ndimage.binary_dilation(tumour, within_slices, iterations=pixels) for pixels in RING
    )
    ring = far & ~near & ~air
    return float(flair[tumour].mean() / flair[ring].mean())


def _site(patient: str) -> str:
    """Return the institution's code in TCGA_<site>_<number>_<date>."""
    return patient.split("_")[1]


def _row(title: str, group: str, values: list[float]) -> dict[str, Any]:
    return {"by": title, "group": group, "dice": asdict(estimate(values))}
