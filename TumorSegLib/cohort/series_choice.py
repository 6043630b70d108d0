"""Which of a study's DICOM series a model is given: by modality, sequence, orientation, slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from TumorSegLib.image.sequence_names import sequence_by_header
from TumorSegLib.inference.body_region import ELSEWHERE
from TumorSegLib.inference.input_checks import TILT_DEGREES, TITLES
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.reading.dicom_files import DicomFile
from TumorSegLib.reading.dicom_series import SAME_POSITION_MM
from TumorSegLib.support.words import counted

FEWEST_SLICES = 5
"""A series of fewer is a localizer, a monitoring of contrast medium or a saved screen."""

MODALITIES = {name: name for name in ("CT", "MR", "PT", "US", "SR", "SEG", "RTSTRUCT", "NM")}
"""What is told of others is ours to say: a header may hold anything."""

TURNED = 0.02
"""Cosines by which slices of one stack differ at most; those of a localizer differ by more."""


@dataclass(frozen=True)
class Series:
    """The images of one series.

    Attributes:
        folder: in which they lie, or the first of them does.
        uid: SeriesInstanceUID.
        files: their headers, sorted by path.
        copies: further folders that hold nothing but copies of them.
    """

    folder: Path
    uid: str
    files: tuple[DicomFile, ...]
    copies: int = 0

    @property
    def folders(self) -> list[Path]:
        """In which its images lie, sorted; several where each has a part of them."""
        return sorted({file.path.parent for file in self.files})

    @property
    def modality(self) -> str:
        """As in DICOM ("CT", "MR")."""
        return self.files[0].modality

    @property
    def images(self) -> int:
        """Slices, those at one position counted one by one."""
        return sum(file.frames for file in self.files)

    @cached_property
    def sequence(self) -> str | None:
        """Of MRI ("flair", "t1", "t1c", "t2"), see `sequence_by_header`."""
        first = self.files[0]
        return sequence_by_header(first.description, first.echo, first.repetition, first.inversion)

    @property
    def is_original(self) -> bool:
        """Whether the scanner made it, not someone at a workstation."""
        return "DERIVED" not in self.files[0].image_type

    @cached_property
    def tilt_degrees(self) -> float | None:
        """Angle between the slices' normal and the patient's axis; None: the header says nothing.

        Slices that lie in several directions, as a localizer's, are at 90 degrees.
        """
        stated = [file.orientation for file in self.files if file.orientation is not None]
        if not stated:
            return None
        axes = np.array(stated)
        if np.abs(axes - axes[0]).max() > TURNED:
            return 90.0
        normal = np.cross(axes[0, :3], axes[0, 3:])
        length = float(np.linalg.norm(normal)) or 1.0
        return float(np.degrees(np.arccos(min(1.0, abs(normal[2]) / length))))

    @cached_property
    def positions(self) -> int:
        """Places along the patient at which there is an image."""
        stated = [file.position for file in self.files if file.position is not None]
        if len(stated) < len(self.files) or self.images > len(self.files):
            return self.images
        places = np.round(np.array(stated) / SAME_POSITION_MM).astype(np.int64)
        return len(np.unique(places, axis=0))


@dataclass(frozen=True)
class Choice:
    """What was chosen of a study.

    Attributes:
        series: by the model's channel; none if nothing fits.
        reason: in a line, why these, or why none; nothing in it tells of the patient.
    """

    series: Mapping[str, Series]
    reason: str


def choose(study: Sequence[Series], model: ModelSpecification) -> Choice:
    """Return the series of a study that a model is to be given.

    Of those that fit, the one that the scanner made goes before what was made of it, one image a
    place before several phases in one series, and then the one with the most slices.

    Args:
        study: all series of one patient and day.
        model: that is to segment.
    """
    passed: Counter[str] = Counter()
    fitting = []
    for series in study:
        if fault := fault_of(series, model):
            passed[fault] += 1
        else:
            fitting.append(series)
    fitting.sort(key=_rank)
    chosen: dict[str, Series] = {}
    told = []
    channels = model.input.channels
    for index, channel in enumerate(channels):
        titled = channel.name in TITLES
        found = [one for one in fitting if not titled or one.sequence == channel.name]
        found = [one for one in found if all(one is not other for other in chosen.values())]
        if found:
            chosen[channel.name] = found[0]
            kind = channel.title if titled else model.modality
            told.append(_told(kind, found[0], len(found)))
        elif index == 0 or channel.replaced_by is None:
            missing = f"no {channel.title}" if titled else f"no {model.modality}"
            seen = Counter(TITLES.get(one.sequence or "", "unknown sequence") for one in fitting)
            others = dict(passed) if not titled else {**passed, **seen}
            return Choice({}, f"{missing} for {model.id} among {_listed(len(study), others)}")
    rest = len(study) - len(chosen) - sum(passed.values())
    others = {**passed, **({"further fitting": rest} if rest else {})}
    told.append(f"of {_listed(len(study), others)}" if others else f"of {len(study)} series")
    return Choice(chosen, "; ".join(told))


def fault_of(series: Series, model: ModelSpecification) -> str | None:
    """Return what a series is that keeps it from being given to a model."""
    first = series.files[0]
    part = first.header.text("BodyPartExamined").upper()
    tilt = series.tilt_degrees
    if series.modality != model.modality:
        return MODALITIES.get(series.modality, "another modality")
    if all("LOCALIZER" in file.image_type for file in series.files):
        return "localizer"
    if first.components != 1 or first.photometric != "MONOCHROME2":
        return "not grey"
    if series.positions < FEWEST_SLICES:
        return f"fewer than {FEWEST_SLICES} slices"
    if part in ELSEWHERE.get(model.anatomy, ()):
        return "another part of the body"
    if tilt is not None and tilt > TILT_DEGREES:
        return "not axial"
    return None


def _rank(series: Series) -> tuple[bool, bool, int, float, str]:
    """Return what sorts the series to take first."""
    spacing = min(series.files[0].pixel_spacing or (0.0,))
    several = series.images > series.positions
    return not series.is_original, several, -series.positions, spacing, series.uid


def _told(kind: str, series: Series, count: int) -> str:
    where = "axial, " if series.tilt_degrees is not None else ""
    most = "" if count == 1 else f", the best of {count}"
    made = "" if series.is_original else ", derived"
    copies = f", copied to {counted(series.copies, 'further folder')}" if series.copies else ""
    return f"{kind}: {where}{counted(series.positions, 'slice')}{made}{most}{copies}"


def _listed(count: int, others: Mapping[str, int]) -> str:
    """Return how many series there are, and what those are that were not taken."""
    listed = ", ".join(f"{number} {what}" for what, number in sorted(others.items()))
    return f"{count} series ({listed})" if listed else f"{count} series"
