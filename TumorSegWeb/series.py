"""The DICOM series in folders, called what their images call them. No trame, no scene."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading import read_volume
from TumorSegLib.reading.dicom_files import DicomFile, list_dicom
from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.reading.dicom_series import WITHOUT_UID, series_of
from TumorSegLib.reading.file_path import reading

NAMING_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True)
class Series:
    """One of the series in a folder.

    Attributes:
        place: the folder.
        uid: SeriesInstanceUID, or what stands for it.
        title: what to call it; nothing that names the patient.
    """

    place: Path
    uid: str
    title: str

    def read(self) -> Volume:
        """Read it; its warnings begin with its title.

        Raises:
            InputError: it is no stack of grey slices; the line begins with its title, too.
        """
        try:
            volume = read_volume(self.place, series=self.uid)
        except InputError as error:
            raise InputError(self.titled(str(error))) from None
        if not volume.warnings:
            return volume
        return replace(volume, warnings=tuple(map(self.titled, volume.warnings)))

    def titled(self, line: str) -> str:
        """Return a line that begins with the folder's name, or its path, with the title for it."""
        for name in (self.place, self.place.resolve().name):
            if (rest := line.removeprefix(f"{name}: ")) != line:
                return f"{self.title}: {rest}"
        return line


def series_in(place: Path) -> list[Series]:
    """Return the series in a folder, sub-folders left out.

    Raises:
        InputError: a slice is damaged, or the folder cannot be read.
    """
    with reading(place), quiet_pydicom():
        listed, _warnings = list_dicom(place)
        first: dict[str, DicomFile] = {}
        for file in listed:
            first.setdefault(file.series or WITHOUT_UID, file)
        return [Series(place, uid, _title(file)) for uid, file in first.items()]


def series_of_files(files: Iterable[Path]) -> list[Series]:
    """Return the series that files belong to; what is no DICOM is passed over.

    Raises:
        InputError: see `series_in`.
    """
    wanted: dict[Path, set[str]] = {}
    for file in files:
        try:
            wanted.setdefault(file.parent, set()).add(series_of(file))
        except InputError:
            continue  # damaged slices are told of when their folder is looked through
    return [
        one
        for place, series in wanted.items()
        if series
        for one in series_in(place)
        if one.uid in series
    ]


def _title(file: DicomFile) -> str:
    """Return SeriesDescription, or modality and number where it is empty or names the patient."""
    words = set(NAMING_WORD.findall(file.description.casefold()))
    patient = f"{file.header.text('PatientName')} {file.header.text('PatientID')}".casefold()
    if file.description and not words & set(NAMING_WORD.findall(patient.replace("^", " "))):
        return file.description
    number = file.header.text("SeriesNumber")
    return ", ".join(filter(None, (file.modality or "DICOM", number and f"series {number}")))
