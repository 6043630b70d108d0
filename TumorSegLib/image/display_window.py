"""The intensities between which a volume is shown, from black to white."""

from __future__ import annotations

import numpy as np

from TumorSegLib.image.modality import modality_of
from TumorSegLib.image.normalisation import strided_sample, without_fill, without_stray
from TumorSegLib.image.volume import Volume

SOFT_TISSUE = (-160.0, 240.0)
"""Hounsfield units of the window in which abdominal CT is read."""


def display_window(volume: Volume) -> tuple[float, float]:
    """Return the intensities shown black and white.

    The soft-tissue window for CT. For others, whose units are arbitrary, from air to a little above
    the brightest tissue: fat and vessels, a few per cent of the foreground, may saturate.
    """
    if modality_of(volume) == "CT":
        return SOFT_TISSUE
    sample = without_stray(without_fill(strided_sample(volume.voxels)))
    foreground = sample[sample > sample.mean()]
    low = float(np.percentile(sample, 1))
    high = float(np.percentile(foreground, 97)) if foreground.size else low
    return low, max(high, low + 1e-6 * max(abs(low), 1.0))
