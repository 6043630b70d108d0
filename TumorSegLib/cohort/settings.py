"""What a cohort is run with: what decides about the results, and what only about their pace."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from TumorSegLib.inference.run_options import RunOptions


@dataclass(frozen=True)
class Settings:
    """What every case is segmented and written with; another value makes another result.

    Attributes:
        options: how models are run.
        ending: of the segmentation's file.
        as_dicom: write a DICOM Segmentation, too, of what was read from DICOM.
        structured_report: write its measurements as a DICOM structured report.
        report: write a report for people.
        identify: what it says of patient and image.
    """

    options: RunOptions = field(default_factory=RunOptions)
    ending: str = ".seg.nrrd"
    as_dicom: bool = False
    structured_report: bool = False
    report: bool = False
    identify: tuple[str, ...] = ()

    @property
    def plain(self) -> dict[str, Any]:
        """As plain values, of which the hash is made."""
        return asdict(self)


@dataclass(frozen=True)
class WorkSharing:
    """How the work is shared out.

    Attributes:
        address: of a Ray cluster; None: this computer alone.
        workers: processes that segment; None: one a GPU, else one a computer.
        threads: cores of each; None: those of a computer shared equally.
        gpu: part of a GPU that each has; None: a whole one where there are any.
    """

    address: str | None = None
    workers: int | None = None
    threads: int | None = None
    gpu: float | None = None
