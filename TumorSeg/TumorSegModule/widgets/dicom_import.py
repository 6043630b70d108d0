"""Adds DICOM files to Slicer's database, by copies of its own, on CTK's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ctk
import slicer
from slicer.i18n import tr as _


class DicomImport:
    """Adds one folder at a time.

    The indexer stays: ending one waits for its thread.
    """

    def __init__(self) -> None:
        """Have nothing to add yet."""
        self._indexer: Any = None
        self._done: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether files are being added."""
        return self._done is not None

    def start(self, folder: Path, done: Callable[[], None]) -> None:
        """Copy what is in `folder` into the database, and call `done`; returns at once."""
        if self._indexer is None:
            self._indexer = ctk.ctkDICOMIndexer()
            self._indexer.backgroundImportEnabled = True
            self._indexer.indexingComplete.connect(self._complete)
        self._done = done
        copy = True  # else the database would refer to files that are about to be removed
        self._indexer.addDirectory(slicer.dicomDatabase, str(folder), copy)

    def stop(self) -> None:
        """Call nobody any more; what is being added may still get into the database."""
        if self.busy:
            self._done = None
            self._indexer.cancel()

    def _complete(self, *_counts: int) -> None:
        done, self._done = self._done, None
        if done is not None:
            done()


def not_added(instances: Sequence[str]) -> bool:
    """Tell whether an instance's file is not in the database, as after a disk that is full."""
    files = [slicer.dicomDatabase.fileForInstance(instance) for instance in instances]
    return not all(file and Path(file).is_file() for file in files)


def place_in_database(instance: str, descriptions: Sequence[str]) -> str:
    """Return a line that says where an instance lies: patient, study and series.

    Args:
        instance: SOPInstanceUID.
        descriptions: of the series that were added.
    """
    file = slicer.dicomDatabase.fileForInstance(instance)
    study = slicer.dicomDatabase.studyForSeries(slicer.dicomDatabase.seriesForFile(file))
    patient = slicer.dicomDatabase.nameForPatient(slicer.dicomDatabase.patientForStudy(study))
    described = slicer.dicomDatabase.descriptionForStudy(study)
    return _(
        "In Slicer's DICOM database: patient {patient}, study {study}, series {series}. The module"
        " DICOM (Add DICOM Data) shows them, and can send them to a PACS."
    ).format(
        patient=patient or _("without a name"),
        study=described or _("without a description"),
        series=_(" and ").join(f"“{description}”" for description in descriptions),
    )
