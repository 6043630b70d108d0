"""Whether the liver that was found is as bright as those that models learnt from.

Tumours are told from the liver by what each takes up of a contrast medium; without one, or in an
early phase, both look alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import ModelSpecification

LIVER = "10200004"
"""SNOMED CT code."""
UNUSUAL_HU = 70.0
"""Of the 29 livers of LiTS that models learnt from, two have a lower median (27 and 64), of 85
further ones four (49, 64, 64, 68). Two CTs without contrast medium have 45 and 46."""
FEWEST_VOXELS = 500
STEP = 2
"""Voxels along each axis, of which one is looked at."""


def dark_liver(
    volume: Volume, labelmap: NDArray[np.uint8], specification: ModelSpecification
) -> str | None:
    """Return a line where a liver on CT is darker than those that the model learnt from, else None.

    Of models that were retrained, nobody knows on what.

    Args:
        volume: that was segmented.
        labelmap: label values in the shape of the volume.
        specification: of the model.
    """
    if specification.modality != "CT" or specification.provenance.base is not None:
        return None
    for label in specification.labels:
        if label.type.value != LIVER or not label.includes:
            continue
        every = (slice(None, None, STEP),) * 3
        found = volume.voxels[every][labelmap[every] == label.value]
        if found.size < FEWEST_VOXELS or (median := np.median(found)) >= UNUSUAL_HU:
            continue
        return (
            f"{label.name}: its median is {median:.0f} HU, as without contrast medium; the model"
            f" learnt from livers of {UNUSUAL_HU:.0f} HU and more, with few exceptions: check the"
            " tumours"
        )
    return None
