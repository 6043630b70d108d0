"""The segmentations of a volume, and which of them was worked on last."""

from __future__ import annotations

from collections.abc import Iterable

import slicer

from TumorSegLib.slicer_io.nodes import volume_of
from TumorSegModule.logic.new_segmentation import new_segmentation


class Targets:
    """One for each volume, which is there again when the volume is chosen again."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._last: dict[str, str] = {}
        self._drawn_on: dict[str, set[str]] = {}

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

    def drawn_on(
        self,
        target: slicer.vtkMRMLSegmentationNode,
        volumes: Iterable[slicer.vtkMRMLScalarVolumeNode],
    ) -> None:
        """Note which sequences a model drew a segmentation on: it is shown over each of them."""
        self._drawn_on[target.GetID()] = {volume.GetID() for volume in volumes}

    def work_on(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Note that a segmentation is worked on, and show it.

        Others stay in view where they were drawn on its volume as a further sequence; those of
        other patients may lie in the same place.
        """
        if target is None:
            return
        volume = volume_of(target)
        if volume is None:
            return
        self._last[volume.GetID()] = target.GetID()
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            if not node.GetHideFromEditors():
                node.SetDisplayVisibility(node is target or self._belongs(node, volume))

    def _belongs(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode,
        volume: slicer.vtkMRMLScalarVolumeNode,
    ) -> bool:
        """Tell whether a segmentation is the one of another sequence of a volume's case."""
        own = volume_of(segmentation)
        return (
            own is not None
            and own is not volume
            and self._last.get(own.GetID()) == segmentation.GetID()
            and volume.GetID() in self._drawn_on.get(segmentation.GetID(), ())
        )
