"""What the worker process does with a panel's command to write a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from TumorSegLib.errors import ModelError
from TumorSegLib.image.volume import Volume
from TumorSegLib.measurement.table import Column, Table
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.report import check_report_place, write_files
from TumorSegLib.report.findings import findings_of_segments
from TumorSegLib.report.identification import stated
from TumorSegLib.report.subject import Comparison, Fact, Subject, settings_of
from TumorSegLib.worker.report_protocol import ReportWritten, WriteReport
from TumorSegLib.worker.shared_mask import ArrayOf, named_mask


def answer(command: WriteReport, volume: Volume, array: ArrayOf) -> ReportWritten:
    """Write the report and return what to tell the panel.

    Args:
        command: of the panel.
        volume: that was segmented.
        array: see `ArrayOf`.

    Raises:
        TumorSegError: a segment lies on another grid than the volume, the file cannot be written,
            or the PDF that is asked for needs a package that is not there.
    """
    place = Path(command.place)
    check_report_place(place)
    volume = replace(volume, modality=command.modality or None)
    specification = _specification(command.model)
    findings = findings_of_segments(
        volume,
        [named_mask(one.mask, array) for one in command.masks],
        specification,
        colours={one.mask.id: one.colour for one in command.masks},
        lesions=[one.mask.id for one in command.masks if one.is_lesion],
    )
    subject = Subject(
        volume=volume,
        findings=findings,
        specification=specification,
        version=command.version,
        settings=_settings(command),
        corrections_mm2=command.corrections_mm2,
        warnings=command.warnings,
        names=command.names,
        identification=stated(command.identification),
        changes=command.changes,
        reviewed=command.reviewed,
        follow_up=_comparison(command),
    )
    (path,) = write_files(subject, place)
    return ReportWritten(command.job, str(path))


def _settings(command: WriteReport) -> tuple[Fact, ...]:
    run = command.run
    if not command.version:
        return ()
    if run is None:
        return (("Run", "an earlier one, whose settings were not kept"),)
    return settings_of(
        run.device,
        run.precision,
        run.seconds,
        run.options,
        sequences=run.sequences,
        slices_run=run.slices_run,
    )


def _comparison(command: WriteReport) -> Comparison | None:
    found = command.follow_up
    if found is None:
        return None
    return Comparison(Table(tuple(map(Column, found.headings)), found.rows), found.text)


def _specification(folder: str) -> ModelSpecification | None:
    """Return the model's, None if there is none or it is gone."""
    try:
        return read_bundle(Path(folder)).specification if folder else None
    except ModelError:
        return None
