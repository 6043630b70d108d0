"""The segmentations of a volume, and which of them was worked on last."""

from __future__ import annotations

import slicer

from TumorSegLib.slicer_io.nodes import volume_of
from TumorSegModule.logic.new_segmentation import new_segmentation


class Targets:
    """One for each volume, which is there again when the volume is chosen again."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._last: dict[str, str] = {}

    def of(
        self, volume: slicer.vtkMRMLScalarVolumeNode | None
    ) -> list[slicer.vtkMRMLSegmentationNode]:
        """Return the segmentations that were drawn on a volume, in the scene's order."""
        return [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
            if volume is not None and volume_of(node) is volume and not node.GetHideFromEditors()
        ]

    def last(self, volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
        """Return the one of a volume that was worked on last, else its first, else a new one."""
        found = self.of(volume)
        kept = self._last.get(volume.GetID())
        found.sort(key=lambda node: node.GetID() != kept)
        return found[0] if found else new_segmentation(volume)

    def work_on(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Note that a segmentation is worked on, and show it alone of those of its volume."""
        if target is None:
            return
        volume = volume_of(target)
        if volume is None:
            return
        self._last[volume.GetID()] = target.GetID()
        for node in self.of(volume):
            node.SetDisplayVisibility(node is target)
