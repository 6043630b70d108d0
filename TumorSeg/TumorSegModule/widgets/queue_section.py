"""The section Several volumes: runs one volume after the other, a new segmentation each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import TumorSegError
from TumorSegModule.logic.ending import Ending, Reason
from TumorSegModule.logic.frame_shown import name_in_lists
from TumorSegModule.logic.listeners import RunStarter
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.volumes import is_usable
from TumorSegModule.logic.work_queue import DONE, FAILED, RUNNING, WAITING, Entry, WorkQueue
from TumorSegModule.widgets.series_section import SeriesSection


class QueueSection(SeriesSection):
    """Drives the section's widgets."""

    def __init__(
        self, ui: Any, selection: Selection, session: Session, starter: RunStarter
    ) -> None:
        """Drive the widgets in `ui`; see `SeriesSection`."""
        super().__init__(ui, selection, session, starter)
        self._queue = WorkQueue()
        ui.queueAddButton.clicked.connect(self._add_current)
        ui.queueAddAllButton.clicked.connect(self._add_all)
        ui.queueRemoveButton.clicked.connect(self._remove)
        ui.queueRunButton.clicked.connect(self._run_or_stop)
        self.show()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The queue's entries."""
        return tuple(self._queue.entries)

    @property
    def running(self) -> bool:
        """Whether the queue is being worked off."""
        return self._queue.running

    def _go_on(self, ending: Ending) -> None:
        if ending.reason is Reason.CANCELLED:
            self._queue.stop()
            self.show()
        else:
            self._queue.finish("" if ending.done else ending.line)
            self._next()

    def clear(self) -> None:
        """Forget all volumes, as when the scene is closed."""
        self._queue, self._series, self._number = WorkQueue(), None, None
        self.show()

    def show(self) -> None:
        """Show the queue."""
        ui = self._ui
        words = {
            WAITING: _("waiting"),
            RUNNING: _("being segmented…"),
            DONE: _("done"),
            FAILED: _("failed"),
        }
        row = ui.queueList.currentRow
        ui.queueList.clear()
        for entry in self._queue.entries:
            reason = f": {entry.line}" if entry.line else ""
            ui.queueList.addItem(qt.QListWidgetItem(f"{entry.name} — {words[entry.state]}{reason}"))
        ui.queueList.currentRow = min(row, len(self._queue.entries) - 1)
        waiting = any(entry.state == WAITING for entry in self._queue.entries)
        ui.queueRunButton.text = _("Stop") if self._queue.running else _("Segment all")
        ui.queueRunButton.enabled = self._queue.running or (waiting and not self._session.busy)
        ui.queueRemoveButton.enabled = bool(self._queue.entries)

    def _add_current(self, *_checked: Any) -> None:
        self._add([self._selection.volume])

    def _add_all(self, *_checked: Any) -> None:
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        usable = [volume for volume in volumes if is_usable(volume)]
        others = {
            node.GetID() for volume in usable for node in self._selection.accompanying(volume)
        }
        self._add([volume for volume in usable if volume.GetID() not in others])

    def _add(self, volumes: Iterable[slicer.vtkMRMLScalarVolumeNode | None]) -> None:
        for volume in volumes:
            if volume is not None and is_usable(volume):
                self._queue.add(volume, name_in_lists(volume))
        self.show()

    def _remove(self, *_checked: Any) -> None:
        self._queue.remove(self._ui.queueList.currentRow)
        self.show()

    def _run_or_stop(self, *_checked: Any) -> None:
        if self._queue.running:
            self._session.cancel()
        elif not self._session.busy:
            self._series = self._starter.series()
            self._next()

    def _next(self) -> None:
        """Start the next volume; those that cannot be run are passed over."""
        assert self._series is not None
        while entry := self._queue.next():
            if not slicer.mrmlScene.IsNodePresent(entry.volume):
                self._queue.finish(_("removed from the scene"))
                continue
            try:
                self._number = self._series.start(entry.volume)
            except TumorSegError as error:
                self._queue.finish(str(error))
                continue
            if self._number is None:
                self._queue.stop()
            break
        self.show()
