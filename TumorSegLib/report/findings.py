"""What a report shows of one structure: its figures, its colour and where it lies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView, Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.measurement.lesions import is_lesion
from TumorSegLib.measurement.segment import Measurement, measure_segment
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.model.specification import Label, ModelSpecification
from TumorSegLib.report.slice_picture import Colour, outlines
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import segment_id

Box = tuple[slice, slice, slice]

FURTHER_COLOURS: tuple[Colour, ...] = (
    (64, 200, 255),
    (255, 110, 110),
    (120, 235, 120),
    (255, 140, 255),
)
APART = 110.0
"""Distance in RGB below which thin lines on grey are hard to tell from each other."""


@dataclass(frozen=True, eq=False)
class Finding:
    """One structure, found or not.

    Attributes:
        measurement: its figures.
        colour: of its contour.
        is_lesion: whether each of its components is a lesion.
        box: where `mask` lies in the axial view (z, y, x) of the volume.
        mask: of the structure with its parts, cropped to what is there.
    """

    measurement: Measurement
    colour: Colour
    is_lesion: bool
    box: Box
    mask: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """Of the structure."""
        return self.measurement.name

    def plane(self, axis: int, index: int, shape: Sequence[int]) -> NDArray[np.bool_]:
        """Return the mask on a plane across `axis` of the axial view, whose shape is given."""
        others = [other for other in range(3) if other != axis]
        plane = np.zeros([shape[other] for other in others], np.bool_)
        if self.box[axis].start <= index < self.box[axis].stop:
            inside = self.mask.take(index - self.box[axis].start, axis)
            plane[self.box[others[0]], self.box[others[1]]] = inside
        return plane


def findings_of(
    labelled: LabelledVolume, measurements: Iterable[Measurement]
) -> tuple[Finding, ...]:
    """Return a finding for every label of a model.

    Args:
        labelled: volume and label map.
        measurements: of every label, in the labels' order.
    """
    labels = labelled.specification.labels
    labelmap = AxialView.of(labelled.volume.grid).apply(labelled.labelmap)
    whole = bounding_box(labelmap) or (slice(0, 0),) * 3
    cropped = np.ascontiguousarray(labelmap[whole])
    found: list[Finding] = []
    for label, outline, measurement in zip(labels, outlines(labels), measurements, strict=True):
        mask = reduce(np.logical_or, (cropped == value for value in outline.values))
        start = [part.start for part in whole]
        colour = distinct(outline.colour, [finding.colour for finding in found])
        found.append(_cropped(measurement, colour, is_lesion(label), mask, start))
    return tuple(found)


def distinct(colour: Colour, others: Collection[Colour]) -> Colour:
    """Return a colour, or another one where it is hard to tell from one of `others`."""
    for candidate in (colour, *FURTHER_COLOURS):
        if all(np.linalg.norm(np.subtract(candidate, other)) >= APART for other in others):
            return candidate
    return colour


def findings_of_segments(
    volume: Volume,
    segments: Sequence[NamedMask],
    specification: ModelSpecification | None,
    *,
    colours: Mapping[str, Colour],
    lesions: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Return a finding for every segment of a scene, as a person has left it.

    A segment that is one of the model's labels is shown with the parts that its label includes.

    Args:
        volume: that was segmented.
        segments: on its grid.
        specification: of the model that drew some of them, None if none did.
        colours: by the segment's id.
        lesions: ids of segments whose components are lesions, whatever they are called.

    Raises:
        InputError: a segment lies on another grid.
    """
    labels = {} if specification is None else _labels_of(segments, specification)
    by_value = {label.value: segment for segment in segments if (label := labels.get(segment.id))}
    view, found = AxialView.of(volume.grid), []
    for segment in segments:
        label = labels.get(segment.id)
        parts = [
            by_value[value] for value in (label.includes if label else ()) if value in by_value
        ]
        mask = _placed([segment, *parts], volume.grid)
        measurement = measure_segment(
            mask,
            volume.grid,
            name=segment.name,
            label=label.value if label else 0,
            voxels=volume.voxels,
        )
        lesion = segment.id in lesions or (label is not None and is_lesion(label))
        colour = colours.get(segment.id, (255, 230, 0))
        found.append(_cropped(measurement, colour, lesion, view.apply(mask), (0, 0, 0)))
    return tuple(found)


def _labels_of(
    segments: Sequence[NamedMask], specification: ModelSpecification
) -> dict[str, Label]:
    """Return the model's labels by the id of the segment that is one, each for one segment."""
    found: dict[str, Label] = {}
    for label in specification.labels:
        own = segment_id(specification, label)
        for segment in segments:
            name = " ".join(segment.name.split()).casefold()
            if segment.id not in found and (
                name == label.name.casefold() or (not name and segment.id == own)
            ):
                found[segment.id] = label
                break
    return found


def _placed(segments: Sequence[NamedMask], grid: Grid) -> NDArray[np.bool_]:
    mask = np.zeros(grid.shape, np.bool_)
    for segment in segments:
        box, inside = segment.placed(grid)
        mask[box] |= inside
    return mask


def _cropped(
    measurement: Measurement,
    colour: Colour,
    lesion: bool,
    mask: NDArray[np.bool_],
    start: Sequence[int],
) -> Finding:
    """Return a finding whose mask begins at `start` of the axial view."""
    z, y, x = bounding_box(mask) or (slice(0, 0),) * 3
    kept = np.ascontiguousarray(mask[z, y, x])
    moved = [
        slice(part.start + first, part.stop + first)
        for part, first in zip((z, y, x), start, strict=True)
    ]
    return Finding(measurement, colour, lesion, (moved[0], moved[1], moved[2]), kept)
