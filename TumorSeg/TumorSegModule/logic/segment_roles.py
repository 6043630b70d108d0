"""Which of a segmentation's segments is which label of a model, and whose parts are lesions."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from TumorSegLib.errors import ModelError
from TumorSegLib.measurement.lesions import LESION_CATEGORIES, is_lesion
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.segments import MODEL_TAG, segment_id, tag_of


@dataclass(frozen=True)
class Role:
    """What a segment is.

    Attributes:
        id: of the segment.
        name: of the segment, whatever the user calls it.
        label: name of the model's label, "" if it is none of the model's.
        includes: ids of the segments that count as parts of it.
        channel: place of the label among the model's, None if it is none.
        lesions: whether each of its components is a lesion.
    """

    id: str
    name: str
    label: str = ""
    includes: tuple[str, ...] = ()
    channel: int | None = None
    lesions: bool = False


def specification_of(
    segmentation: slicer.vtkMRMLSegmentationNode, catalogue: Catalogue
) -> ModelSpecification | None:
    """Return the model that drew a segmentation, None if none did or it is not there any more."""
    content = segmentation.GetSegmentation()
    for number in range(content.GetNumberOfSegments()):
        name = tag_of(content.GetNthSegment(number), MODEL_TAG).partition(" ")[0]
        try:
            specification = catalogue.find(name).specification if name else None
        except ModelError:
            continue
        if specification is not None and specification.task == "segmentation":
            return specification
    return None


def roles_of(
    segmentation: slicer.vtkMRMLSegmentationNode, specification: ModelSpecification | None
) -> tuple[Role, ...]:
    """Return the roles of a segmentation's segments, those of the model's labels first.

    Segments that no model knows are of lesions if their terminology says so; where nothing says
    of any segment what it is, all are.
    """
    content = segmentation.GetSegmentation()
    labels = {} if specification is None else _labels(specification)
    ids = [name for name in content.GetSegmentIDs() if name not in labels]
    present = {name: role for name, role in labels.items() if content.GetSegment(name) is not None}
    roles = []
    for name in (*present, *ids):
        role = present.get(name) or Role(
            name, "", lesions=is_called_lesion(content.GetSegment(name))
        )
        parts = tuple(part for part in role.includes if part in present)
        called = content.GetSegment(name).GetName()
        roles.append(Role(name, called, role.label, parts, role.channel, role.lesions))
    if not present and not any(role.lesions for role in roles):
        return tuple(Role(role.id, role.name, lesions=True) for role in roles)
    return tuple(roles)


def _labels(specification: ModelSpecification) -> dict[str, Role]:
    ids = {label.value: segment_id(specification, label) for label in specification.labels}
    return {
        ids[label.value]: Role(
            ids[label.value],
            label.name,
            label.name,
            tuple(ids[value] for value in label.includes),
            channel,
            is_lesion(label),
        )
        for channel, label in enumerate(specification.labels)
    }


def is_called_lesion(segment: slicer.vtkSegment) -> bool:
    """Tell whether a segment's terminology puts it among lesions."""
    entry = tag_of(segment, segment.GetTerminologyEntryTagName()).split("~")
    return len(entry) > 1 and tuple(entry[1].split("^")[:2]) in LESION_CATEGORIES
