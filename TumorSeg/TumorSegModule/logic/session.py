"""From nodes to a run and from its result to segments. MRML, no Qt.

A run exists from when the runner has accepted it, and ends once, with a `Reason`; there is one at
a time. Its number tells it from all others.
"""

import time
import traceback
from dataclasses import dataclass, replace
from typing import Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.nodes import volume_of
from TumorSegModule.logic.ending import Ending, Reason
from TumorSegModule.logic.install_advice import explain_import_failure
from TumorSegModule.logic.new_segmentation import new_segmentation
from TumorSegModule.logic.reference import keep_reference
from TumorSegModule.logic.run_status import Status
from TumorSegModule.logic.runner import Runner
from TumorSegModule.logic.segmentation_run import SegmentationRun
from TumorSegModule.logic.segments import REPLACE, segment_id, voxels_stamps, write_segments
from TumorSegModule.logic.slice_figures import take_over

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
    target: object
    stamps: dict
    undo_saved: bool = False


class View(Protocol):
    """What a session tells the panel."""

    def status_changed(self):
        """`Session.status`, or what can be adjusted, is another."""

    def surface_outdated(self, target):
        """Segments whose 3-D surface was shown have new voxels; making it anew takes a while."""

    def run_ended(self, ending):
        """A run is over; comes once for each that was started, when the next may be started."""


class Session:
    """Runs models on nodes of the scene and writes segments.

    >>> session = Session(WorkerClient(["PythonSlicer"]), editor, view)
    >>> number = session.start(Options(volume, bundle))
    >>> session.poll()  # every few milliseconds while session.pending

    Attributes:
        status: of the run under way or the last one.
        runner: that takes the run through the worker.
    """

    def __init__(self, client, editor, view):
        """Use `client` for runs and `editor` for undo, and tell `view`."""
        self.runner = Runner(client, self)
        self.status = Status()
        self._editor = editor
        self._view = view
        self._run = None
        self._began = 0.0
        self._result = None
        self._endings = []

    @property
    def busy(self):
        """Whether a run is under way."""
        return self._run is not None

    @property
    def pending(self):
        """Whether `poll` must be called."""
        return self.runner.pending

    def start(self, options):
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

    def poll(self):
        """Go on with what is under way; a run whose volume was deleted is stopped."""
        if self.busy and not self._run.has_volume:
            self._stop(Reason.VOLUME_REMOVED, _("The volume was removed; the run was stopped."))
        self.runner.poll()
        self._tell()

    def refuse(self, line):
        """Show why no run was started; one that is under way goes on."""
        self._show(replace(self.status, line=line, failed=True))

    def tell(self, line):
        """Show a line about what several runs have brought."""
        self._show(replace(self.status, line=line))

    def cancel(self):
        """Stop the run; the scene is as it was before."""
        if self.busy:
            self._stop(Reason.CANCELLED, _("Cancelled; nothing was changed."))
            self._tell()

    def close(self):
        """End run and worker, as when the scene is closed or the panel goes away."""
        if self.busy:
            self._stop(Reason.SCENE_CLOSED, _("The scene was closed; the run was stopped."))
        self.runner.stop()
        self._result = None
        self._tell()

    def can_adjust(self, target):
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

    def probabilities_of(self, target):
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

    def adjust(self, target, sensitivity):
        """Label the result in `target` anew with a sensitivity of -100 to 100, without a run."""
        if self.can_adjust(target):
            self.runner.threshold(sensitivity / SENSITIVITY_RANGE)

    def job_started(self, job, event):
        """See `Listener`."""
        self._began = time.perf_counter()
        self._run.show_preview()
        self._show(replace(self.status, stage="running", device=f"{event.device}: {event.note}"))

    def job_progressed(self, job, event):
        """See `Listener`."""
        spent = time.perf_counter() - self._began
        left = spent / event.done * (event.total - event.done)
        self._run.refresh_preview()
        self._show(
            replace(
                self.status, stage="running", done=event.done, total=event.total, seconds_left=left
            )
        )

    def job_done(self, job, event):
        """See `Listener`."""
        run = self._run
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

    def job_thresholded(self, job, event):
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
        self._write(result.run, result.target, placement, event.box)
        stamps = self._stamps_of(result.run, result.target)
        self._result = replace(result, undo_saved=True, stamps=stamps)
        self._view.status_changed()

    def job_failed(self, job, reason, message, details):
        """See `Listener`."""
        self._log(details)
        self._end(reason, explain_import_failure(message, details))

    def threshold_failed(self, job, message, details):
        """See `Listener`."""
        self._log(details)
        self._result = None
        self.refuse(message)

    def worker_ended(self):
        """See `Listener`."""
        self._view.status_changed()

    def _take_result(self, run, event):
        """Write the segments of a run that is done; return the target and lines for the user."""
        options = run.options
        placement = run.placement()
        target, line = run.target(placement)
        if target is None:
            target = new_segmentation(options.volume)
        if options.show:
            self._editor.edit(target, options.volume)
            self._editor.save_for_undo()
        self._write(run, target, placement, event.box)
        take_over(target, placement, event.slices)
        if volume_of(target) is not options.volume:  # exports pair them by it
            target.SetReferenceImageGeometryParameterFromVolumeNode(options.volume)
        if options.show:
            specification = options.bundle.specification
            self._editor.select(segment_id(specification, specification.labels[0]))
        lines = [line] if line else []
        if run.was_moved:
            lines.append(_("The volume was moved meanwhile; the segments lie where it lies now."))
        return target, lines

    def _write(self, run, target, placement, box):
        """Write segments; a shown 3-D surface would hold up the slice views, it is made later."""
        options = run.options
        surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        shown = target.GetSegmentation().ContainsRepresentation(surface)
        if shown:
            target.RemoveClosedSurfaceRepresentation()
        specification, ijk_to_ras = options.bundle.specification, placement.ijk_to(target)
        written = target, specification, run.job.labelmap, box, ijk_to_ras
        write_segments(*written, within=options.within, mode=options.mode)
        keep_reference(*written, within=options.within)
        if shown:
            self._view.surface_outdated(target)

    def _stop(self, reason, line):
        self.runner.cancel()
        self._end(reason, line)

    def _end(self, reason, line, target=None, event=None):
        """End the run, the one place where that happens; `_tell` says so."""
        run, self._run = self._run, None
        run.remove_preview()
        self._endings.append(Ending(run.number, reason, line, run.options, target, event))
        if reason is not Reason.DONE:
            self.runner.release()
        failed = reason not in (Reason.DONE, Reason.CANCELLED)
        self._show(Status(line=line, failed=failed, device=self.status.device))

    def _tell(self):
        """Tell of runs that are over, when the runner has taken in all that the worker said."""
        while self._endings:
            self._view.run_ended(self._endings.pop(0))

    def _stamps_of(self, run, target):
        """Return what changes as soon as a result's segments are edited, or undone."""
        return voxels_stamps(target, run.options.bundle.specification)

    def _show(self, status):
        self.status = status
        self._view.status_changed()

    def _log(self, text):
        self.runner.client.log.extend(text.splitlines())
