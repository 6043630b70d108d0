"""From nodes to a run and from its result to segments. MRML, no Qt.

A run exists from when the runner has accepted it, and ends once, with a `Reason`; there is one at
a time. Its number tells it from all others.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, replace

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.geometry import Placement
from TumorSegLib.slicer_io.nodes import volume_of
from TumorSegLib.slicer_io.segments import segment_id
from TumorSegLib.worker.protocol import Done, Progress, Queued, Started, Thresholded
from TumorSegModule.logic.ending import Ending, Reason
from TumorSegModule.logic.frame_shown import keep_frame
from TumorSegModule.logic.given_up_lesions import keep_given_up
from TumorSegModule.logic.install_advice import explain_import_failure
from TumorSegModule.logic.job import Job
from TumorSegModule.logic.kept_run import keep_run
from TumorSegModule.logic.model_baseline import keep_reference
from TumorSegModule.logic.new_segmentation import new_segmentation
from TumorSegModule.logic.run_options import Options
from TumorSegModule.logic.run_status import Status
from TumorSegModule.logic.runner import Runner
from TumorSegModule.logic.segmentation_run import SegmentationRun
from TumorSegModule.logic.segments import REPLACE, Stamps, voxels_stamps, write_segments
from TumorSegModule.logic.slice_figures import adopt_result
from TumorSegModule.logic.view import Editor, View
from TumorSegModule.logic.worker_client import WorkerClient

SENSITIVITY_RANGE = 100.0


@dataclass(frozen=True)
class _Result:
    """The last result, which the sensitivity slider changes.

    Attributes:
        run: that it is of.
        target: segmentation node that it is in.
        stamps: of its segments as they were written.
        undo_saved: whether the slider's first move is a step of Undo already.
    """

    run: SegmentationRun
    target: slicer.vtkMRMLSegmentationNode
    stamps: Stamps
    undo_saved: bool = False


class Session:
    """Runs models on nodes of the scene and writes segments.

    >>> session = Session(WorkerClient(["PythonSlicer"]), editor, view)
    >>> number = session.start(Options(volume, bundle))
    >>> session.poll()  # every few milliseconds while session.pending

    Attributes:
        status: of the run under way or the last one.
        runner: that takes the run through the worker.
    """

    def __init__(self, client: WorkerClient, editor: Editor, view: View) -> None:
        """Use `client` for runs and `editor` for undo, and tell `view`."""
        self.runner = Runner(client, self)
        self.status = Status()
        self._editor = editor
        self._view = view
        self._run: SegmentationRun | None = None
        self._first: tuple[float, int] | None = None  # when slices came first, and how many
        self._result: _Result | None = None
        self._endings: list[Ending] = []

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    @property
    def pending(self) -> bool:
        """Whether `poll` must be called."""
        return self.runner.pending

    def start(self, options: Options) -> int:
        """Start a run and return its number, which its `Ending` carries.

        Raises:
            InputError: a node cannot be used, or another run is under way; nothing was started,
                and what there was before is as it was.
        """
        if self.busy:
            raise InputError(_("Another run is under way; wait for its end, or cancel it."))
        job = self.runner.submit(options.request())
        self._result = None
        self._run = SegmentationRun(job, options)
        self._show(Status("starting"))
        return job.number

    def poll(self) -> None:
        """Go on with what is under way; a run whose volume was deleted is stopped."""
        if self._run is not None and not self._run.has_volume:
            self._stop(Reason.VOLUME_REMOVED, _("The volume was removed; the run was stopped."))
        self.runner.poll()
        self._tell()

    def refuse(self, line: str) -> None:
        """Show why no run was started; one that is under way goes on."""
        self._show(replace(self.status, line=line, failed=True))

    def tell(self, line: str) -> None:
        """Show a line about what several runs have brought."""
        self._show(replace(self.status, line=line))

    def cancel(self) -> None:
        """Stop the run; the scene is as it was before."""
        if self.busy:
            self._stop(Reason.CANCELLED, _("Cancelled; nothing was changed."))
            self._tell()

    def let_go(self) -> None:
        """End the run and forget the last result, as when the scene is closed."""
        if self.busy:
            self._stop(Reason.SCENE_CLOSED, _("The scene was closed; the run was stopped."))
        else:
            self._show(Status(device=self.status.device))
        self.runner.release()
        self._result = None
        self._tell()

    def close(self) -> None:
        """Do that and end the worker, as when the panel goes away."""
        self.let_go()
        self.runner.stop()

    def can_adjust(self, target: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Tell whether `target` has the last result, as the model left it, to adjust."""
        result = self._result
        return (
            result is not None
            and result.target is target
            and result.run.options.mode == REPLACE
            and self.runner.can_threshold(result.run.number)
            and result.run.has_volume
            and slicer.mrmlScene.IsNodePresent(target)
            and self._stamps_of(result.run, target) == result.stamps
        )

    def probabilities_of(
        self, target: slicer.vtkMRMLSegmentationNode | None
    ) -> tuple[int, slicer.vtkMRMLScalarVolumeNode, NDArray[np.uint8]] | None:
        """Return what the last run left, if it wrote to `target` and it is still at hand.

        Returns:
            The run's number, its volume node, and probabilities, uint8 (labels, z, y, x); else
            None.
        """
        result = self._result
        if (
            result is None
            or result.target is not target
            or not self.runner.can_threshold(result.run.number)
            or not result.run.has_volume
        ):
            return None
        return result.run.number, result.run.options.volume, result.run.job.probabilities

    def adjust(self, target: slicer.vtkMRMLSegmentationNode | None, sensitivity: float) -> None:
        """Label the result in `target` anew with a sensitivity of -100 to 100, without a run."""
        if self.can_adjust(target):
            self.runner.threshold(sensitivity / SENSITIVITY_RANGE)

    def job_queued(self, job: Job, event: Queued) -> None:
        """See `Listener`."""
        self._show(replace(self.status, place=event.place))

    def job_started(self, job: Job, event: Started) -> None:
        """See `Listener`."""
        self._first = None
        self._under_way.show_preview()
        device = f"{event.device}: {event.note}"
        self._show(replace(self.status, stage="running", place=0, device=device))

    def job_progressed(self, job: Job, event: Progress) -> None:
        """See `Listener`."""
        left, now = None, time.perf_counter()
        began, before = self._first = self._first or (now, event.done)
        if event.done > before:
            left = (now - began) / (event.done - before) * (event.total - event.done)
        self._under_way.refresh_preview()
        self._show(
            replace(
                self.status, stage="running", done=event.done, total=event.total, seconds_left=left
            )
        )

    def job_done(self, job: Job, event: Done) -> None:
        """See `Listener`."""
        run = self._under_way
        run.remove_preview()
        try:
            target, lines = self._take_result(run, event)
        except InputError as error:
            self._end(Reason.FAILED, str(error))
        except Exception as error:  # whoever waits for the run must hear of its end
            self._log(traceback.format_exc())
            line = _("The result could not be written: {error}").format(error=error)
            self._end(Reason.FAILED, line)
        else:
            self._result = _Result(run, target, self._stamps_of(run, target))
            seconds = time.perf_counter() - job.submitted
            found = "" if event.box else _("; nothing was found")
            first = _("Segmented in {seconds:.1f} s{found}.").format(seconds=seconds, found=found)
            self._end(Reason.DONE, "\n".join([first, *lines, *event.warnings]), target, event)

    def job_thresholded(self, job: Job, event: Thresholded) -> None:
        """See `Listener`."""
        result = self._result
        if result is None or not self.can_adjust(result.target):
            return
        try:
            placement = result.run.placement()
            placement.ijk_to(result.target)
        except InputError as error:
            self._result = None
            self.runner.release()
            self.refuse(str(error))
            return
        if not result.undo_saved:
            self._editor.save_for_undo()
        self._write(result.run, result.target, placement, event)
        stamps = self._stamps_of(result.run, result.target)
        self._result = replace(result, undo_saved=True, stamps=stamps)
        self._view.status_changed()

    def job_failed(self, job: Job, reason: Reason, message: str, details: str) -> None:
        """See `Listener`."""
        self._log(details)
        self._end(reason, explain_import_failure(message, details))

    def threshold_failed(self, job: Job, message: str, details: str) -> None:
        """See `Listener`."""
        self._log(details)
        self._result = None
        self.refuse(message)

    def worker_ended(self) -> None:
        """See `Listener`."""
        self._view.status_changed()

    def _take_result(
        self, run: SegmentationRun, event: Done
    ) -> tuple[slicer.vtkMRMLSegmentationNode, list[str]]:
        """Write the segments of a run that is done; return the target and lines for the user."""
        options = run.options
        placement = run.placement()
        target, line = run.target(placement)
        if target is None:
            target = new_segmentation(options.volume)
        if options.show:
            self._editor.edit(target, options.volume)
            self._editor.save_for_undo()
        self._write(run, target, placement, event)
        keep_frame(target, options.volume)
        keep_run(target, options, placement, event)
        adopt_result(target, placement, event.slices)
        if options.within is None:
            keep_given_up(target, placement, options.bundle.specification, event.given_up)
        if volume_of(target) is not options.volume:  # exports pair them by it
            target.SetReferenceImageGeometryParameterFromVolumeNode(options.volume)
        if options.show:
            specification = options.bundle.specification
            self._editor.select(segment_id(specification, specification.labels[0]))
        lines = [line] if line else []
        if run.was_moved:
            lines.append(_("The volume was moved meanwhile; the segments lie where it lies now."))
        return target, lines

    def _write(
        self,
        run: SegmentationRun,
        target: slicer.vtkMRMLSegmentationNode,
        placement: Placement,
        event: Done | Thresholded,
    ) -> None:
        """Write segments; a shown 3-D surface would hold up the slice views, it is made later."""
        options = run.options
        surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        shown = target.GetSegmentation().ContainsRepresentation(surface)
        if shown:
            target.RemoveClosedSurfaceRepresentation()
        specification, ijk_to_ras = options.bundle.specification, placement.ijk_to(target)
        written = target, specification, run.job.labelmap, event.box, ijk_to_ras
        write_segments(
            *written, within=options.within, mode=options.mode, fingerprints=event.fingerprints
        )
        keep_reference(*written, within=options.within)
        if shown:
            self._view.surface_outdated(target)

    @property
    def _under_way(self) -> SegmentationRun:
        assert self._run is not None
        return self._run

    def _stop(self, reason: Reason, line: str) -> None:
        self.runner.cancel()
        self._end(reason, line)

    def _end(
        self,
        reason: Reason,
        line: str,
        target: slicer.vtkMRMLSegmentationNode | None = None,
        event: Done | None = None,
    ) -> None:
        """End the run, the one place where that happens; `_tell` says so."""
        run, self._run = self._under_way, None
        run.remove_preview()
        self._endings.append(Ending(run.number, reason, line, run.options, target, event))
        if reason is not Reason.DONE:
            self.runner.release()
        failed = reason not in (Reason.DONE, Reason.CANCELLED)
        self._show(Status(line=line, failed=failed, device=self.status.device))

    def _tell(self) -> None:
        """Tell of runs that are over, when the runner has taken in all that the worker said."""
        while self._endings:
            self._view.run_ended(self._endings.pop(0))

    def _stamps_of(self, run: SegmentationRun, target: slicer.vtkMRMLSegmentationNode) -> Stamps:
        """Return what changes as soon as a result's segments are edited, or undone."""
        return voxels_stamps(target, run.options.bundle.specification)

    def _show(self, status: Status) -> None:
        self.status = status
        self._view.status_changed()

    def _log(self, text: str) -> None:
        self.runner.client.log.extend(text.splitlines())
