"""The section Report: a page or PDF on the segmentation, which names the patient only if wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.writing.file_name import file_name_of
from TumorSegModule.logic.follow_up_pairs import chosen_earlier
from TumorSegModule.logic.report_facts import KNOWABLE, known_of
from TumorSegModule.logic.report_writer import ReportWriter, report_order
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.worker_client import WorkerClient
from TumorSegModule.widgets.installation import ensure_installed
from TumorSegModule.widgets.measured_sections import MeasuredSections
from TumorSegModule.widgets.status_section import PROBLEM_STYLE

POLL_MILLISECONDS = 25
FOLDER_SETTING = "TumorSeg/ReportFolder"
PAGE, PDF = "html", "pdf"


def choose_file(suggestion: str) -> str:
    """Have the user choose a file to write, "" for none; Qt asks before one is replaced."""
    dialog = qt.QFileDialog(slicer.util.mainWindow(), _("Write a report"))
    dialog.setAcceptMode(qt.QFileDialog.AcceptSave)
    filters = {_("Page (*.html)"): PAGE, _("PDF (*.pdf)"): PDF}
    dialog.setNameFilters(list(filters))
    dialog.setDefaultSuffix(PAGE)
    dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix(filters[chosen]))
    folder = slicer.app.userSettings().value(FOLDER_SETTING)
    if folder and Path(folder).is_dir():
        dialog.setDirectory(folder)
    dialog.selectFile(suggestion)
    chosen = dialog.selectedFiles()[0] if dialog.exec_() else ""
    dialog.deleteLater()
    return str(chosen)


def open_file(path: str) -> None:
    """Show a file in the program that the computer has for it."""
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(path))


class ReportSection:
    """Drives the section's widgets.

    Attributes:
        writer: that has a worker write.
    """

    def __init__(
        self,
        ui: Any,
        selection: Selection,
        client: WorkerClient,
        measured: MeasuredSections,
        *,
        choose: Callable[[str], str] = choose_file,
        show: Callable[[str], None] = open_file,
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            selection: has segmentation, volume and models.
            client: of a worker of its own.
            measured: knows how lesions have changed.
            choose: has the user choose a file, given a name for it.
            show: opens what was written.
        """
        self._ui = ui
        self._selection, self._measured = selection, measured
        self._choose, self._open = choose, show
        self._left_out = ""
        self.writer = ReportWriter(client, self)
        self._boxes = {item: getattr(ui, f"{item}ReportBox") for item in KNOWABLE}
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self._poll)
        ui.reportButton.clicked.connect(self._write_or_stop)
        ui.reportSection.contentsCollapsed.connect(self._changed)
        self._say("")
        self.show()

    def show(self) -> None:
        """Show what can be written; does nothing while the section is folded."""
        ui, busy = self._ui, self.writer.busy
        ui.reportButton.text = _("Stop") if busy else _("Write report…")
        if busy:
            ui.reportButton.enabled = True
            return
        segments = self._measured.segments
        if ui.reportSection.collapsed:
            segments.want(self, False)
            return
        segmentation, volume = self._selection.case_or_volume
        segments.want(self, chosen_earlier(segmentation) is not None)
        known = known_of(volume)
        for item, box in self._boxes.items():
            box.enabled = item in known
            box.toolTip = (
                _("The report says it only where this is ticked")
                if item in known
                else _("The scene does not say it of this volume")
            )
        ui.reportButton.enabled = segmentation is not None and volume is not None
        ui.reportNote.text = (
            _("Nothing names the patient unless it is ticked.")
            if ui.reportButton.enabled
            else _("Choose a segmentation with segments under Result.")
        )

    def close(self) -> None:
        """End what is under way, as when the scene is closed; nothing stays ticked."""
        if self.writer.busy:
            self._say(_("The scene was closed; nothing was written."))
        self.writer.stop()
        self._timer.stop()
        for box in self._boxes.values():
            box.checked = False
        self.show()

    def write(self) -> None:
        """Ask for a file and write what the section shows; problems are shown, not raised."""
        segmentation, volume = self._selection.case_or_volume
        if segmentation is None or volume is None:  # removed meanwhile
            self.show()
            return
        self.show()
        known = known_of(volume)
        ticked = {
            item: known[item]
            for item, box in self._boxes.items()
            if box.checked and box.enabled and item in known
        }
        name = volume.GetName() if "volume" in ticked else "report"
        place = self._choose(f"{file_name_of(name)}.{PAGE}")
        if not place:
            return
        slicer.app.userSettings().setValue(FOLDER_SETTING, str(Path(place).parent))
        pdf = Path(place).suffix.lower() == f".{PDF}"

        def begin() -> None:
            self._start(segmentation, volume, place, ticked)

        if ensure_installed(begin, pdf=pdf):
            begin()

    def _start(self, segmentation: Any, volume: Any, place: str, ticked: dict[str, str]) -> None:
        self._say(_("Writing…"))
        catalogue, found = self._selection.models.catalogue, self._measured.findings
        case, earlier = (segmentation, volume), chosen_earlier(segmentation)
        order = report_order(case, place, ticked, catalogue, found)
        self._left_out = "" if order.follow_up or earlier is None else earlier.GetName()
        self.writer.start(order)
        self._timer.setInterval(0)
        self._timer.start()
        self.show()

    def report_written(self, path: str) -> None:
        """See `TumorSegModule.logic.report_writer.ReportListener`."""
        self._timer.stop()
        lines = [_("Written: {path}").format(path=path)]
        if self._left_out:
            line = _("The comparison with {name} is not in it; see Follow-up.")
            lines.append(line.format(name=self._left_out))
        self._say("\n".join(lines))
        self.show()
        self._open(path)

    def report_failed(self, line: str) -> None:
        """See `TumorSegModule.logic.report_writer.ReportListener`."""
        self._timer.stop()
        self._say(line, failed=True)
        self.show()

    def _poll(self) -> None:
        self.writer.poll()
        self._timer.setInterval(0 if self.writer.working else POLL_MILLISECONDS)

    def _write_or_stop(self, *_checked: Any) -> None:
        if self.writer.busy:
            self.writer.stop()
            self._timer.stop()
            self._say(_("Stopped; nothing was written."))
            self.show()
        else:
            self.write()

    def _changed(self, *_collapsed: Any) -> None:
        self.show()

    def _say(self, line: str, *, failed: bool = False) -> None:
        self._ui.reportResult.text = line
        self._ui.reportResult.visible = bool(line)
        self._ui.reportResult.styleSheet = PROBLEM_STYLE if failed else ""
