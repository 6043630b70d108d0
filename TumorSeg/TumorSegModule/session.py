"""From nodes to a run and from its result to segments. MRML, no Qt."""

import time
from dataclasses import dataclass, field, replace
from typing import Protocol

import slicer

from TumorSegLib.bundle import Bundle
from TumorSegLib.errors import InputError
from TumorSegModule.geometry import placement_of
from TumorSegModule.new_segmentation import prepare_segmentation
from TumorSegModule.preview import Preview
from TumorSegModule.reference import keep_reference
from TumorSegModule.runner import Request, Runner
from TumorSegModule.segments import (
    NEW,
    REPLACE,
    is_usable_target,
    segment_id,
    voxels_stamp,
    write_segments,
)
from TumorSegModule.slice_figures import take_over
from TumorSegModule.volumes import channel_of, check_usable

SENSITIVITY_RANGE = 100.0


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        volume: node to segment.
        bundle: model.
        sequences: further volume nodes by channel name.
        target: segmentation node to write to; a new one if none.
        mode: what to do with segments that are there already.
        within: box along (z, y, x) to which to limit the run; the whole volume if not given.
        device: see `TumorSegLib.device`.
        precision: see `TumorSegLib.device`.
        flips: average with mirrored slices; as the model says if none.
        keep_model: keep the model in memory.
        gate: detector that chooses slices; every slice is segmented if none.
    """

    volume: object
    bundle: Bundle
    sequences: dict = field(default_factory=dict)
    target: object = None
    mode: str = REPLACE
    within: tuple | None = None
    device: str = "auto"
    precision: str = "auto"
    flips: bool | None = None
    keep_model: bool = True
    gate: Bundle | None = None


@dataclass(frozen=True)
class Status:
    """What the panel shows of a run.

    Attributes:
        stage: "idle", "starting" (process, model and voxels) or "running".
        done: slices.
        total: slices.
        seconds_left: estimated, None while unknown.
        line: last result or error, for the user.
        failed: whether `line` is an error.
        device: where the network ran and why there.
    """

    stage: str = "idle"
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    line: str = ""
    failed: bool = False
    device: str = ""


@dataclass(frozen=True)
class _Result:
    """The last result, which the sensitivity slider changes."""

    job: int
    options: Options
    placement: object
    target_id: str
    voxels: tuple = ()
    undo_saved: bool = False


class View(Protocol):
    """What a session tells the panel."""

    def status_changed(self):
        """`Session.status` or `Session.can_adjust` is another."""

    def result_written(self, target, options, done):
        """Segments were written; `done` is `TumorSegLib.worker_protocol.Done`."""

    def surface_outdated(self, target):
        """Segments whose 3-D surface was shown have new voxels; making it anew takes a while."""

    def run_ended(self, failure):
        """The run is over, well if `failure` is empty."""


class Session:
    """Runs models on nodes of the scene and writes segments.

    >>> session = Session(WorkerClient(["PythonSlicer"]), editor, view)
    >>> session.start(Options(volume, bundle))
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
        self._options = None
        self._placement = None
        self._preview = None
        self._began = 0.0
        self._result = None

    @property
    def busy(self):
        """Whether a run is under way."""
        return self.runner.busy

    @property
    def pending(self):
        """Whether `poll` must be called."""
        return self.runner.pending

    def start(self, options):
        """Start a run.

        Raises:
            InputError: a node cannot be used; nothing was started.
        """
        check_usable(options.volume)
        if options.mode == NEW:
            options = replace(options, target=None, mode=REPLACE)
        if options.target is not None and not is_usable_target(options.target):
            raise InputError(
                f"{options.target.GetName()}: its segments are surfaces, not label maps; choose"
                " another segmentation or a new one"
            )
        specification = options.bundle.specification
        first = specification.input.channels[0].name
        placement = placement_of(options.volume)
        if options.target is not None:
            placement.ijk_to(options.target)  # refuses warped targets before the run, not after
        nodes = {first: options.volume, **options.sequences}
        request = Request(
            model=str(options.bundle.folder),
            labels=len(specification.labels),
            channels={name: channel_of(node) for name, node in nodes.items()},
            device=options.device,
            precision=options.precision,
            flips=options.flips,
            slices=placement.axial_slices_of(options.within) if options.within else None,
            keep_model=options.keep_model,
            gate=str(options.gate.folder) if options.gate else None,
        )
        self._result = None
        self._options, self._placement = options, placement
        self.runner.submit(request)
        self._show(Status("starting"))

    def poll(self):
        """Go on with what is under way; a run whose volume was deleted is cancelled."""
        if self.busy and not slicer.mrmlScene.IsNodePresent(self._options.volume):
            self.runner.cancel()
            self.fail("The volume was removed; the run was stopped.")
        self.runner.poll()

    def fail(self, line):
        """Show why there is no run or no result."""
        self._end(Status(line=line, failed=True, device=self.status.device), line)

    def cancel(self):
        """Stop the run; the scene is as it was before."""
        self.runner.cancel()

    def close(self):
        """End run and worker, as when the scene is closed or the panel goes away."""
        self.runner.stop()
        self._result = None

    @property
    def can_adjust(self):
        """Whether the last result's sensitivity can be changed: nobody has edited its segments."""
        result = self._result
        return (
            result is not None
            and result.options.mode == REPLACE
            and self.runner.can_threshold(result.job)
            and slicer.mrmlScene.GetNodeByID(result.target_id) is not None
            and self._voxels_of(result) == result.voxels
        )

    def probabilities_of(self, target):
        """Return what the last run left, if it wrote to `target` and it is still at hand.

        Returns:
            The run's number, its volume node, and probabilities, uint8 (labels, z, y, x); else
            None.
        """
        result, job = self._result, self.runner.job
        if (
            result is None
            or result.target_id != target.GetID()
            or not self.runner.can_threshold(result.job)
            or not slicer.mrmlScene.IsNodePresent(result.options.volume)
        ):
            return None
        return job.number, result.options.volume, job.probabilities

    def adjust(self, sensitivity):
        """Label the last result anew with a sensitivity of -100 to 100, without another run."""
        if self.can_adjust:
            self.runner.threshold(sensitivity / SENSITIVITY_RANGE)

    def job_started(self, job, event):
        """See `Listener`."""
        self._began = time.perf_counter()
        options = self._options
        self._preview = Preview(
            f"{options.volume.GetName()} (being segmented)",
            options.bundle.specification,
            job.labelmap,
            self._placement,
        )
        self._show(replace(self.status, stage="running", device=f"{event.device}: {event.note}"))

    def job_progressed(self, job, event):
        """See `Listener`."""
        spent = time.perf_counter() - self._began
        left = spent / event.done * (event.total - event.done)
        self._preview.refresh()
        self._show(
            replace(
                self.status, stage="running", done=event.done, total=event.total, seconds_left=left
            )
        )

    def job_done(self, job, event):
        """See `Listener`."""
        options, placement = self._options, self._placement
        self._remove_preview()
        target, note = self._target(options)
        specification = options.bundle.specification
        try:
            self._editor.edit(target, options.volume)
            self._editor.save_for_undo()
            self._write(target, options, placement, job, event.box)
            take_over(target, placement, event.slices)
        except InputError as error:
            self.fail(str(error))
            return
        self._result = _Result(job.number, options, placement, target.GetID())
        self._result = replace(self._result, voxels=self._voxels_of(self._result))
        self._editor.select(segment_id(specification, specification.labels[0]))
        self._view.result_written(target, options, event)
        seconds = time.perf_counter() - job.submitted
        found = "" if event.box else "; nothing was found"
        lines = [f"Segmented in {seconds:.1f} s{found}.", *note, *event.warnings]
        self._end(Status(line="\n".join(lines), device=self.status.device))

    def job_thresholded(self, job, event):
        """See `Listener`."""
        if not self.can_adjust:
            return
        result = self._result
        target = slicer.mrmlScene.GetNodeByID(result.target_id)
        if not result.undo_saved:
            self._editor.save_for_undo()
        self._write(target, result.options, result.placement, job, event.box)
        self._result = replace(result, undo_saved=True, voxels=self._voxels_of(result))
        self._view.status_changed()

    def job_failed(self, job, message, details):
        """See `Listener`."""
        self._remove_preview()
        if details:
            self.runner.client.log.extend(details.splitlines())
        self.fail(message)

    def worker_ended(self):
        """See `Listener`."""
        self._view.status_changed()

    def job_stopped(self, job):
        """See `Listener`."""
        self._remove_preview()
        line = "Cancelled; nothing was changed."
        self._end(Status(line=line, device=self.status.device), line)

    def _target(self, options):
        """Return the segmentation to write to, made now if it is new or was deleted meanwhile."""
        scene, note = slicer.mrmlScene, []
        if options.target is not None:
            if scene.IsNodePresent(options.target):
                return options.target, note
            note = ["The target segmentation was removed meanwhile; the result is in a new one."]
        name = scene.GenerateUniqueName(f"{options.volume.GetName()} segmentation")
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        prepare_segmentation(node, options.volume)
        return node, note

    def _write(self, target, options, placement, job, box):
        """Write segments; a shown 3-D surface would hold up the slice views, it is made later."""
        surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        shown = target.GetSegmentation().ContainsRepresentation(surface)
        if shown:
            target.RemoveClosedSurfaceRepresentation()
        written = target, options.bundle.specification, job.labelmap, box, placement.ijk_to(target)
        write_segments(*written, within=options.within, mode=options.mode)
        keep_reference(*written, within=options.within)
        if shown:
            self._view.surface_outdated(target)

    def _voxels_of(self, result):
        """Return what changes as soon as a result's segments are edited, or undone."""
        segmentation = slicer.mrmlScene.GetNodeByID(result.target_id).GetSegmentation()
        specification = result.options.bundle.specification
        segments = [
            segmentation.GetSegment(segment_id(specification, label))
            for label in specification.labels
        ]
        return tuple(voxels_stamp(segment) if segment else None for segment in segments)

    def _remove_preview(self):
        if self._preview is not None:
            self._preview.remove()
            self._preview = None

    def _show(self, status):
        self.status = status
        self._view.status_changed()

    def _end(self, status, failure=""):
        self._show(status)
        self._view.run_ended(failure)
