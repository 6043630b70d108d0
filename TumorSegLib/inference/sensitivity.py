"""Label maps from kept probabilities, with more or less sensitivity, without the network."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView, Grid
from TumorSegLib.inference.labelmap import labelmap_from_probabilities
from TumorSegLib.inference.postprocessing import postprocess
from TumorSegLib.model.specification import ModelSpecification

STEEPNESS = 4.0
"""Change of a threshold's log-odds over the whole range of the sensitivity, to either side."""


def shifted_threshold(threshold: float, sensitivity: float) -> float:
    """Return the threshold for a sensitivity of -1 (least) to 1 (most); 0 leaves it.

    The shift is in log-odds, so that thresholds stay between 0 and 1 and labels with unlike
    thresholds move alike.
    """
    odds = math.log(threshold / (1 - threshold)) - STEEPNESS * sensitivity
    return 1 / (1 + math.exp(-odds))


def clear_below(specification: ModelSpecification) -> float:
    """Return the probability up to which the highest sensitivity shows nothing of any label.

    A detector has none: its probabilities are what is asked for.
    """
    if specification.task == "detection":
        return 0.0
    return min(shifted_threshold(label.threshold, 1) for label in specification.labels)


def apply_sensitivity(
    probabilities: NDArray[np.uint8],
    labelmap: NDArray[np.uint8],
    specification: ModelSpecification,
    grid: Grid,
    *,
    sensitivity: float,
    axial_slices: range | None = None,
) -> None:
    """Write `labelmap` (z, y, x) anew from `probabilities` (label, z, y, x), slice by slice.

    Post-processing follows, except after runs on some axial slices only, as in
    `TumorSegLib.inference.segmenter`.
    """
    view = AxialView.of(grid)
    target = view.apply(labelmap)
    parts = [view.apply(part) for part in probabilities]
    labels = specification.labels
    thresholds = [shifted_threshold(label.threshold, sensitivity) for label in labels]
    for index in axial_slices if axial_slices is not None else range(len(target)):
        target[index] = labelmap_from_probabilities(
            [part[index] for part in parts], labels, thresholds
        )
    if axial_slices is None:
        postprocess(
            target,
            specification.postprocessing,
            voxel_ml=grid.voxel_ml,
            labels=specification.labels,
        )
