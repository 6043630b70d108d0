"""What frames of an enhanced DICOM image say alike, said once for all of them.

PS3.3 C.7.6.16 leaves it to whoever writes an image whether a functional group stands with every
frame or among those that all share; highdicom looks for some of them in the second place alone.
"""

from __future__ import annotations

import numpy as np
import pydicom

from TumorSegLib.errors import OutputError
from TumorSegLib.reading.dicom_geometry import SAME_DIRECTION
from TumorSegLib.reading.functional_groups import functional_groups

GROUPS = {
    "PixelMeasuresSequence": "PixelSpacing",
    "PlaneOrientationSequence": "ImageOrientationPatient",
}
"""Groups that a segmentation repeats for all frames, and what must be alike in them."""


def share_groups(dataset: pydicom.Dataset, name: str) -> None:
    """Move `GROUPS` from the frames of an image to those that all share, in place.

    Args:
        dataset: an image with frames.
        name: of the volume, for errors.

    Raises:
        OutputError: frames differ in one, or lack it.
    """
    frames = functional_groups(dataset)
    if not dataset.get("SharedFunctionalGroupsSequence"):
        dataset.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for group, keyword in GROUPS.items():
        values = [frame.attribute(group, keyword) for frame in frames]
        first = values[0]
        if any(value is None for value in values) or not all(
            np.allclose(value, first, rtol=0, atol=SAME_DIRECTION) for value in values
        ):
            raise OutputError(
                f"{name}: its frames differ in {keyword} or lack it, which a DICOM segmentation"
                " says once for all; write another format, such as .seg.nrrd"
            )
        own = frames[0].frame.get(group)
        if own:
            setattr(shared, group, own)
        for frame in frames:
            if group in frame.frame:
                delattr(frame.frame, group)
