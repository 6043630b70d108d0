"""How noisy a CT is, by the histogram of local standard deviations in soft tissue.

After Christianson et al., "Automated technique to measure noise in clinical CT examinations",
AJR 205 (2015), W93: most places in soft tissue are even, so the commonest deviation is the noise's.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.body_region import some_slices

NEIGHBOURHOOD_MM = 8.0
SOFT_HU = (0.0, 150.0)
"""Local means of organs and muscle, with and without contrast."""
RANGE_HU = (-1024.0, 3071.0)
FEWEST_PLACES = 500
MOST_LEARNT_HU = 27
"""The noisiest CT of the training data; the median one has 17."""
TOO_MUCH_HU = 40
"""From here on the models lose: at 45 HU fat agrees with itself by a Dice of 0.88."""


def noise_hu(volume: Volume) -> float | None:
    """Return the standard deviation of the noise in HU, None where there is little soft tissue.

    Args:
        volume: a CT in Hounsfield units.
    """
    slices, spacing = some_slices(volume, slice(None))
    slices = np.clip(slices, *RANGE_HU)
    size = (1, *(max(3, round(NEIGHBOURHOOD_MM / mm)) for mm in spacing))
    mean = ndimage.uniform_filter(slices, size)
    variance = ndimage.uniform_filter(slices**2, size) - mean**2
    soft = variance[(mean > SOFT_HU[0]) & (mean < SOFT_HU[1])]
    if soft.size < FEWEST_PLACES:
        return None
    return float(np.bincount(np.sqrt(np.clip(soft, 0, None)).astype(np.intp)).argmax()) + 0.5


def noise_warning(volume: Volume) -> str | None:
    """Return a line where a CT is noisier than what models learnt from by far, else None."""
    noise = noise_hu(volume)
    if noise is None or noise < TOO_MUCH_HU:
        return None
    return (
        f"{volume.name}: its noise, about {noise:.0f} HU, is more than in the CTs that models"
        f" learnt from (up to {MOST_LEARNT_HU} HU); fat and small tumours suffer first, check the"
        " result"
    )
