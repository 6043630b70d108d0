"""What the scene knows for a report beside voxels: patient, model, corrections. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import ModelError
from TumorSegLib.image.correction import Changes, SegmentChange
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.slicer_io.segments import MODEL_TAG, tag_of
from TumorSegLib.worker.report_protocol import ReportedChanges
from TumorSegModule.logic.correction import Change, compare
from TumorSegModule.logic.findings import Findings
from TumorSegModule.logic.follow_up_rows import HEADINGS, comparison_text, follow_up_rows
from TumorSegModule.logic.model_baseline import reference_of
from TumorSegModule.logic.slice_figures import figures_of

ATTRIBUTES = {
    "name": "DICOM.PatientName",
    "id": "DICOM.PatientID",
    "birth": "DICOM.PatientBirthDate",
    "sex": "DICOM.PatientSex",
    "date": "DICOM.StudyDate",
}
"""Of the subject hierarchy's items, by the items of `TumorSegLib.report.identification`."""

LEVELS = ("Patient", "Study")

KNOWABLE = (*ATTRIBUTES, "study", "volume")
"""What `known_of` may say, in its order."""


def known_of(volume: slicer.vtkMRMLScalarVolumeNode | None) -> dict[str, str]:
    """Return what the scene says of patient and image, by item; what it does not say is left out.

    Values are as DICOM has them.
    """
    if volume is None:
        return {}
    known = {"volume": volume.GetName()}
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volume) if hierarchy else 0
    if not item:
        return known
    above = [hierarchy.GetItemAncestorAtLevel(item, level) for level in LEVELS]
    for key, attribute in ATTRIBUTES.items():
        for place in (item, *above):
            if place and (value := hierarchy.GetItemAttribute(place, attribute).strip()):
                known.setdefault(key, value)
    if above[1] and (name := hierarchy.GetItemName(above[1]).strip()):
        known["study"] = name
    return known


@dataclass(frozen=True)
class DrawnBy:
    """The model that drew a segmentation's segments first.

    Attributes:
        bundle: as it is now; None if there is none (any more).
        version: that it had then; "" if no model drew them.
    """

    bundle: Bundle | None = None
    version: str = ""


def drawn_by(segmentation: slicer.vtkMRMLSegmentationNode, catalogue: Catalogue) -> DrawnBy:
    """Return the model that drew most of the segments."""
    content = segmentation.GetSegmentation()
    tags = [
        tag_of(content.GetNthSegment(number), MODEL_TAG)
        for number in range(content.GetNumberOfSegments())
    ]
    tags = [tag for tag in tags if tag]
    if not tags:
        return DrawnBy()
    name, _blank, version = max(tags, key=tags.count).partition(" ")
    try:
        return DrawnBy(catalogue.find(name), version)
    except ModelError:
        return DrawnBy(None, version)


def follow_up_of(
    found: Findings | None, segmentation: slicer.vtkMRMLSegmentationNode
) -> ReportedChanges | None:
    """Return how the lesions have changed since an earlier segmentation, None without one."""
    if found is None or found.segmentation is not segmentation:
        return None
    if not found.changes or not found.current:
        return None
    return ReportedChanges(
        tuple(" ".join(title.text.split()) for title in HEADINGS),
        tuple(row.texts for row in follow_up_rows(found)),
        comparison_text(found),
    )


def changes_of(
    segmentation: slicer.vtkMRMLSegmentationNode,
) -> Generator[None, None, Changes | None]:
    """Compare segments with what the model drew, as a generator that can be left between steps.

    Returns:
        What was changed, None if what the model drew was not kept.
    """
    figures, reference = figures_of(segmentation), reference_of(segmentation)
    if figures is None or reference is None:
        return None
    found = yield from compare(segmentation, reference, figures)
    return Changes(
        tuple(
            _changed(reference.GetSegmentation().GetSegment(name).GetName(), change)
            for name, change in found.segments.items()
        ),
        _changed(_("all"), found.whole),
        tuple(index for index, area in enumerate(found.changed) if area > 0),
    )


def _changed(name: str, change: Change) -> SegmentChange:
    return SegmentChange(name, change.slices, change.millilitres, change.dice)
