"""The part of the protocol that is about reports; see `protocol`. Loads no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from TumorSegLib.image.correction import Changes
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.worker.shared_voxels import Numbers, SharedMask, SharedVolume


@dataclass(frozen=True)
class ReportMask:
    """A segment for a report.

    Attributes:
        mask: its voxels and name.
        colour: red, green, blue, 0 to 255.
        is_lesion: whether each of its components is a lesion, as its terminology has it.
    """

    mask: SharedMask
    colour: tuple[int, int, int]
    is_lesion: bool


@dataclass(frozen=True)
class ReportedRun:
    """The run that wrote the segments; see `TumorSegLib.report.subject.settings_of`."""

    device: str
    precision: str
    seconds: float
    options: RunOptions
    sequences: tuple[str, ...] = ()
    slices_run: str = ""


@dataclass(frozen=True)
class ReportedChanges:
    """Lesions beside an earlier image: a table's texts, and what follows from it in lines."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: str = ""


@dataclass(frozen=True)
class WriteReport:
    """Write a report on segments of the scene; see `TumorSegLib.report.subject.Subject`.

    Attributes:
        job: number that the answer carries.
        volume: that was segmented.
        modality: of the volume ("CT", "MR").
        masks: segments.
        place: file to write, `.html` or `.pdf`; the user has agreed if it is there.
        model: folder of the bundle that drew the segments, "" if none did or it is gone.
        version: of the model when it drew them.
        run: how the model was run; None where that is not known any more.
        corrections_mm2: expected correction of each axial slice, () if it is not known.
        warnings: of the run.
        names: of the run's volumes by channel, as they were then; the segmented one is first.
        identification: what the user ticked, by item of `TumorSegLib.report.identification`, as
            DICOM has it.
        changes: by a person; None where that is not known.
        reviewed: by a person.
        follow_up: beside an earlier image, if there is one.
    """

    kind: ClassVar[str] = "write report"
    job: int
    volume: SharedVolume
    modality: str
    masks: tuple[ReportMask, ...]
    place: str
    model: str = ""
    version: str = ""
    run: ReportedRun | None = None
    corrections_mm2: Numbers = ()
    warnings: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    identification: Mapping[str, str] = field(default_factory=dict)
    changes: Changes | None = None
    reviewed: bool = False
    follow_up: ReportedChanges | None = None


@dataclass(frozen=True)
class ReportWritten:
    """The report is there."""

    kind: ClassVar[str] = "report written"
    job: int
    path: str
