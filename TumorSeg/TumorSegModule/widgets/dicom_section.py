"""The section Save to DICOM: the segmentation as corrected, and its figures, for a PACS."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.support import leftovers
from TumorSegLib.worker.dicom_protocol import DicomSaved
from TumorSegLib.writing.dicom_content import LONGEST_NAME
from TumorSegLib.writing.file_name import file_name_of
from TumorSegModule.logic.dicom_images import INSTANCES, has_database, images_of, why_not_written
from TumorSegModule.logic.dicom_packages import search_path
from TumorSegModule.logic.dicom_saver import DicomOrder, DicomSaver
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.worker_client import WorkerClient, python_command
from TumorSegModule.widgets.dicom_import import DicomImport, not_added, place_in_database
from TumorSegModule.widgets.idle_work import IdleWork
from TumorSegModule.widgets.installation import ensure_dicom_packages, ensure_installed
from TumorSegModule.widgets.status_section import PROBLEM_STYLE

POLL_MILLISECONDS = 25
FOLDER_SETTING = "TumorSeg/DicomFolder"
PREFIX = "TumorSeg-DICOM-"
"""Begins the names of the folders in which files lie until the database has copied them."""
LONGEST_STEM = 80
"""Characters of a file's name."""


class DicomSection:
    """Drives the section's widgets.

    Attributes:
        saver: that writes the files through its worker.
    """

    def __init__(
        self,
        ui: Any,
        selection: Selection,
        *,
        client: WorkerClient | None = None,
        ask_folder: Callable[[str], str] | None = None,
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            selection: has segmentation and volume.
            client: of a worker of its own, made if not given.
            ask_folder: asks for a folder, given the last one; "" is none.
        """
        self._ui = ui
        self._selection = selection
        self._ask_folder = ask_folder or _ask_folder
        self.saver = DicomSaver(
            client or WorkerClient(python_command(), packages=search_path), self
        )
        self._import = DicomImport()
        self._looking = IdleWork()
        self._looked_at: tuple[str, ...] | None = None
        self._problem = ""
        self._target: slicer.vtkMRMLSegmentationNode | None = None
        self._temporary: Path | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self._poll)
        ui.dicomSaveButton.clicked.connect(self._save_or_stop)
        ui.dicomFolderButton.clicked.connect(self._save_to_folder)
        ui.dicomSection.contentsCollapsed.connect(self._changed)
        self._show_result("")
        self.show()

    def close(self) -> None:
        """End it, as when the scene is closed."""
        self.saver.stop()
        self._import.stop()
        self._looking.stop()
        self._timer.stop()
        self._remove_temporary()
        self._looked_at = None
        self.show()

    @property
    def busy(self) -> bool:
        """Whether something is being saved."""
        return self.saver.busy or self._import.busy

    def show(self) -> None:
        """Show what would be saved, or why nothing can; does nothing while it is folded."""
        ui, busy = self._ui, self.busy
        ui.dicomProgress.visible = busy
        ui.dicomSaveButton.text = _("Stop") if busy else _("Save to DICOM")
        ui.dicomSeriesEdit.enabled = not busy
        if busy:
            ui.dicomSaveButton.enabled, ui.dicomFolderButton.enabled = True, False
            self._show_progress()
            return
        if ui.dicomSection.collapsed:
            return
        segmentation, volume = self._selection.case
        if segmentation is not self._target:  # another patient's, perhaps
            self._target = segmentation
            ui.dicomSeriesEdit.text = ""
            self._show_result("")
        ui.dicomSeriesEdit.placeholderText = _default_description(segmentation)
        problem = self._look_for_images(segmentation, volume)
        unwritten = "" if problem else why_not_written()
        ui.dicomFolderButton.enabled = not problem
        ui.dicomSaveButton.enabled = not problem and not unwritten
        ui.dicomSaveButton.toolTip = (
            problem
            or unwritten
            or _("Add segments and measurements to Slicer's DICOM database, as they are now")
        )
        ui.dicomFolderButton.toolTip = problem or _(
            "Write both files to a folder; no file that is there is replaced"
        )
        ui.dicomNote.text = problem or unwritten or _note(segmentation, volume)

    def _look_for_images(self, segmentation: Any, volume: Any) -> str:
        """Return why the case cannot be saved, "" if it can; images are looked for meanwhile."""
        if segmentation is None or volume is None:
            self._looked_at = None
            return _("Choose a segmentation with segments under Result.")
        database = slicer.dicomDatabase.databaseDirectory if has_database() else ""
        transform = volume.GetTransformNodeID() or ""
        wanted = (volume.GetID(), volume.GetAttribute(INSTANCES) or "", transform, database)
        if wanted != self._looked_at:
            self._looked_at = wanted
            self._problem = _("Looking for the volume's DICOM images…")
            self._looking.start(_problem_of(volume), self._images_looked_for)
        return self._problem

    def _images_looked_for(self, problem: str) -> None:
        self._problem = problem
        self.show()

    def _changed(self, *_collapsed: Any) -> None:
        self._looked_at = None
        self.show()

    def _save_or_stop(self, *_checked: Any) -> None:
        if self.busy:
            self.close()
            self._show_result(_("Stopped; nothing was saved."))
            return
        self._save()

    def _save(self) -> None:
        """Save to the database."""
        if self._is_ready(self._save) and self._ui.dicomSaveButton.enabled:
            parent = Path(slicer.app.temporaryPath)
            leftovers.remove_left_over(parent, PREFIX)
            folder = parent / f"{PREFIX}{leftovers.owned_name()}"
            try:
                folder.mkdir(mode=0o700, parents=True)  # the files name the patient
            except OSError as error:
                self._show_result(f"{folder}: {error.strerror}", failed=True)
                return
            self._temporary = folder
            self._start((folder / "seg.dcm", folder / "sr.dcm"))

    def _save_to_folder(self, *_checked: Any) -> None:
        if not self._is_ready(self._save_to_folder):
            return
        chosen = self._ask_folder(slicer.app.userSettings().value(FOLDER_SETTING) or "")
        segmentation, _volume = self._selection.case
        if chosen and segmentation is not None:
            slicer.app.userSettings().setValue(FOLDER_SETTING, chosen)
            self._start(free_names(Path(chosen), segmentation.GetName()))

    def _is_ready(self, again: Callable[[], None]) -> bool:
        self.show()
        return (
            self._ui.dicomFolderButton.enabled
            and ensure_installed(again)
            and ensure_dicom_packages(again)
        )

    def _start(self, outputs: tuple[Path, Path]) -> None:
        segmentation, volume = self._selection.case
        if segmentation is None or volume is None:
            self.show()
            return
        said = self._ui.dicomSeriesEdit.text.strip()
        description = said or _default_description(segmentation)
        self._show_result("")
        self.saver.start(
            DicomOrder(segmentation, volume, (str(outputs[0]), str(outputs[1])), description)
        )
        self._timer.setInterval(0)
        self._timer.start()
        self.show()

    def _poll(self) -> None:
        self.saver.poll()
        self._timer.setInterval(0 if self.saver.working else POLL_MILLISECONDS)
        if not self.saver.busy:
            self._timer.stop()

    def dicom_progressed(self) -> None:
        """See `TumorSegModule.logic.dicom_saver.DicomListener`."""
        self._show_progress()

    def dicom_failed(self, _order: DicomOrder, line: str) -> None:
        """See `TumorSegModule.logic.dicom_saver.DicomListener`."""
        self._remove_temporary()
        self._looked_at = None
        self.show()  # of what is chosen now; the line is of what was chosen then
        self._show_result(line, failed=True)

    def dicom_written(self, order: DicomOrder, saved: DicomSaved) -> None:
        """See `TumorSegModule.logic.dicom_saver.DicomListener`."""
        self.show()
        if self._temporary is None:
            names = [Path(output).name for output in order.outputs]
            self._show_result(
                _("In {folder}: {segmentation} and {report}.").format(
                    folder=Path(order.outputs[0]).parent, segmentation=names[0], report=names[1]
                )
            )
        elif has_database():
            self._import.start(self._temporary, lambda: self._imported(saved))
            self.show()
        else:
            self.dicom_failed(order, why_not_written())

    def _imported(self, saved: DicomSaved) -> None:
        self._remove_temporary()
        self.show()
        if not has_database() or not_added(saved.instances):
            self._show_result(
                why_not_written()
                or _(
                    "Slicer's DICOM database in {folder} did not take the files; is its disk full"
                    " or read-only? Save files to a folder instead."
                ).format(folder=slicer.dicomDatabase.databaseDirectory),
                failed=True,
            )
        else:
            self._show_result(place_in_database(saved.instances[0], saved.descriptions))

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            leftovers.remove(self._temporary)
            self._temporary = None

    def _show_progress(self) -> None:
        bar, progress = self._ui.dicomProgress, self.saver.progress
        done, total = (progress.done, progress.total) if progress is not None else (0, 0)
        if self._import.busy:
            text, total = _("adding to Slicer's DICOM database"), 0
        elif progress is None:
            text = _("handing over the voxels")
        elif progress.stage == "images":
            text = _("reading image {number} of {total}").format(number=done + 1, total=total)
        elif progress.stage == "segmentation":
            text, total = _("writing the segmentation"), 0
        else:
            text = _("measuring segment {number} of {total}").format(number=done + 1, total=total)
        bar.setRange(0, total)  # 0: it moves without an end
        bar.value = done
        bar.format = text

    def _show_result(self, line: str, *, failed: bool = False) -> None:
        self._ui.dicomResult.text = line
        self._ui.dicomResult.visible = bool(line)
        self._ui.dicomResult.styleSheet = PROBLEM_STYLE if failed else ""


def free_names(folder: Path, name: str) -> tuple[Path, Path]:
    """Return names in a folder that no file has, for segmentation and report.

    Args:
        folder: where they are to be.
        name: of the segmentation.
    """
    stem, number = file_name_of(name)[:LONGEST_STEM].strip(" ."), 1
    while True:
        numbered = stem if number == 1 else f"{stem} {number}"
        names = (folder / f"{numbered} SEG.dcm", folder / f"{numbered} SR.dcm")
        if not any(os.path.lexists(path) for path in names):
            return names
        number += 1


def _problem_of(volume: slicer.vtkMRMLScalarVolumeNode) -> Generator[None, None, str]:
    """Return why a volume's images cannot be referred to, "" if they can."""
    try:
        yield from images_of(volume)
    except InputError as error:
        return str(error)
    return ""


def _default_description(segmentation: slicer.vtkMRMLSegmentationNode | None) -> str:
    name = segmentation.GetName() if segmentation is not None else ""
    return f"TumorSeg {name}".strip()[:LONGEST_NAME]


def _note(
    segmentation: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> str:
    count = segmentation.GetSegmentation().GetNumberOfSegments()
    counted = _("1 segment") if count == 1 else _("{count} segments").format(count=count)
    return _(
        "{segments} of {volume} and their measurements. The files name the patient, as all in a"
        " PACS do."
    ).format(segments=counted, volume=volume.GetName())


def _ask_folder(last: str) -> str:
    title = _("Folder for the DICOM files")
    return str(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, last) or "")
