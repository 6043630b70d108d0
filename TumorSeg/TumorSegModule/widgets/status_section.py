"""The big button, the bar below it and the line below that."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from TumorSegModule.logic.run_status import Status, progress_text

BUSY_STYLE = "QPushButton { font-size: 15px; font-weight: bold; }"
PRIMARY_STYLE = (
    "QPushButton { font-size: 15px; font-weight: bold; border-radius: 6px; border: none;"
    " color: white; background: #2f6fb3; }"
    "QPushButton:hover { background: #3b7fc6; }"
    "QPushButton:disabled { background: #b9c3cd; color: #f2f4f6; }"
)
PROBLEM_STYLE = "color: #b3372f;"


class StatusSection:
    """Shows a run's status."""

    def __init__(self, ui: Any) -> None:
        """Show it in `ui`."""
        self._ui = ui

    def show(self, status: Status, *, can_start: bool, has_volume: bool, frame: str = "") -> None:
        """Show `status`.

        Args:
            status: of the run under way or the last one.
            can_start: whether a click would start a run.
            has_volume: whether a volume is chosen.
            frame: which frame of how many the run is on, "" if there is but one.
        """
        ui, busy = self._ui, status.stage != "idle"
        ui.segmentButton.text = _("Cancel") if busy else _("Segment")
        ui.segmentButton.styleSheet = BUSY_STYLE if busy else PRIMARY_STYLE
        ui.segmentButton.enabled = busy or can_start
        ui.progressBar.visible = busy
        ui.progressBar.setRange(0, status.total)
        ui.progressBar.value = status.done
        progress = progress_text(status)
        ui.progressBar.format = f"{frame}: {progress}" if frame else progress
        line = status.line
        if status.place:
            line = _("Others are before you; the server begins when they are done.")
        elif status.stage == "starting":
            line = _("Loading the model; the first run of a session takes a few seconds longer.")
        elif not (has_volume or busy or line):
            line = _("Load a CT or MRI volume to begin.")
        ui.statusLabel.text = line
        ui.statusLabel.visible = bool(line)
        ui.statusLabel.styleSheet = PROBLEM_STYLE if status.failed else ""
