"""Volumes over time (4-D): every frame of a sequence is segmented, into a sequence. No Qt.

Slicer shows one frame of a sequence at a time, in a proxy node. A run on all frames takes each from
the sequence itself, so that the user may browse or play meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegModule.logic.ending import Ending, Reason
from TumorSegModule.logic.frame_shown import Frames, frames_of
from TumorSegModule.logic.listeners import FrameListener
from TumorSegModule.logic.model_baseline import remove_orphans
from TumorSegModule.logic.new_segmentation import prepare_segmentation
from TumorSegModule.logic.run_options import Options


@dataclass
class _Progress:
    """How far a run on frames has come.

    Attributes:
        options: what to do with each.
        frames: all of them.
        frame: under way, the first is 0.
        number: of its run, None between two.
        results: sequence node with the segmentations, None before the first.
        kept: number of frames with a result.
        failed: numbers of the frames without result, the first is 1.
        why: the last of them has none.
        inputs: volume nodes made for the frame under way.
    """

    options: Options
    frames: Frames
    frame: int = 0
    number: int | None = None
    results: slicer.vtkMRMLSequenceNode | None = None
    kept: int = 0
    failed: list[int] = field(default_factory=list)
    why: str = ""
    inputs: list[slicer.vtkMRMLVolumeNode] = field(default_factory=list)

    @property
    def is_there(self) -> bool:
        """Whether the scene still has the volume and its frames."""
        nodes = (self.options.volume, self.frames.browser, self.frames.sequence)
        return all(slicer.mrmlScene.IsNodePresent(node) for node in nodes)

    def fail(self, why: str) -> None:
        """Note that the frame under way has no result."""
        self.failed.append(self.frame + 1)
        self.why = why

    def remove_inputs(self) -> None:
        """Take the frame under way out of the scene."""
        for node in self.inputs:
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self.inputs = []


class FrameRun:
    """Segments frame after frame; the segmentations become a sequence of the same browser.

    >>> run = FrameRun(panel)
    >>> run.start(options)

    Attributes:
        line: how far it has come, for the user; "" if nothing runs.
    """

    def __init__(self, listener: FrameListener) -> None:
        """Have `listener` run the frames, and tell it the end."""
        self._listener = listener
        self._progress: _Progress | None = None

    @property
    def running(self) -> bool:
        """Whether frames are being segmented."""
        return self._progress is not None and self._progress.number is not None

    @property
    def line(self) -> str:
        """How far it has come."""
        progress = self._progress
        if progress is None or progress.number is None:
            return ""
        return _("Frame {number} of {count}").format(
            number=progress.frame + 1, count=progress.frames.count
        )

    def start(self, options: Options) -> None:
        """Segment all frames of `options.volume`; targets are new.

        Raises:
            TumorSegError: it has no frames, or the first cannot be segmented; nothing was started.
        """
        frames = frames_of(options.volume)
        if frames is None:
            raise InputError(_("{name}: has no frames").format(name=options.volume.GetName()))
        progress = self._progress = _Progress(options, frames)
        try:
            self._next(progress)
        except TumorSegError:
            progress.remove_inputs()
            self._progress = None
            raise

    def run_ended(self, ending: Ending) -> None:
        """Keep a frame's result and go on; runs of others are none of ours."""
        progress = self._progress
        if progress is None or progress.number is None or ending.number != progress.number:
            return
        progress.number = None
        progress.remove_inputs()
        if ending.done:
            _keep(progress, ending.target)
        elif ending.reason in (Reason.FAILED, Reason.WORKER_ENDED):
            progress.fail(ending.line)
        elif ending.reason is Reason.SCENE_CLOSED:
            self._progress = None
            return
        else:
            self._finish(progress, ending.line)
            return
        progress.frame += 1
        self._go_on(progress)

    def _go_on(self, progress: _Progress) -> None:
        """Start the next frame that can be started, or end."""
        while progress.frame < progress.frames.count:
            if not progress.is_there:
                line = _("The sequence was removed; the run was stopped.")
                self._finish(progress, line)
                return
            try:
                self._next(progress)
            except TumorSegError as error:
                progress.remove_inputs()
                progress.fail(str(error))
                progress.frame += 1
            else:
                return
        self._finish(progress, "")

    def _next(self, progress: _Progress) -> None:
        options = progress.options
        progress.number = self._listener.start(
            replace(
                options,
                volume=_input(progress, options.volume),
                sequences={
                    name: _input(progress, node) for name, node in options.sequences.items()
                },
                target=None,
                show=False,
            )
        )

    def _finish(self, progress: _Progress, line: str) -> None:
        """Show the results, of those frames that have any, beside the volume."""
        results, frames, kept = progress.results, progress.frames, progress.kept
        lines = [line] if line else []
        if kept:
            lines.append(
                _("{kept} of {count} frames are segmented.").format(kept=kept, count=frames.count)
            )
        if progress.failed:
            lines.append(
                _("No result for frame {numbers}: {why}").format(
                    numbers=", ".join(str(number) for number in progress.failed), why=progress.why
                )
            )
        self._progress = None
        proxy = None
        if kept and progress.is_there:
            proxy = _proxy(progress.options.volume, frames.browser, results)
        self._listener.frames_segmented(proxy, "\n".join(lines))


def _input(
    progress: _Progress, volume: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLScalarVolumeNode:
    """Return a volume that holds the frame; a volume without frames is taken as it is."""
    frames = progress.frames
    sequence = frames.browser.GetSequenceNode(volume)
    if sequence is None:
        return volume
    value = frames.sequence.GetNthIndexValue(progress.frame)
    node = slicer.mrmlScene.CreateNodeByClass(volume.GetClassName())
    node.UnRegister(None)
    node.CopyContent(sequence.GetDataNodeAtValue(value, False), False)
    node.SetName(f"{volume.GetName()} ({progress.frame + 1}/{frames.count})")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node = slicer.mrmlScene.AddNode(node)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    progress.inputs.append(node)
    return node


def _keep(progress: _Progress, segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """Put a frame's segmentation into the sequence of results."""
    frames, scene = progress.frames, slicer.mrmlScene
    if progress.results is None:
        name = _("{name} segmentations").format(name=progress.options.volume.GetName())
        results = scene.AddNewNodeByClass("vtkMRMLSequenceNode", scene.GenerateUniqueName(name))
        results.SetIndexName(frames.sequence.GetIndexName())
        results.SetIndexUnit(frames.sequence.GetIndexUnit())
        results.SetIndexType(frames.sequence.GetIndexType())
        progress.results = results
    for value in frames.values_of(progress.frame):
        progress.results.SetDataNodeAtValue(segmentation, value)
    progress.kept += 1
    scene.RemoveNode(segmentation)
    remove_orphans()


def _proxy(
    volume: slicer.vtkMRMLScalarVolumeNode,
    browser: slicer.vtkMRMLSequenceBrowserNode,
    results: slicer.vtkMRMLSequenceNode,
) -> slicer.vtkMRMLSegmentationNode:
    """Return a segmentation node that shows the results' frame wherever the volume's is shown.

    Corrections of a frame are kept with the frame. A frame without result shows nothing.
    """
    browser.AddSynchronizedSequenceNode(results)
    browser.SetMissingItemMode(results, browser.MissingItemSetToDefault)
    browser.SetSaveChanges(results, True)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    node = browser.GetProxyNode(results)
    name = _("{name} segmentation").format(name=volume.GetName())
    node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    prepare_segmentation(node, volume)
    return node
