"""The section Several volumes: runs one volume after the other, a new segmentation each."""

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegModule.volumes import is_usable
from TumorSegModule.work_queue import DONE, FAILED, RUNNING, WAITING, WorkQueue


class QueueSection:
    """Drives the section's widgets."""

    def __init__(self, ui, current, accompanying, run, cancel):
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            current: returns the volume chosen in the panel.
            accompanying: returns the further sequences of a volume, which are no cases themselves.
            run: starts a run on a volume node.
            cancel: stops the run under way.
        """
        self._ui = ui
        self._current = current
        self._accompanying = accompanying
        self._run = run
        self._cancel = cancel
        self._queue = WorkQueue()
        self._starting = False
        ui.queueAddButton.clicked.connect(self._add_current)
        ui.queueAddAllButton.clicked.connect(self._add_all)
        ui.queueRemoveButton.clicked.connect(self._remove)
        ui.queueRunButton.clicked.connect(self._run_or_stop)
        self.show()

    @property
    def entries(self):
        """The queue's entries."""
        return tuple(self._queue.entries)

    @property
    def running(self):
        """Whether the queue is being worked off."""
        return self._queue.running

    def run_ended(self, failure):
        """Note how the run of the queue ended ("" is well), and start the next."""
        if self._queue.running:
            self._queue.finish(failure)
            if not self._starting:
                self._next()

    def stop(self):
        """Stop after a cancel; what was not done waits."""
        self._queue.stop()
        self.show()

    def clear(self):
        """Forget all volumes, as when the scene is closed."""
        self._queue = WorkQueue()
        self.show()

    def show(self):
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
        ui.queueRunButton.enabled = waiting or self._queue.running
        ui.queueRemoveButton.enabled = bool(self._queue.entries)

    def _add_current(self, *_checked):
        self._add([self._current()])

    def _add_all(self, *_checked):
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        usable = [volume for volume in volumes if is_usable(volume)]
        others = {node.GetID() for volume in usable for node in self._accompanying(volume)}
        self._add([volume for volume in usable if volume.GetID() not in others])

    def _add(self, volumes):
        for volume in volumes:
            if volume is not None and is_usable(volume):
                self._queue.add(volume.GetID(), volume.GetName())
        self.show()

    def _remove(self, *_checked):
        self._queue.remove(self._ui.queueList.currentRow)
        self.show()

    def _run_or_stop(self, *_checked):
        if self._queue.running:
            self._cancel()
        else:
            self._next()

    def _next(self):
        """Start the next volume; those that fail at once are passed over."""
        self._starting = True
        try:
            while entry := self._queue.next():
                self.show()
                volume = slicer.mrmlScene.GetNodeByID(entry.volume)
                if volume is None:
                    self._queue.finish(_("removed from the scene"))
                elif self._run(volume):
                    break
        finally:
            self._starting = False
            self.show()
