"""Cases of DICOM folders: for each study and modality the series that the model is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from TumorSegLib.cohort.case import FIRST, Case, Refused, Source
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.series_choice import Series, choose
from TumorSegLib.cohort.series_parts import gathered
from TumorSegLib.errors import InputError
from TumorSegLib.reading.dicom_files import DicomFile, list_dicom
from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.reading.dicom_series import WITHOUT_UID
from TumorSegLib.support.words import counted


@dataclass
class Study:
    """The series of one study.

    Attributes:
        key: StudyInstanceUID, or the folder where there is none.
        place: of its first series, below the input.
        series: that were found so far.
    """

    key: str
    place: str
    series: list[Series] = field(default_factory=list)


class Studies:
    """Gathers the studies of a tree of folders; one study may lie in several of them."""

    def __init__(self) -> None:
        self._studies: dict[str, Study] = {}

    def __iter__(self) -> Iterator[Study]:
        return iter(self._studies.values())

    @quiet_pydicom()
    def add(self, folder: Path, place: str, *, only: str | None = None) -> None:
        """Add the images of a folder.

        Args:
            folder: whose files are looked at.
            place: of it below the input.
            only: SeriesInstanceUID, where one is meant.

        Raises:
            InputError: a file that should be a slice is none, or there is no such series.
        """
        files, _ = list_dicom(folder)
        by_series: dict[str, list[DicomFile]] = {}
        for file in files:
            by_series.setdefault(file.series or WITHOUT_UID, []).append(file)
        if only is not None:
            if only not in by_series:
                raise InputError(f"{folder}: found no series {only}")
            by_series = {only: by_series[only]}
        for uid, images in by_series.items():
            key = images[0].header.text("StudyInstanceUID") or str(folder)
            study = self._studies.setdefault(key, Study(key, place))
            study.series.append(Series(folder, uid, tuple(images)))


def cases_of(study: Study, models: Models) -> Iterator[Case | Refused]:
    """Yield a case for each modality of a study that there is a model for.

    Args:
        study: with all its series.
        models: of the run.
    """
    found = list(gathered(study.series))
    folders = tuple(sorted({folder for series in found for folder in series.folders}))
    modalities = [one for one in models.by_modality if one in _modalities(found)]
    if not modalities:
        wanted = " or ".join(models.by_modality) or "no modality"
        yield Refused(study.place, f"no {wanted} among its {len(found)} series", folders)
    for modality in modalities:
        choice = choose(found, models.by_modality[modality].specification)
        name = study.place if len(modalities) == 1 else f"{study.place} {modality}"
        if not choice.series:
            yield Refused(name, choice.reason, folders)
            continue
        scattered = [one for one in choice.series.values() if len(one.folders) > 1]
        if scattered:
            yield Refused(name, _scattered(scattered[0]), tuple(scattered[0].folders))
            continue
        only = len(models.by_modality[modality].specification.input.channels) == 1
        sources = {
            FIRST if only else channel: source_of(series)
            for channel, series in choice.series.items()
        }
        yield Case(name, sources, modality, chosen=choice.reason, is_private=True)


def source_of(series: Series) -> Source:
    """Return a series as an image to read."""
    files = tuple(file.path for file in series.files)
    return Source(series.folder, series.uid, files)


def _scattered(series: Series) -> str:
    """Return why a series is not read; folders are not named, as they may tell of the patient."""
    count = counted(series.positions, "slice")
    return (
        f"the {count} of its series lie in parts in {len(series.folders)} folders, which are in"
        " sources.csv; put its files into one folder, or leave out (--exclude) the folders that"
        " are not meant"
    )


def _modalities(series: Iterable[Series]) -> set[str]:
    return {one.modality for one in series}


def has_candidates(names: Sequence[str], endings: Iterable[str]) -> bool:
    """Tell whether a folder holds files that may be DICOM: no image of another format, no text."""
    other = (*endings, *NO_DICOM)
    return any(not name.lower().endswith(other) for name in names)


NO_DICOM = (
    ".csv",
    ".tsv",
    ".json",
    ".txt",
    ".xml",
    ".md",
    ".py",
    ".png",
    ".jpg",
    ".pdf",
    ".zip",
    ".parquet",
)
"""Ends names of what often lies beside images."""
