"""What enhanced (multi-frame) DICOM objects say of each frame: their functional groups.

PS3.3 C.7.6.16: a group stands with the frame, or once for all frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom

from TumorSegLib.reading.dicom_geometry import slice_geometry
from TumorSegLib.reading.slice_stack import SliceGeometry


@dataclass(frozen=True)
class FunctionalGroups:
    """Those of one frame.

    Attributes:
        frame: its own.
        shared: those of all frames.
    """

    frame: pydicom.Dataset
    shared: pydicom.Dataset

    def attribute(self, group: str, keyword: str) -> Any:
        """Return a number, or a list of them: the frame's own, else that of all frames.

        `None` if neither says it.
        """
        for groups in (self.frame, self.shared):
            for item in groups.get(group) or ():
                value = item.get(keyword)
                if value not in (None, ""):
                    several = hasattr(value, "__len__")
                    return [float(part) for part in value] if several else float(value)
        return None

    def geometry(self, path: Path, shape: tuple[int, int]) -> SliceGeometry:
        """Return where the frame lies.

        Args:
            path: of the file, for messages.
            shape: rows and columns.

        Raises:
            InputError: an attribute is missing or impossible.
        """
        thickness = self.attribute("PixelMeasuresSequence", "SliceThickness")
        return slice_geometry(
            path,
            shape,
            self.attribute("PlanePositionSequence", "ImagePositionPatient"),
            self.attribute("PlaneOrientationSequence", "ImageOrientationPatient"),
            self.attribute("PixelMeasuresSequence", "PixelSpacing"),
            thickness if isinstance(thickness, float) else None,
        )


def functional_groups(dataset: pydicom.Dataset) -> list[FunctionalGroups]:
    """Return the functional groups of a data set's frames, in their order; none without frames."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    return [
        FunctionalGroups(frame, shared)
        for frame in dataset.get("PerFrameFunctionalGroupsSequence") or []
    ]
