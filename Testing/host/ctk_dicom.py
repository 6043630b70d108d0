"""CTK's DICOM database and its indexer, as far as the panel uses them; see `ctk_dicom_facts.json`.

The files are what a database knows: an indexer that is asked to copies them into the database's
folder, otherwise the database refers to them where they are.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import qt


class ctkDICOMDatabase(qt.QObject):
    """What `slicer.dicomDatabase` is; `_takes_files` is False where a disk is full."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._folder, self._open = "", False
        self._instances = {}
        self._takes_files = True

    def _is_open(self):
        return self._open

    def _database_directory(self):
        return self._folder

    isOpen = qt.Property(bool, _is_open)
    databaseDirectory = qt.Property(str, _database_directory)

    def openDatabase(self, databaseFile, connectionName=""):
        self._folder, self._open = str(Path(databaseFile).parent), True
        return True

    def closeDatabase(self):
        self._open = False

    def fileForInstance(self, sopInstanceUID):
        return self._instances[sopInstanceUID][0] if sopInstanceUID in self._instances else ""

    def seriesForFile(self, fileName):
        return self._of(lambda file, _said: file == fileName, "SeriesInstanceUID")

    def studyForSeries(self, seriesUID):
        return self._of(lambda _file, said: said.SeriesInstanceUID == seriesUID, "StudyInstanceUID")

    def patientForStudy(self, studyUID):
        return self._of(lambda _file, said: said.StudyInstanceUID == studyUID, "PatientID")

    def nameForPatient(self, patientUID):
        return self._of(lambda _file, said: said.PatientID == patientUID, "PatientName")

    def descriptionForStudy(self, studyUID):
        of_study = "StudyDescription"
        return self._of(lambda _file, said: said.StudyInstanceUID == studyUID, of_study)

    def filesForSeries(self, seriesUID, hits=-1):
        known = self._instances.values()
        return [file for file, said in known if said.SeriesInstanceUID == seriesUID]

    def _of(self, wanted, keyword):
        found = (said for file, said in self._instances.values() if wanted(file, said))
        return str(next(found, {}).get(keyword, ""))

    def _add(self, path, copy):
        import pydicom  # not loaded with the panel

        said = pydicom.dcmread(path, stop_before_pixels=True)
        if copy:
            if not self._takes_files:
                return
            parts = (said.StudyInstanceUID, said.SeriesInstanceUID, f"{said.SOPInstanceUID}.dcm")
            kept = Path(self._folder, "dicom", *map(str, parts))
            kept.parent.mkdir(parents=True, exist_ok=True)
            path = shutil.copyfile(path, kept)
        self._instances[str(said.SOPInstanceUID)] = (str(path), said)


class ctkDICOMIndexer(qt.QObject):
    """Adds files in the background, as the real one does if told to."""

    indexingComplete = qt.Signal(int, int, int, int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._background = False
        self._waiting = []

    def _is_background(self):
        return self._background

    def _set_background(self, enabled):
        self._background = enabled

    backgroundImportEnabled = qt.Property(bool, _is_background, _set_background)

    def addDirectory(self, db, directoryName, copyFile=False, includeHidden=True):
        self._waiting.append((db, Path(directoryName), copyFile))
        if self._background:
            qt.QTimer.singleShot(0, self._work)
        else:
            self._work()

    def cancel(self):
        self._waiting = []

    def _work(self):
        count = 0
        for database, folder, copy in self._waiting:
            for path in sorted(folder.rglob("*.dcm")):
                database._add(path, copy)
                count += 1
        self._waiting = []
        self.indexingComplete.emit(0, 0, count, count)
