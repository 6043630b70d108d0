"""Which frame of a volume over time (4-D) is shown, and which one was segmented. MRML, no Qt.

Slicer shows one frame of a sequence at a time, in a proxy node whose content changes with it. The
browser goes through the index values of its master sequence; another sequence has values of its
own, and of these the nearest is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from TumorSegLib.slicer_io.nodes import set_quietly

FRAME = "TumorSeg.Frame"
"""Attribute of a segmentation: index value of the frame of its volume that it was drawn on."""


@dataclass(frozen=True)
class Frames:
    """The frames of a volume node that shows one of them.

    Attributes:
        browser: sequence browser node that chooses the frame.
        sequence: sequence node that holds the frames.
        count: of the frames.
        shown: number of the frame that the volume node holds now, the first is 0; -1 if the
            sequence has none for what the browser shows.
    """

    browser: slicer.vtkMRMLSequenceBrowserNode
    sequence: slicer.vtkMRMLSequenceNode
    count: int
    shown: int

    @property
    def value(self) -> str:
        """Index value of the frame that the volume node holds now, "" if none is known."""
        return self.sequence.GetNthIndexValue(self.shown) if self.shown >= 0 else ""

    def values_of(self, number: int) -> list[str]:
        """Return at which index values of the browser a frame is shown, its own if at none."""
        master = self.browser.GetMasterSequenceNode()
        values = [master.GetNthIndexValue(item) for item in range(self.browser.GetNumberOfItems())]
        here = [one for one in values if _number_at(self.sequence, one) == number]
        return here or [self.sequence.GetNthIndexValue(number)]


def frames_of(volume: slicer.vtkMRMLScalarVolumeNode) -> Frames | None:
    """Return the frames of a volume node, None if it is no proxy of several."""
    browser = _browser_of(volume)
    if browser is None:
        return None
    sequence = browser.GetSequenceNode(volume)
    count = sequence.GetNumberOfDataNodes()
    if min(count, browser.GetNumberOfItems()) < 2:
        return None
    value = browser.GetMasterSequenceNode().GetNthIndexValue(browser.GetSelectedItemNumber())
    return Frames(browser, sequence, count, _number_at(sequence, value))


def name_in_lists(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return a volume's name, and that only one frame of it is meant where it has several."""
    if frames_of(volume) is None:
        return volume.GetName()
    return _("{name} (only the frame that is shown)").format(name=volume.GetName())


def keep_frame(
    segmentation: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Keep with a segmentation which frame of `volume` is shown, if it does not follow frames."""
    frames = None if _browser_of(segmentation) is not None else frames_of(volume)
    set_quietly(segmentation, FRAME, (frames.value or None) if frames is not None else None)


def other_frame(
    segmentation: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> str:
    """Return what to do where another frame is shown than the one that was segmented, else ""."""
    drawn_on, frames = segmentation.GetAttribute(FRAME), frames_of(volume)
    if drawn_on is None or frames is None or frames.value == drawn_on:
        return ""
    number = frames.sequence.GetItemNumberFromIndexValue(drawn_on)
    if number < 0:
        return _("{name} has no more the frame that was segmented").format(name=volume.GetName())
    return _(
        "{name} shows frame {shown}, the segmentation is of frame {number}; show that one first"
    ).format(name=volume.GetName(), shown=frames.shown + 1, number=number + 1)


def save_marks(segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """Put attributes that were set quietly into the sequence that a segmentation shows a frame of.

    Slicer does so when it hears of a change, and takes the frame's own back when one browses.
    """
    if _browser_of(segmentation) is not None:
        segmentation.Modified()


def _number_at(sequence: slicer.vtkMRMLSequenceNode, value: str) -> int:
    """Return which frame Slicer shows at an index value of the browser, -1 if none."""
    exact = False  # else the nearest before it is shown, before the first the first
    return sequence.GetItemNumberFromIndexValue(value, exact)


def _browser_of(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLSequenceBrowserNode | None:
    # The module Sequences has this, too, but the page in a browser has no modules.
    browsers = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
    return next((one for one in browsers if one.GetSequenceNode(node) is not None), None)
