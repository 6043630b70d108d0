"""A model's labels as segments: stable ids, names, colours, terminology, and whether edited.

All labels of a model lie in one shared label map, cropped to what it holds, which is handed to
MRML as it is: no import filter runs, so a result enters the scene in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.fingerprint import VOXELS_TAG, voxels_fingerprint
from TumorSegLib.slicer_io.images import (
    Box,
    Matrix4,
    image_array,
    inside,
    intersection,
    new_image,
    union,
)
from TumorSegLib.slicer_io.masks import Mask, mask_of
from TumorSegLib.slicer_io.segments import (
    MODEL_TAG,
    SOURCE,
    algorithm_tags,
    is_begun,
    new_segment,
    segment_id,
    tag_of,
)
from TumorSegModule.logic.observers import noting

REPLACE, ADD, NEW = "replace", "add", "new segmentation"
"""What to do with segments that have been edited by hand when the model runs again."""

Stamp = tuple[int, int]
"""What differs as soon as anybody writes to a segment's label map in this session."""

Stamps = dict[str, Stamp | None]
"""By segment id."""

NOTHING: Box = (0, 1, 0, 1, 0, 1)
"""A box for label maps in which nothing was found."""


def is_usable_target(segmentation_node: slicer.vtkMRMLSegmentationNode) -> bool:
    """Tell whether voxels can be written to a segmentation: it is empty or made of label maps."""
    segmentation = segmentation_node.GetSegmentation()
    return (
        segmentation.GetNumberOfSegments() == 0
        or segmentation.GetSourceRepresentationName() == SOURCE
    )


def edited_segments(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    specification: ModelSpecification,
    *,
    since: Stamps | None = None,
) -> list[str]:
    """Return the names of the model's segments whose voxels are not as a model left them.

    Args:
        segmentation_node: that may hold such segments.
        specification: of the model.
        since: earlier `voxels_stamps`; segments that nobody wrote to since then do not count.
    """
    segmentation = segmentation_node.GetSegmentation()
    return [
        segmentation.GetSegment(name).GetName()
        for name, stamp in voxels_stamps(segmentation_node, specification).items()
        if (since is None or stamp != since.get(name))
        and tag_of(segmentation.GetSegment(name), VOXELS_TAG)
        != fingerprint(segmentation.GetSegment(name))
    ]


def voxels_stamps(
    segmentation_node: slicer.vtkMRMLSegmentationNode, specification: ModelSpecification
) -> Stamps:
    """Return `voxels_stamp` of each of the model's segments that are there, by segment id."""
    segmentation = segmentation_node.GetSegmentation()
    names = [segment_id(specification, label) for label in specification.labels]
    segments = {name: segmentation.GetSegment(name) for name in names}
    return {name: voxels_stamp(segment) for name, segment in segments.items() if segment}


def write_segments(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    specification: ModelSpecification,
    labels: NDArray[np.uint8],
    box: Box,
    ijk_to_ras: Matrix4,
    *,
    within: Box | None = None,
    mode: str,
    fingerprints: Sequence[str] = (),
) -> None:
    """Write a label map to a segmentation's segments.

    Args:
        segmentation_node: usable target.
        specification: of the model.
        labels: uint8 (z, y, x) of the whole volume.
        box: start and stop along (z, y, x) that hold all of `labels`, () if there are none.
        ijk_to_ras: from indices of `labels` to the coordinates that the segmentation stores.
        within: box to which the run was limited; the segments' other voxels stay. The whole
            volume if not given.
        mode: REPLACE the segments' voxels, or ADD to them.
        fingerprints: of the labels' voxels, if they are known.

    Raises:
        InputError: the segmentation holds surfaces instead of label maps.
    """
    if not is_usable_target(segmentation_node):
        raise InputError(
            _(
                "{name}: its segments are surfaces, not label maps; choose another segmentation or"
                " a new one"
            ).format(name=segmentation_node.GetName())
        )
    segmentation = segmentation_node.GetSegmentation()
    names = [segment_id(specification, label) for label in specification.labels]
    keeps_others = within is not None or mode == ADD
    corrected = {name for name in names if keeps_others and _is_corrected(segmentation, name)}
    write_labelmap(segmentation, specification, labels, box, ijk_to_ras, within=within, mode=mode)
    known = {} if keeps_others else dict(zip(names, fingerprints, strict=False))
    for name in names:
        say_who_drew(segmentation, name, corrected=name in corrected)
        if name not in corrected:  # what was drawn by hand stays so, for the next run
            segment = segmentation.GetSegment(name)
            segment.SetTag(VOXELS_TAG, known.get(name) or fingerprint(segment))


def say_who_drew(segmentation: slicer.vtkSegmentation, name: str, *, corrected: bool) -> None:
    """Have 3D Slicer's own export to DICOM say who drew a model's segment.

    Args:
        segmentation: that holds it.
        name: id of the segment; nothing happens if it is not there, or no model drew it.
        corrected: whether a person changed what the model drew.
    """
    segment = segmentation.GetSegment(name)
    model = tag_of(segment, MODEL_TAG).rpartition(" ")[0] if segment is not None else ""
    if not model:
        return
    with noting():
        for tag, value in algorithm_tags(model, corrected=corrected).items():
            segment.SetTag(tag, value)


