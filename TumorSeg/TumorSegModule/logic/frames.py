"""Volumes over time (4-D): every frame of a sequence is segmented, into a sequence. No Qt.

Slicer shows one frame of a sequence at a time, in a proxy node. A run on all frames takes each from
the sequence itself, so that the user may browse or play meanwhile.
"""

from dataclasses import dataclass, replace

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import TumorSegError
from TumorSegModule.logic.ending import Reason
from TumorSegModule.logic.new_segmentation import prepare_segmentation
from TumorSegModule.logic.reference import remove_orphans


@dataclass(frozen=True)
class Frames:
    """The frames of a volume node that shows one of them.

    Attributes:
        browser: sequence browser node that chooses the frame.
        sequence: sequence node that holds the frames.
        count: of the frames.
        shown: number of the frame that the volume node holds now, the first is 0.
    """

    browser: object
    sequence: object
    count: int
    shown: int


def frames_of(volume):
    """Return the frames of a volume node, None if it is no proxy of several."""
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(volume)
    sequence = browser.GetSequenceNode(volume) if browser is not None else None
    if sequence is None or browser.GetNumberOfItems() < 2:
        return None
    return Frames(browser, sequence, browser.GetNumberOfItems(), browser.GetSelectedItemNumber())


def name_in_lists(volume):
    """Return a volume's name, and that only one frame of it is meant where it has several."""
    if frames_of(volume) is None:
        return volume.GetName()
    return _("{name} (only the frame that is shown)").format(name=volume.GetName())


class FrameRun:
    """Segments frame after frame; the segmentations become a sequence of the same browser.

    >>> run = FrameRun(panel.start, finished)
    >>> run.start(options)

    Attributes:
        line: how far it has come, for the user; "" if nothing runs.
    """

    def __init__(self, start, finished):
        """Run frames.

        Args:
            start: starts a run with `Options` and returns its number; raises TumorSegError.
            finished: called at the end with the segmentation node that shows the results, None if
                there is none, and with a line for the user.
        """
        self._start = start
        self._finished = finished
        self._forget()

    @property
    def running(self):
        """Whether frames are being segmented."""
        return self._number is not None

    @property
    def line(self):
        """How far it has come."""
        if not self.running:
            return ""
        return _("Frame {number} of {count}").format(
            number=self._frame + 1, count=self._frames.count
        )

    def start(self, options):
        """Segment all frames of `options.volume`, which must have some; targets are new.

        Raises:
            TumorSegError: the first frame cannot be segmented; nothing was started.
        """
        self._forget()
        self._options, self._frames = options, frames_of(options.volume)
        try:
            self._next()
        except TumorSegError:
            self._remove_inputs()
            self._forget()
            raise

    def run_ended(self, ending):
        """Keep a frame's result and go on; runs of others are none of ours."""
        if not self.running or ending.number != self._number:
            return
        self._number = None
        self._remove_inputs()
        if ending.done:
            self._keep(ending.target)
        elif ending.reason in (Reason.FAILED, Reason.WORKER_ENDED):
            self._failed.append(self._frame + 1)
            self._why = ending.line
        elif ending.reason is Reason.SCENE_CLOSED:
            self._forget()
            return
        else:
            self._finish(ending.line)
            return
        self._frame += 1
        self._go_on()

    def close(self):
        """Let go of everything, as when the scene is closed."""
        self._forget()

    def _go_on(self):
        """Start the next frame that can be started, or end."""
        while self._frame < self._frames.count:
            if not self._is_there():
                self._finish(_("The sequence was removed; the run was stopped."))
                return
            try:
                self._next()
            except TumorSegError as error:
                self._remove_inputs()
                self._failed.append(self._frame + 1)
                self._why = str(error)
                self._frame += 1
            else:
                return
        self._finish("")

    def _is_there(self):
        nodes = (self._options.volume, self._frames.browser, self._frames.sequence)
        return all(slicer.mrmlScene.IsNodePresent(node) for node in nodes)

    def _next(self):
        options = self._options
        self._number = self._start(
            replace(
                options,
                volume=self._input(options.volume),
                sequences={name: self._input(node) for name, node in options.sequences.items()},
                target=None,
                show=False,
            )
        )

    def _input(self, volume):
        """Return a volume that holds the frame; a volume without frames is taken as it is."""
        frames, browser = self._frames, self._frames.browser
        sequence = browser.GetSequenceNode(volume)
        if sequence is None:
            return volume
        value = frames.sequence.GetNthIndexValue(self._frame)
        node = slicer.mrmlScene.CreateNodeByClass(volume.GetClassName())
        node.UnRegister(None)
        node.CopyContent(sequence.GetDataNodeAtValue(value, False), False)
        node.SetName(f"{volume.GetName()} ({self._frame + 1}/{frames.count})")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(node)
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        self._inputs.append(node)
        return node

    def _remove_inputs(self):
        for node in self._inputs:
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self._inputs = []

    def _keep(self, segmentation):
        """Put a frame's segmentation into the sequence of results."""
        frames, scene = self._frames, slicer.mrmlScene
        if self._results is None:
            name = _("{name} segmentations").format(name=self._options.volume.GetName())
            self._results = scene.AddNewNodeByClass(
                "vtkMRMLSequenceNode", scene.GenerateUniqueName(name)
            )
            self._results.SetIndexName(frames.sequence.GetIndexName())
            self._results.SetIndexUnit(frames.sequence.GetIndexUnit())
            self._results.SetIndexType(frames.sequence.GetIndexType())
        self._results.SetDataNodeAtValue(
            segmentation, frames.sequence.GetNthIndexValue(self._frame)
        )
        scene.RemoveNode(segmentation)
        remove_orphans()

    def _finish(self, line):
        """Show the results, of those frames that have any, beside the volume."""
        results, frames = self._results, self._frames
        kept = results.GetNumberOfDataNodes() if results is not None else 0
        lines = [line] if line else []
        if kept:
            lines.append(
                _("{kept} of {count} frames are segmented.").format(kept=kept, count=frames.count)
            )
        if self._failed:
            lines.append(
                _("No result for frame {numbers}: {why}").format(
                    numbers=", ".join(str(number) for number in self._failed), why=self._why
                )
            )
        there, volume = self._is_there(), self._options.volume
        self._forget()
        self._finished(
            _proxy(volume, frames.browser, results) if kept and there else None, "\n".join(lines)
        )

    def _forget(self):
        self._options = self._frames = self._number = self._results = None
        self._frame, self._failed, self._why, self._inputs = 0, [], "", []


def _proxy(volume, browser, results):
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
