"""What a report says, in the order in which it is read: findings first, the model last."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

import numpy as np

from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.modality import modality_of, taken_for
from TumorSegLib.inference.uncertainty_ranking import unsure_slices
from TumorSegLib.measurement.derived import derive
from TumorSegLib.measurement.quantities import shown
from TumorSegLib.model.derived import Count, Derived, Sum
from TumorSegLib.model.licences import licence_of
from TumorSegLib.report.area_plot import area_plot, legend
from TumorSegLib.report.blocks import (
    Block,
    Document,
    Facts,
    Lines,
    Pictures,
    Rows,
    Section,
)
from TumorSegLib.report.identification import names_to_hide, without_names
from TumorSegLib.report.plane_pictures import PlanePictures, encoded
from TumorSegLib.report.subject import Fact, Subject
from TumorSegLib.report.surface_pictures import surface_pictures
from TumorSegLib.report.tables import (
    accuracy_rows,
    change_rows,
    lesion_rows,
    segment_rows,
    slice_accuracy,
    unsure_rows,
)
from TumorSegLib.support.version import __version__
from TumorSegLib.support.words import counted

NOTICE = "Not for clinical use unless reviewed by a physician."
OBLIQUE_DEGREES = 1.0
MOST_WARNINGS = 20


def document_of(subject: Subject) -> Document:
    """Return the report on a subject."""
    made = f"{subject.made:%Y-%m-%d %H:%M}"
    sections = [
        _identification(subject),
        _findings(subject),
        _warnings(subject),
        _views(subject),
        _measurements(subject),
        _follow_up(subject),
        _montage(subject),
        _over_slices(subject),
        _corrected(subject),
        _model(subject),
        _review(),
    ]
    return Document(
        title="Segmentation report",
        subtitle=f"{_model_name(subject)} · made {made} by TumorSeg {__version__}",
        notice=NOTICE,
        sections=tuple(section for section in sections if section.blocks),
        footer=f"TumorSeg {__version__} · {made} · {NOTICE}",
    )


def _model_name(subject: Subject) -> str:
    if subject.specification is None:
        return "Segmented by hand"
    return f"{subject.specification.title} {subject.version}".strip()


def _identification(subject: Subject) -> Section:
    rows = subject.identification
    return Section("Patient and image", (Facts(rows),) if rows else ())


def _findings(subject: Subject) -> Section:
    """Return what a reader in a hurry needs: a line a structure, and what is derived."""
    rows: list[Fact] = []
    wholes = _names_of_wholes(subject)
    for finding in subject.findings:
        one = finding.measurement
        if not one.voxels:
            rows.append((one.name, "not found"))
            continue
        text = f"{shown(one.volume_ml)} ml"
        if finding.is_lesion:
            part = one.parts[0]
            number = "1 lesion" if one.components == 1 else f"{one.components} lesions, the largest"
            text += (
                f" in {number} {part.longest_axial_diameter_mm:.1f} x"
                f" {part.perpendicular_diameter_mm:.1f} mm on slice {part.slice_index + 1}"
            )
        elif one.components > 1:
            text += f" in {one.components} parts"
        rows.append((wholes.get(one.name, one.name), text))
    rows += _derived(subject)
    if not subject.findings:
        rows = [("Segments", "none")]
    blocks: list[Block] = [Facts(tuple(rows))]
    if subject.reviewed:
        blocks.append(Lines(("Marked as looked through by a person.",)))
    return Section("Findings", tuple(blocks))


def _derived(subject: Subject) -> list[Fact]:
    """Return what the model derives and no structure's own line says."""
    if subject.specification is None:
        return []
    measured = [finding.measurement for finding in subject.findings]
    values = derive(subject.specification.derived, measured)
    return [
        (value.name, value.text)
        for item, value in zip(subject.specification.derived, values, strict=True)
        if value.value is not None and not isinstance(item, Count) and not _is_whole(item)
    ]


def _names_of_wholes(subject: Subject) -> dict[str, str]:
    """Return what the model calls structures that are measured with their parts, by name."""
    derived = subject.specification.derived if subject.specification else ()
    return {item.labels[0]: item.name for item in derived if _is_whole(item)}


def _is_whole(item: Derived) -> TypeGuard[Sum]:
    """Return whether a derived value is the volume of one structure, parts included."""
    return isinstance(item, Sum) and len(item.labels) == 1 and item.quantity == "volume"


def _warnings(subject: Subject) -> Section:
    hidden = names_to_hide(subject.names, subject.volume.name, subject.identification)
    lines = [without_names(line, hidden) for line in subject.warnings]
    if (more := len(lines) - MOST_WARNINGS) > 0:
        lines = [*lines[:MOST_WARNINGS], f"and {more} more"]
    return Section("Warnings", (Lines(tuple(lines), "warning"),) if lines else ())


def _views(subject: Subject) -> Section:
    name, pictures = PlanePictures(subject).through_the_largest()
    view = AxialView.of(subject.volume.grid)
    surfaces, why_not = surface_pictures(subject.findings, view.spacing_zyx)
    notes = [f"Planes through {name}."] + ([why_not] if why_not else [])
    if view.tilt_degrees > OBLIQUE_DEGREES:
        notes.append(
            f"The slices were acquired at {view.tilt_degrees:.0f}° to the patient's axes; planes"
            " are those of the image."
        )
    blocks: list[Block] = [Lines((" ".join(notes),), "note"), Pictures(pictures, 3)]
    if surfaces:
        blocks.append(Pictures(surfaces, 3))
    return Section("Views", tuple(blocks))


