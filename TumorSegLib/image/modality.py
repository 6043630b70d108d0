"""Is this CT or MRI, or no image at all?"""

from __future__ import annotations

from typing import Literal

import numpy as np

from TumorSegLib.image.normalisation import strided_sample, without_fill
from TumorSegLib.image.sequence_names import sequence_of
from TumorSegLib.image.volume import Volume

ModalitySource = Literal["stated", "values", "name", "guess"]

LABELMAP_VALUES = 12
"""Even an 8-bit image of a phantom has more different values than this."""

AIR_HU = -500
"""In Hounsfield units air lies near -1000 and no tissue but lung below this."""

LOWEST_AIR_HU = -1150
"""Noise hardly brings air below this; what lies there fills what was not imaged."""


def modality_of(volume: Volume) -> str:
    """Return "CT" or "MR": what the volume says of itself, else what its intensities suggest.

    A CT has air, far below 0; MRI magnitudes have no negative values to speak of. Any other
    modality that the volume states is returned as it is.
    """
    if volume.modality is not None:
        return volume.modality
    return "CT" if looks_like_ct(volume) else "MR"


def modality_known_by(volume: Volume) -> ModalitySource:
    """Return how the answer of `modality_of` is known.

    Returns:
        "stated": by the volume's header, or by whoever handed it in; "values": air in Hounsfield
        units; "name": the name or header tells an MRI sequence; "guess": by none of these. CT whose
        values are no Hounsfield units has no air below `AIR_HU` either.
    """
    if volume.modality is not None:
        return "stated"
    if looks_like_ct(volume):
        return "values"
    return "guess" if _sequence(volume) is None else "name"


def taken_for(volume: Volume) -> str:
    """Return in words what a volume was taken for, and on which evidence."""
    evidence = {
        "stated": "as its header, or who loaded it, says",
        "values": "by its values, which have air as in Hounsfield units",
        "name": f"by the sequence that its name or header tells: {_sequence(volume)}",
        "guess": "a guess: neither header, nor name, nor values tell",
    }
    return f"{modality_of(volume)}, {evidence[modality_known_by(volume)]}"


def _sequence(volume: Volume) -> str | None:
    return volume.sequence or sequence_of(volume.name)


def looks_like_labelmap(volume: Volume) -> bool:
    """Tell whether there are only a few different values, as in a segmentation."""
    sample = strided_sample(volume.voxels)
    few = np.unique(sample[::64]).size <= LABELMAP_VALUES  # sorting all takes long
    return few and np.unique(sample).size <= LABELMAP_VALUES


def looks_like_ct(volume: Volume) -> bool:
    """Tell whether intensities are plausible Hounsfield units of a body in air.

    A fill value far below air is not looked at: it may lie around an MRI.
    """
    sample = strided_sample(volume.voxels)
    if sample.min() < LOWEST_AIR_HU:
        sample = without_fill(sample)
    return bool(np.percentile(sample, 2) < AIR_HU and sample.max() > 0)
