"""What a DICOM Segmentation and its report are made of: segments, and who drew them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.volume import Volume
from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.slicer_io.terminology import Terminology

LONGEST_NAME = 64
"""Characters of a segment's label and of a series' description (value representation LO)."""
NO_TEXT = re.compile(r"[\x00-\x1f\x7f\\]+")
"""What a value of LO cannot hold; a backslash would end it and begin another one."""


@dataclass(frozen=True)
class Algorithm:
    """The model that drew a segment.

    Attributes:
        id: its name.
        version: "" where another DICOM Segmentation named it, as programs drop the version.
    """

    id: str
    version: str


@dataclass(frozen=True, eq=False)
class DicomSegment:
    """A segment as DICOM describes it.

    Attributes:
        name: for people; any text.
        codes: what it is.
        colour: red, green, blue, 0 to 255.
        box: slices along (z, y, x) of the volume's array that hold the segment.
        mask: bool, the voxels within `box`.
        algorithm: that drew it; None: it was drawn by hand.
        corrected: what the algorithm drew was changed by hand.
    """

    name: str
    codes: Terminology
    colour: tuple[int, int, int]
    box: tuple[slice, slice, slice]
    mask: NDArray[np.bool_]
    algorithm: Algorithm | None
    corrected: bool = False

    def whole(self, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
        """Return the mask on a whole array (z, y, x), a copy only where it must be."""
        if self.mask.shape == shape:
            return self.mask
        whole = np.zeros(shape, bool)
        whole[self.box] = self.mask
        return whole


@dataclass(frozen=True, eq=False)
class DicomContent:
    """Segments on the grid of a volume.

    Attributes:
        volume: that was segmented.
        segments: in their order; they may overlap.
        description: of the series that holds them.
        algorithm: that the objects name as the device that made them.
    """

    volume: Volume
    segments: tuple[DicomSegment, ...]
    description: str
    algorithm: Algorithm

    def series_description(self, suffix: str = "") -> str:
        """Return the description, cut so that it fits with `suffix`."""
        return lo_text(self.description, LONGEST_NAME - len(suffix)) + suffix

    def texts(self) -> Iterator[str]:
        """Yield all texts that somebody gave to something."""
        yield self.description
        for segment in self.segments:
            yield segment.name
            yield from (code.meaning for code in segment.codes.given)


def content_of(labelled: LabelledVolume) -> DicomContent:
    """Return a model's labels as they stand; a liver is what bears its label, without tumours."""
    specification = labelled.specification
    algorithm = Algorithm(specification.id, specification.version)
    everywhere = (slice(None), slice(None), slice(None))
    segments = tuple(
        DicomSegment(
            label.name,
            Terminology(label.category, label.type, region=label.region),
            label.colour,
            everywhere,
            labelled.labelmap == label.value,
            algorithm,
        )
        for label in specification.labels
    )
    return DicomContent(labelled.volume, segments, f"TumorSeg {specification.title}", algorithm)


def content_of_one_voxel(volume: Volume) -> DicomContent:
    """Return a segment that is the first voxel, to try whether images can be referred to."""
    tissue = CodedConcept("SCT", "85756007", "Tissue")
    first = (slice(0, 1), slice(0, 1), slice(0, 1))
    mask = np.ones((1, 1, 1), bool)
    segment = DicomSegment("Trial", Terminology(tissue, tissue), (0, 0, 0), first, mask, None)
    return DicomContent(volume, (segment,), "Trial", Algorithm("Trial", "0"))


def lo_text(text: str, longest: int = LONGEST_NAME, *, empty: str = "") -> str:
    """Return `text` as one value of LO: no backslash or control character, and short enough.

    Args:
        text: of any kind.
        longest: characters.
        empty: returned where nothing remains.
    """
    return NO_TEXT.sub(" ", text).strip()[:longest].strip() or empty


def label_map_of(content: DicomContent) -> NDArray[Any] | None:
    """Return the segments as numbers from 1 on in one array (z, y, x); None: they overlap."""
    shape = content.volume.grid.shape
    numbers = np.zeros(shape, np.uint8 if len(content.segments) < 256 else np.uint16)
    for number, segment in enumerate(content.segments, start=1):
        part = numbers[segment.box]
        if part[segment.mask].any():
            return None
        part[segment.mask] = number
    return numbers
