"""What a report is about, whoever asks for it: the command, the panel or Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from TumorSegLib.image.correction import Changes
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.measurement.segment import measure
from TumorSegLib.measurement.table import Table
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.report.findings import Finding, findings_of

Fact = tuple[str, str]
"""What is said, and of what: ("Device", "cpu")."""


@dataclass(frozen=True)
class Comparison:
    """Lesions beside those of an earlier image: a table, and what follows from it in lines."""

    table: Table
    text: str = ""


@dataclass(frozen=True, eq=False)
class Subject:
    """Everything that a report may show.

    Attributes:
        volume: that was segmented.
        findings: its structures.
        specification: of the model; None where no model was at work.
        version: of the model that drew the segments, where that may be another than the present.
        settings: how the model was run.
        corrections_mm2: expected correction of each axial slice; empty where it is not known.
        warnings: of the run.
        names: of the run's volumes by channel, as they were then; the segmented one is first.
        identification: what may be said of patient and image.
        changes: by a person; None where that is not known.
        as_drawn: the segments are the model's, untouched.
        reviewed: a person has marked all of it as looked through.
        follow_up: beside an earlier image.
        made: when the report was.
    """

    volume: Volume
    findings: tuple[Finding, ...]
    specification: ModelSpecification | None = None
    version: str = ""
    settings: tuple[Fact, ...] = ()
    corrections_mm2: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    identification: tuple[Fact, ...] = ()
    changes: Changes | None = None
    as_drawn: bool = False
    reviewed: bool = False
    follow_up: Comparison | None = None
    made: datetime = field(default_factory=datetime.now)

    @property
    def lesions(self) -> tuple[Finding, ...]:
        """The structures whose components are lesions."""
        return tuple(finding for finding in self.findings if finding.is_lesion)


def subject_of(
    result: SegmentationResult,
    options: RunOptions | None = None,
    *,
    identification: tuple[Fact, ...] = (),
    sequences: tuple[str, ...] = (),
) -> Subject:
    """Return what a report on a run is about.

    Args:
        result: of the run.
        options: with which it was run, if they are to be shown.
        identification: what may be said of patient and image.
        sequences: titles of the sequences that the model was given.
    """
    return Subject(
        volume=result.volume,
        findings=findings_of(result, measure(result)),
        specification=result.specification,
        version=result.specification.version,
        settings=settings_of(
            result.device,
            result.precision,
            sum(result.seconds.values()),
            options or RunOptions(),
            sequences=sequences,
            slices_run=result.settings.get("slices", ""),
        ),
        corrections_mm2=tuple(figure.correction_mm2 for figure in result.slices),
        warnings=result.warnings,
        names=result.names,
        identification=identification,
        as_drawn=True,
    )


def settings_of(
    device: str,
    precision: str,
    seconds: float,
    options: RunOptions,
    *,
    sequences: Sequence[str] = (),
    slices_run: str = "",
) -> tuple[Fact, ...]:
    """Return how a model was run; options that are as always are left out.

    Args:
        device: where the network ran.
        precision: of its arithmetic.
        seconds: that the run took.
        options: of the run.
        sequences: titles of the sequences that the model was given.
        slices_run: which slices the network saw, where those are not all.
    """
    facts = [("Device", f"{device}, {precision}")]
    if options.mirror_tta is not None:
        facts.append(("Averaged with mirrored slices", "yes" if options.mirror_tta else "no"))
    if options.slice_detector is not None:
        detector = Path(options.slice_detector).name
        gate = f"{detector}, from a probability of {options.detector_threshold:g}"
        facts.append(("Slices chosen by", gate))
    if options.slices is not None:
        first, last = options.slices
        facts.append(("Slices segmented", f"{first + 1} to {last} only"))
    elif slices_run:
        facts.append(("Slices that the network saw", slices_run))
    if sequences:
        facts.append(("Sequences", ", ".join(sequences)))
    return (*facts, ("Time", f"{seconds:.1f} s"))