def _measurements(subject: Subject) -> Section:
    if not subject.findings:
        return Section("Measurements", ())
    unit = "HU" if modality_of(subject.volume) == "CT" else ""
    blocks: list[Block] = [segment_rows(subject.findings, unit)]
    if (lesions := lesion_rows(subject.lesions, unit)) is not None:
        blocks.append(lesions)
    return Section("Measurements", tuple(blocks))


def _follow_up(subject: Subject) -> Section:
    found = subject.follow_up
    if found is None:
        return Section("Beside the earlier image", ())
    blocks: list[Block] = [Rows(found.table)]
    if found.text:
        blocks.append(Lines(tuple(found.text.splitlines())))
    return Section("Beside the earlier image", tuple(blocks))


def _montage(subject: Subject) -> Section:
    pictures = PlanePictures(subject).slices()
    numbers = any(finding.is_lesion and finding.measurement.voxels for finding in subject.findings)
    note = "The patient's right is on the left of each slice."
    if numbers:
        note += " Numbers are those of the lesions in the table."
    return Section("Slices", (Lines((note,), "note"), Pictures(pictures, 4)))


def _over_slices(subject: Subject) -> Section:
    count = len(AxialView.of(subject.volume.grid).apply(subject.volume.voxels))
    unsure = unsure_slices(subject.corrections_mm2)
    blocks: list[Block] = []
    if any(finding.measurement.voxels for finding in subject.findings):
        plot = area_plot(subject.findings, unsure, count)
        picture = encoded(plot, "Area on each slice", lossless=True)
        blocks.append(Pictures((replace(picture, legend=legend(subject.findings)),), 1))
    if unsure:
        areas = _areas(subject, count)
        blocks.append(unsure_rows(unsure, areas, subject.corrections_mm2))
    return Section("Area over slices, and slices to check first", tuple(blocks))


def _areas(subject: Subject, count: int) -> list[float]:
    """Return the area that all structures together cover on each slice, mm²."""
    view = AxialView.of(subject.volume.grid)
    pixel = view.spacing_zyx[1] * view.spacing_zyx[2]
    areas = np.zeros(count)
    shape = view.apply(subject.volume.voxels).shape
    for index in range(count):
        plane = np.zeros(shape[1:], np.bool_)
        for finding in subject.findings:
            if finding.box[0].start <= index < finding.box[0].stop:
                plane |= finding.plane(0, index, shape)
        areas[index] = np.count_nonzero(plane) * pixel
    return [float(area) for area in areas]


def _corrected(subject: Subject) -> Section:
    changes = subject.changes
    blocks: list[Block] = []
    if changes is not None and changes.whole.slices:
        blocks.append(change_rows(changes))
        numbers = ", ".join(str(index + 1) for index in changes.slices[:60])
        more = len(changes.slices) - 60
        if numbers:
            further = f" and {more} more" if more > 0 else ""
            blocks.append(Lines((f"Slices changed: {numbers}{further}.",), "note"))
    elif changes is not None or subject.as_drawn:
        blocks.append(Lines(("Nothing: the segments are as the model drew them.",)))
    else:
        blocks.append(Lines(("Not known: what the model drew was not kept.",)))
    return Section("Corrected by hand", tuple(blocks))


def _model(subject: Subject) -> Section:
    """Return the model, how it was run, and how well it did on others."""
    grid, specification = subject.volume.grid, subject.specification
    spacing = " x ".join(f"{mm:.3g}" for mm in grid.spacing)
    shape = " x ".join(str(count) for count in grid.shape[::-1])
    image: tuple[Fact, ...] = (
        ("Image", f"{shape} voxels of {spacing} mm"),
        ("Taken for", taken_for(subject.volume)),
    )
    if specification is None:
        return Section("Settings", (Facts((*image, *subject.settings)),))
    licence = licence_of(specification.licence)
    stated = specification.licence or "not stated"
    rows: list[Fact] = [
        ("Model", f"{specification.title} ({specification.id}), version {subject.version}"),
        ("Licence of its weights", f"{stated}. {licence.use}"),
        *image,
        *subject.settings,
    ]
    blocks: list[Block] = [Facts(tuple(rows))]
    evaluation = specification.evaluation
    table = None if evaluation is None else accuracy_rows(evaluation)
    if evaluation is None or table is None:
        blocks.append(Lines(("The accuracy of this model was not measured.",), "warning"))
        return Section("Model and settings", tuple(blocks))
    measured = f"{evaluation.model} {evaluation.version}".strip()
    people = counted(evaluation.patients, "patient")
    lines = [
        f"Accuracy of {measured or specification.id} on {people}: means over patients with 95 %"
        " intervals.",
        slice_accuracy(evaluation),
        f"Measured on {evaluation.measured_on}." if evaluation.measured_on else "",
    ]
    blocks += [table, Lines(tuple(line for line in lines if line), "note")]
    return Section("Model and settings", tuple(blocks))


def _review() -> Section:
    blank = "\N{NO-BREAK SPACE}"
    return Section(
        "Review", (Facts((("Reviewed by", blank), ("Date", blank), ("Signature", blank))),)
    )
