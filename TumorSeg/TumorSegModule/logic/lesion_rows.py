"""What the panel's table of lesions and its totals show: short texts of findings. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.quantities import shown
from TumorSegLib.measurement.segment import Measurement
from TumorSegModule.logic.findings import Absent, Findings, Lesion

NOTHING = "-"
AT_LEAST = "≥ "
"""Before figures of a lesion that the volume's border cuts."""


@dataclass(frozen=True)
class Heading:
    """Title of a column.

    Attributes:
        text: in two lines at most, the unit in the second.
        meaning: in a sentence.
    """

    text: str
    meaning: str


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        texts: in the order of the headings.
        what: a lesion, or one that the filter gave up.
        meaning: more of it, in a sentence.
    """

    texts: tuple[str, ...]
    what: Lesion | Absent
    meaning: str

    @property
    def name(self) -> str:
        """What to call the lesion."""
        return f"{self.what.role.name} {self.texts[0]}"


def headings(found: Findings, unit: str) -> tuple[Heading, ...]:
    """Return the columns' titles.

    Args:
        found: findings.
        unit: of the volume's voxels, "" if it has none.
    """
    mean = _("Mean") if not unit else _("Mean\n({unit})").format(unit=unit)
    columns = [
        Heading(_("No."), _("The largest is number 1")),
        Heading(_("Volume\n(ml)"), _("Number of voxels times their volume")),
        Heading(
            _("Long Ø\n(mm)"),
            _("Longest diameter on one axial slice, as RECIST 1.1 and WHO have it"),
        ),
        Heading(_("Short Ø\n(mm)"), _("Longest diameter at right angles to it on that slice")),
        Heading(_("3-D Ø\n(mm)"), _("Longest diameter in space")),
        Heading(_("Certainty\n(%)"), _("Mean probability that the model gave the voxels")),
        Heading(mean, _("Mean of the volume's voxels inside")),
    ]
    if _shows_segments(found):
        columns.insert(1, Heading(_("Segment"), _("That the lesion belongs to")))
    return tuple(columns)


def rows(found: Findings) -> list[Row]:
    """Return a row for each lesion, the largest first, then for each that the filter gave up."""
    with_segment = _shows_segments(found)
    lines = []
    for lesion in found.lesions:
        texts = [str(lesion.part.number), *_figures(lesion.part, lesion.part.certainty)]
        meaning = ""
        if lesion.part.cut_by_border:
            meaning = _("Cut by the volume's border: it may go on, the figures are lower limits")
        lines.append(Row(_with(texts, lesion.role.name if with_segment else None), lesion, meaning))
    for absent in found.absent:
        texts = [NOTHING, *_figures(absent.part, absent.item.likelihood)]
        name = absent.role.name if with_segment else None
        meaning = _(
            "Given up by the filter of false positives, which holds it for a lesion with this"
            " certainty"
        )
        lines.append(Row(_with(texts, name), absent, meaning))
    return lines


def totals(found: Findings) -> list[tuple[str, str]]:
    """Return names and values of what the model derives; without a model, each segment's volume."""
    if found.derived:
        return [(value.name, value.text) for value in found.derived]
    return [(one.name, _volume(one)) for one in found.segments]


def note(found: Findings) -> str:
    """Return a line that says what there is to see where the table does not."""
    if not any(role.lesions for role in found.roles):
        return _("No segment here has lesions.") if found.roles else _("There are no segments.")
    if not found.lesions and not found.absent:
        return _("No lesions.")
    if found.absent:
        count = len(found.absent)
        if count == 1:
            return _("One (grey) was given up by the filter of false positives.")
        return _("{count} (grey) were given up by the filter of false positives.").format(
            count=count
        )
    return ""


def _shows_segments(found: Findings) -> bool:
    return sum(role.lesions for role in found.roles) > 1


def _with(texts: list[str], segment: str | None) -> tuple[str, ...]:
    return tuple(texts) if segment is None else (texts[0], segment, *texts[1:])


def _figures(part: Component, certainty: float | None) -> list[str]:
    before = AT_LEAST if part.cut_by_border else ""
    return [
        before + shown(part.volume_ml),
        f"{before}{part.longest_axial_diameter_mm:.1f}",
        f"{before}{part.perpendicular_diameter_mm:.1f}",
        f"{before}{part.longest_diameter_mm:.1f}",
        NOTHING if certainty is None else f"{100 * certainty:.0f}",
        NOTHING if part.mean is None else shown(part.mean),
    ]


def _volume(one: Measurement) -> str:
    parts = _("{count} parts").format(count=one.components) if one.components != 1 else ""
    return ", ".join(filter(None, (f"{shown(one.volume_ml)} ml", parts)))
