"""The tables of a report: fewer columns than in CSV, so that they fit on paper and on a phone."""

from __future__ import annotations

from collections.abc import Sequence

from TumorSegLib.image.correction import Changes
from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.quantities import shown, shown_mean
from TumorSegLib.measurement.table import Cell, Column, Table
from TumorSegLib.model.evaluation import Evaluation, PatientMean, Rate
from TumorSegLib.report.blocks import Rows
from TumorSegLib.report.findings import Finding

MOST_LESIONS = 30
MOST_UNSURE = 10

UNSURE = (
    "These slices hold four fifths of the area that is expected to need correction; look at them"
    " first."
)


def segment_rows(findings: Sequence[Finding], unit: str = "") -> Rows:
    """Return the structures as wholes.

    Args:
        findings: the structures.
        unit: of the volume's voxels, "" if these are arbitrary.
    """
    columns = (
        Column("Segment"),
        Column("Volume", "ml"),
        Column("Parts"),
        Column("Longest axial diameter", "mm"),
        Column("Surface", "cm²"),
        Column("Mean ± SD", unit),
    )
    rows = []
    for finding in findings:
        one = finding.measurement
        rows.append(
            (
                one.name,
                shown(one.volume_ml) if one.voxels else "not found",
                one.components,
                one.longest_axial_diameter_mm if one.voxels else None,
                one.surface_mm2 / 100 if one.voxels else None,
                _mean(one.mean, one.standard_deviation),
            )
        )
    return Rows(Table(columns, tuple(rows)), tuple(finding.colour for finding in findings))


def lesion_rows(findings: Sequence[Finding], unit: str = "") -> Rows | None:
    """Return the lesions one by one, of many the largest; None if there are none.

    Args:
        findings: whose components are lesions.
        unit: of the volume's voxels, "" if these are arbitrary.
    """
    every = [(finding, part) for finding in findings for part in finding.measurement.parts]
    if not every:
        return None
    every.sort(key=lambda pair: -pair[1].volume_ml)
    listed = every[:MOST_LESIONS]
    columns = (
        Column("Lesion"),
        Column("Volume", "ml"),
        Column("Axial diameters", "mm"),
        Column("3-D", "mm"),
        Column("Slice"),
        Column("Mean ± SD", unit),
        Column("Certainty", decimals=2),
    )
    rows = tuple(_lesion(finding, part, len(findings)) for finding, part in listed)
    kept = [
        index for index in range(len(columns)) if any(row[index] not in (None, "") for row in rows)
    ]
    table = Table(
        tuple(columns[index] for index in kept),
        tuple(tuple(row[index] for index in kept) for row in rows),
    )
    colours = tuple(finding.colour for finding, _ in listed)
    return Rows(table, colours, _more(every, listed))


def _lesion(finding: Finding, part: Component, structures: int) -> tuple[Cell, ...]:
    name = str(part.number) if structures == 1 else f"{finding.name} {part.number}"
    return (
        f"{name}*" if part.cut_by_border else name,
        shown(part.volume_ml),
        f"{part.longest_axial_diameter_mm:.1f} x {part.perpendicular_diameter_mm:.1f}",
        part.longest_diameter_mm,
        part.slice_index + 1,
        _mean(part.mean, part.standard_deviation),
        part.certainty,
    )


def _more(
    every: Sequence[tuple[Finding, Component]], listed: Sequence[tuple[Finding, Component]]
) -> str:
    notes = []
    if rest := every[len(listed) :]:
        millilitres = sum(part.volume_ml for _, part in rest)
        notes.append(
            f"and {len(rest)} more, each of {shown(rest[0][1].volume_ml)} ml or less,"
            f" {shown(millilitres)} ml in all."
        )
    if any(part.cut_by_border for _, part in listed):
        notes.append("*: reaches the volume's border and may go on beyond.")
    notes.append("Slice: that of the longest axial diameter.")
    return " ".join(notes)


def unsure_rows(
    unsure: Sequence[int], areas_mm2: Sequence[float], corrections_mm2: Sequence[float]
) -> Rows:
    """Return the slices that are most likely to need correction, the likeliest first."""
    columns = (Column("Slice"), Column("Area", "mm²", 0), Column("Expected correction", "mm²", 0))
    rows = tuple(
        (index + 1, float(areas_mm2[index]), float(corrections_mm2[index]))
        for index in unsure[:MOST_UNSURE]
    )
    more = len(unsure) - len(rows)
    further = f"and {more} more. " if more > 0 else ""
    return Rows(Table(columns, rows), note=f"{further}{UNSURE}")


def change_rows(changes: Changes) -> Rows:
    """Return how far each segment was changed by a person."""
    columns = (
        Column("Segment"),
        Column("Slices changed"),
        Column("Added or removed", "ml", 2),
        Column("Dice with the model's", decimals=3),
    )
    listed = [one for one in changes.segments if one.slices]
    rows = tuple((one.name, one.slices, one.millilitres, one.dice) for one in listed)
    return Rows(Table(columns, rows))


def accuracy_rows(evaluation: Evaluation) -> Rows | None:
    """Return how well the model did where it was measured; None if that says nothing."""
    columns = (
        Column("Structure"),
        Column("Dice"),
        Column("Sensitivity"),
        Column("Precision"),
        Column("HD95", "mm"),
        Column("Parts found"),
        Column("False a case"),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, found in evaluation.structures.items():
        lesions = found.lesions
        rows.append(
            (
                name,
                _interval(found.dice, 2),
                _interval(found.sensitivity, 2),
                _interval(found.precision, 2),
                _interval(found.hd95_mm, 1),
                f"{lesions.found} of {lesions.reference}" if lesions else "",
                f"{lesions.false_per_case:.2f}" if lesions else "",
            )
        )
    return Rows(Table(columns, tuple(rows))) if rows else None


def _interval(found: PatientMean | Rate | None, decimals: int) -> str:
    mean = getattr(found, "mean", getattr(found, "value", None))
    if found is None or mean is None:
        return "-"
    if found.low is None or found.high is None or found.low == found.high:
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} ({found.low:.{decimals}f} to {found.high:.{decimals}f})"


def slice_accuracy(evaluation: Evaluation) -> str:
    """Return how well slices with a structure were told from those without, "" if unknown."""
    slices = evaluation.slices
    if slices is None or slices.sensitivity.value is None:
        return ""
    return (
        f"Slices that show a structure: sensitivity {_interval(slices.sensitivity, 2)},"
        f" specificity {_interval(slices.specificity, 2)}."
    )


def _mean(mean: float | None, deviation: float | None) -> str | None:
    if mean is None:
        return None
    return shown_mean(mean, deviation)
