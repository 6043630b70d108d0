"""What the panel's table of changes shows: short texts of a follow-up. No Qt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from TumorSegLib.image.grid import LPS_FROM_RAS, Vector
from TumorSegLib.measurement.follow_up import Change, FollowUp, LesionChange, change_table
from TumorSegLib.measurement.table import Column, Table
from TumorSegLib.slicer_io.geometry import parent_matrix
from TumorSegLib.slicer_io.images import Matrix4
from TumorSegLib.slicer_io.nodes import patient_of, volume_of
from TumorSegModule.logic.findings import Findings
from TumorSegModule.logic.follow_up_pairs import chosen_earlier
from TumorSegModule.logic.lesion_rows import NOTHING, Heading

HEADINGS = (
    Heading(_("Earlier"), _("Number of the lesion in the earlier segmentation")),
    Heading(_("Now"), _("Number of the lesion now")),
    Heading(_("Change"), _("Grown: +20 % and +5 mm at least. Shrunk: -30 % at least.")),
    Heading(_("Earlier\n(mm)"), _("Longest axial diameter in the earlier segmentation")),
    Heading(_("Now\n(mm)"), _("Longest axial diameter now")),
    Heading(_("Change\n(%)"), _("Change of the longest axial diameter")),
    Heading(_("Volume\n(%)"), _("Change of the volume")),
)

WORDS: dict[Change, str] = {
    "new": _("new"),
    "vanished": _("vanished"),
    "grown": _("grown"),
    "shrunk": _("shrunk"),
    "unchanged": _("unchanged"),
}


@dataclass(frozen=True)
class ChangeRow:
    """A line of the table.

    Attributes:
        texts: in the order of the headings.
        place: of the lesion, or where it was, in the world's LPS mm; None of the sum.
    """

    texts: tuple[str, ...]
    place: Vector | None


def follow_up_rows(found: Findings) -> list[ChangeRow]:
    """Return a row for each change, and one with the sum of all diameters."""
    lines = []
    earlier = chosen_earlier(found.segmentation)
    above = np.eye(4) if earlier is None else parent_matrix(earlier)
    to_world = LPS_FROM_RAS @ above @ LPS_FROM_RAS
    for changes in found.changes.values():
        lines += [_row(change, changes, to_world) for change in changes.changes]
        sums = (changes.earlier_sum_mm, changes.later_sum_mm)
        texts = ("", "", _("sum"), *(f"{mm:.1f}" for mm in sums), _per_cent(changes.change_percent))
        lines.append(ChangeRow((*texts, ""), None))
    return lines


def changes_table(found: Findings) -> Table:
    """Return the library's table of the changes, with the segments' names where there are more."""
    tables = {name: change_table(changes) for name, changes in found.changes.items()}
    if len(tables) == 1:
        return next(iter(tables.values()))
    columns = next(iter(tables.values())).columns
    rows = [
        (found.role(name).name, *row) for name, content in tables.items() for row in content.rows
    ]
    return Table((Column("Segment"), *columns), tuple(rows))


def follow_up_note(found: Findings) -> str:
    """Return a line on the follow-up as a whole: how many have changed, or why it means nothing."""
    earlier = chosen_earlier(found.segmentation)
    if earlier is None:
        return ""
    if earlier is found.segmentation:
        return _("That is the same segmentation; choose an earlier one.")
    if found.earlier_problem:
        return found.earlier_problem
    if not found.changes:
        return _("{name} has no segment that corresponds to one of lesions here.").format(
            name=earlier.GetName()
        )
    changes = [change for one in found.changes.values() for change in one.changes]
    counts = Counter(change.change for change in changes)
    told = [f"{counts[word]} {WORDS[word]}" for word in WORDS if counts[word]]
    counted = ", ".join(told) + "." if told else _("No lesions, then or now.")
    return " ".join([*cautions(found), counted])


def cautions(found: Findings) -> list[str]:
    """Return what makes a comparison doubtful, a sentence each; reports and copies have it, too."""
    lines, earlier = [], chosen_earlier(found.segmentation)
    patients = {_patient(node) for node in (earlier, found.segmentation) if node is not None}
    if len(patients - {None}) > 1:
        lines.append(_("Beware: the scene says that this is another patient."))
    changes = [change for one in found.changes.values() for change in one.changes]
    if {change.change for change in changes} == {"new", "vanished"}:
        lines.append(_("No lesion lies where one lay: are the two images aligned?"))
    if found.alone:
        lines.append(
            _("Not compared, as only one of the two has such a segment: {names}.").format(
                names=", ".join(found.alone)
            )
        )
    return lines


def comparison_text(found: Findings) -> str:
    """Return what makes the comparison doubtful, and RECIST's category, as lines for a report."""
    category = [] if found.assessment is None else [found.assessment.text]
    return "\n".join([*cautions(found), *category])


def _row(change: LesionChange, changes: FollowUp, to_world: Matrix4) -> ChangeRow:
    words = WORDS[change.change]
    if len(change.earlier) > 1:
        words = _("{change}, merged").format(change=words)
    if len(change.later) > 1:
        words = _("{change}, split").format(change=words)
    texts = (
        ", ".join(map(str, change.earlier)) or NOTHING,
        ", ".join(map(str, change.later)) or NOTHING,
        words,
        f"{change.earlier_mm:.1f}" if change.earlier else NOTHING,
        f"{change.later_mm:.1f}" if change.later else NOTHING,
        _per_cent(change.change_percent),
        _per_cent(change.volume_change_percent),
    )
    if change.later:
        return ChangeRow(texts, changes.later[change.later[0] - 1].centroid_mm)
    was = changes.earlier[change.earlier[0] - 1].centroid_mm
    x, y, z = (to_world @ [*was, 1.0])[:3].tolist()
    return ChangeRow(texts, (x, y, z))


def _per_cent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.0f}"


def _patient(segmentation: slicer.vtkMRMLSegmentationNode) -> str | None:
    """Return what tells the patient of a segmentation's volume, None if the scene does not say."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    volume = volume_of(segmentation)
    return patient_of(volume, hierarchy) if volume is not None else None