def note_begun(segment: slicer.vtkSegment) -> None:
    """Note that a segment was worked on, as 3D Slicer's Segment Editor does."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not is_begun(segment):
        with noting():
            logic.SetSegmentStatus(segment, logic.InProgress)


def _is_corrected(segmentation: slicer.vtkSegmentation, name: str) -> bool:
    """Tell whether a segment has voxels that no model left so."""
    segment = segmentation.GetSegment(name)
    if segment is None or not segment.GetRepresentation(SOURCE):
        return False
    left = fingerprint(segment)
    return not left.startswith("0-") and tag_of(segment, VOXELS_TAG) != left


def write_labelmap(
    segmentation: slicer.vtkSegmentation,
    specification: ModelSpecification,
    labels: NDArray[np.uint8],
    box: Box,
    ijk_to_ras: Matrix4,
    *,
    within: Box | None = None,
    mode: str = REPLACE,
) -> None:
    """Put a label map into a vtkSegmentation's segments; arguments as in `write_segments`."""
    if segmentation.GetNumberOfSegments() == 0:
        segmentation.SetSourceRepresentationName(SOURCE)
    existing = {
        label.value: segmentation.GetSegment(segment_id(specification, label))
        for label in specification.labels
    }
    kept = []
    if within is not None or mode == ADD:
        kept = [(value, *mask_of(segment, ijk_to_ras)) for value, segment in existing.items()]
    cleared = within if mode == REPLACE else None
    image = _merged(labels, intersection(box, within) if within else box, kept, cleared, ijk_to_ras)
    _detach(segmentation, [segment for segment in existing.values() if segment is not None])
    for label in specification.labels:
        segment = existing[label.value] or new_segment(label)
        segment.SetLabelValue(label.value)
        segment.SetTag(MODEL_TAG, f"{specification.id} {specification.version}")
        segment.AddRepresentation(SOURCE, image)
        if existing[label.value] is None:
            segmentation.AddSegment(segment, segment_id(specification, label))
    image.Modified()


def _merged(
    labels: NDArray[np.uint8],
    part: Box,
    kept: Sequence[tuple[int, Mask | None, Box]],
    cleared: Box | None,
    ijk_to_ras: Matrix4,
) -> slicer.vtkOrientedImageData:
    """Return an image of what is kept, less what is in the box `cleared`, and new labels there.

    Args:
        labels: uint8 (z, y, x) of the whole volume.
        part: box of `labels` to take over, () if none.
        kept: value, mask and the mask's box of each segment that stays.
        cleared: box in which nothing is kept.
        ijk_to_ras: of the image, whose frame is just large enough.
    """
    image = new_image(union([part, *(place for _, _, place in kept)]) or NOTHING, ijk_to_ras)
    array, frame = image_array(image)
    for value, mask, place in kept:
        if place:
            array[inside(place, frame)][mask] = value
    if overlap := intersection(cleared, frame):
        array[inside(overlap, frame)] = 0
    if part:
        source, target = labels[inside(part, (0,) * 6)], array[inside(part, frame)]
        np.copyto(target, source, where=target == 0 if kept else True)
    return image


def fingerprint(segment: slicer.vtkSegment) -> str:
    """Return a short text that is equal for equal voxels, whatever label map they are kept in."""
    image = segment.GetRepresentation(SOURCE)
    if image is None:
        return "none"
    array, box = image_array(image)
    return voxels_fingerprint(array, (box[0], box[2], box[4]), segment.GetLabelValue())


def stamps_of(segmentation: slicer.vtkMRMLSegmentationNode) -> Stamps:
    """Return what differs as soon as any segment is drawn on, added or removed."""
    content = segmentation.GetSegmentation()
    return {name: voxels_stamp(content.GetSegment(name)) for name in content.GetSegmentIDs()}


def voxels_stamp(segment: slicer.vtkSegment) -> Stamp | None:
    """Return what differs as soon as anybody writes to a segment's label map in this session."""
    image = segment.GetRepresentation(SOURCE)
    return (image.GetMTime(), segment.GetLabelValue()) if image is not None else None


def _detach(segmentation: slicer.vtkSegmentation, segments: Iterable[slicer.vtkSegment]) -> None:
    """Clear segments that share a label map with foreign ones, whose voxels must stay as they are.

    Without it the old voxels would remain in the shared label map under a value that it may give
    to another segment later.
    """
    ours = {segmentation.GetSegmentIdBySegment(segment) for segment in segments}
    for name in ours:
        if sharing(segmentation, name) - ours:
            segmentation.ClearSegment(name)


def sharing(segmentation: slicer.vtkSegmentation, name: str) -> set[str]:
    """Return the ids of the segments that are kept in the same label map, `name` among them."""
    image = segmentation.GetSegment(name).GetRepresentation(SOURCE)
    ids = (segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments()))
    return {n for n in ids if segmentation.GetSegment(n).GetRepresentation(SOURCE) is image}
