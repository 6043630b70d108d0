"""Runs without the panel, from a script or the Python console, one after the other. MRML, no Qt.

They go through a `Session` of their own with a worker of its own, so that the panel beside them
goes on as if they were not there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import TumorSegError
from TumorSegModule.logic.ending import Ending, Reason
from TumorSegModule.logic.run_options import Options
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.view import NoEditor
from TumorSegModule.logic.worker_client import WorkerClient

WAITING, RUNNING, DONE = "waiting", "running", "done"
FAILED, CANCELLED = "failed", "cancelled"

POLL_MILLISECONDS = 25
PAUSE_SECONDS = 0.005
"""Between two turns of the event loop while a script waits, or it would take the worker's time."""


class SegmentationError(TumorSegError):
    """A run of a script has no result.

    Attributes:
        reason: why.
    """

    def __init__(self, line: str, reason: Reason) -> None:
        super().__init__(line)
        self.reason = reason


class Clock(Protocol):
    """Calls again and again from the event loop; see `TumorSegModule.widgets.qt_clock`."""

    def start(self, milliseconds: int, call: Callable[[], None]) -> None:
        """Call every so many milliseconds from now on, 0 for as often as possible."""

    def stop(self) -> None:
        """Call no more."""


@dataclass(eq=False)
class ScriptedRun:
    """A run that a script has asked for.

    Attributes:
        options: what to run on which nodes.
        state: "waiting", "running", "done", "failed" or "cancelled".
        segmentationNode: with the result, None before there is one.
        line: how the run ended, "" before.
        slicesDone: slices that are computed.
        slicesTotal: slices to compute, 0 before the model is loaded.
    """

    options: Options
    state: str = WAITING
    segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
    line: str = ""
    slicesDone: int = 0
    slicesTotal: int = 0
    _runs: ScriptedRuns | None = None
    _reason: Reason | None = None
    _finished: Callable[[ScriptedRun], object] | None = None
    _progress: Callable[[ScriptedRun], object] | None = None

    @property
    def finished(self) -> bool:
        """Whether the run is over, well or not."""
        return self.state not in (WAITING, RUNNING)

    def cancel(self) -> None:
        """Stop the run, or take it out of the queue; the scene is as it was before."""
        if self._runs is not None and not self.finished:
            self._runs.cancel(self)

    def wait(self) -> slicer.vtkMRMLSegmentationNode:
        """Wait for the end while the application stays alive, and return the segmentation node.

        Raises:
            SegmentationError: the run failed or was cancelled.
        """
        while not self.finished:
            slicer.app.processEvents()
            time.sleep(PAUSE_SECONDS)
        if self.state != DONE:
            raise SegmentationError(self.line, self._reason or Reason.FAILED)
        return self.segmentationNode


class ScriptedRuns:
    """Works off the runs that scripts have asked for, in their order.

    Attributes:
        session: that runs them.
    """

    def __init__(self, client: WorkerClient, clock: Clock) -> None:
        """Run in `client`'s worker, and look after it whenever `clock` calls."""
        self.session = Session(client, NoEditor(), self)
        self._clock = clock
        self._waiting: list[ScriptedRun] = []
        self._running: ScriptedRun | None = None
        self._number: int | None = None
        self._over: list[ScriptedRun] = []
        scene = slicer.mrmlScene
        self._observer = scene.AddObserver(scene.StartCloseEvent, self._scene_closes)

    def submit(
        self,
        options: Options,
        *,
        finished: Callable[[ScriptedRun], object] | None = None,
        progress: Callable[[ScriptedRun], object] | None = None,
    ) -> ScriptedRun:
        """Start a run, or have it wait for those before it.

        Args:
            options: what to run on which nodes.
            finished: called with the run when it is over.
            progress: called with the run when further slices are computed.

        Raises:
            InputError: a node cannot be used; nothing is started.
        """
        options.request()
        run = ScriptedRun(options, _runs=self, _finished=finished, _progress=progress)
        self._waiting.append(run)
        self._next()
        return run

    def cancel(self, run: ScriptedRun) -> None:
        """Stop a run, or take it out of the queue."""
        if run is self._running:
            self.session.cancel()
        elif run in self._waiting:
            self._waiting.remove(run)
            self._end(run, Reason.CANCELLED, _("Cancelled; nothing was changed."))
        self._tell()

    def stop(self) -> None:
        """Cancel all runs and end the worker; the next run starts another."""
        waiting, self._waiting = self._waiting, []
        for run in waiting:
            self._end(run, Reason.CANCELLED, _("Cancelled; nothing was changed."))
        self.session.cancel()
        self.session.close()
        self._clock.stop()
        self._tell()

    def close(self) -> None:
        """Do that, and let go of the scene."""
        self.stop()
        slicer.mrmlScene.RemoveObserver(self._observer)

    def poll(self) -> None:
        """Go on; the clock calls this."""
        self.session.poll()
        self._tell()
        if self._running is None:
            self._next()
        if not (self.session.pending or self._waiting):
            self._clock.stop()
        else:
            self._clock.start(0 if self.session.runner.copying else POLL_MILLISECONDS, self.poll)

    def status_changed(self) -> None:
        """See `TumorSegModule.logic.view.View`."""
        run, status = self._running, self.session.status
        if run is None or status.stage != "running":
            return
        if (run.slicesDone, run.slicesTotal) != (status.done, status.total):
            run.slicesDone, run.slicesTotal = status.done, status.total
            _call(run._progress, run)

    def surface_outdated(self, target: slicer.vtkMRMLSegmentationNode) -> None:
        """See `TumorSegModule.logic.view.View`."""
        target.CreateClosedSurfaceRepresentation()

    def run_ended(self, ending: Ending) -> None:
        """See `TumorSegModule.logic.view.View`."""
        run = self._running
        if run is None or ending.number != self._number:
            return
        self._running = self._number = None
        run.segmentationNode = ending.target
        self._end(run, ending.reason, ending.line)

    def _next(self) -> None:
        """Start the next run that can be started."""
        while self._waiting and self._running is None:
            run = self._waiting.pop(0)
            try:
                self._number = self.session.start(run.options)
            except TumorSegError as error:
                self._end(run, Reason.FAILED, str(error))
                continue
            self._running, run.state = run, RUNNING
        if self._running is not None or self._over:
            self._clock.start(0, self.poll)

    def _end(self, run: ScriptedRun, reason: Reason, line: str) -> None:
        states = {Reason.DONE: DONE, Reason.CANCELLED: CANCELLED}
        run.state, run.line, run._reason = states.get(reason, FAILED), line, reason
        self._over.append(run)

    def _tell(self) -> None:
        """Tell scripts of runs that are over; they may ask for others, and wait for these."""
        while self._over:
            run = self._over.pop(0)
            _call(run._finished, run)

    def _scene_closes(self, *_event: object) -> None:
        waiting, self._waiting = self._waiting, []
        line = _("The scene was closed; the run was stopped.")
        for run in waiting:
            self._end(run, Reason.SCENE_CLOSED, line)
        self.session.let_go()
        self._tell()


def _call(listener: Callable[[ScriptedRun], object] | None, run: ScriptedRun) -> None:
    """Call what a script has given; its faults are logged, and stop no other run."""
    if listener is not None:
        try:
            listener(run)
        except Exception:
            logging.exception(_("TumorSeg: a function that a script gave to a run failed"))
