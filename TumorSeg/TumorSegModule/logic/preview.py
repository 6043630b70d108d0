"""The slices of a run as they are computed: a segmentation on the worker's own label map."""

from __future__ import annotations

import time

import numpy as np
import slicer
from numpy.typing import NDArray

from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.geometry import Placement
from TumorSegLib.slicer_io.images import image_on
from TumorSegLib.slicer_io.segments import SOURCE, new_segment

REFRESH_SECONDS = 0.15
"""Least time between two refreshes; each has the slice views drawn anew."""


class Preview:
    """A hidden segmentation that is never saved and goes away with the run.

    The target segmentation stays untouched until the run is done, so that cancelling leaves
    nothing to undo.
    """

    def __init__(
        self,
        name: str,
        specification: ModelSpecification,
        labelmap: NDArray[np.uint8],
        placement: Placement,
    ) -> None:
        """Show `labelmap`, uint8 (z, y, x), which the worker fills while this looks on."""
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentationNode")
        node.UnRegister(None)
        node.SetName(name)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        if placement.transform:
            node.SetAndObserveTransformNodeID(placement.transform)
        # the image does not keep the memory alive
        self._labelmap: NDArray[np.uint8] | None = labelmap
        self._image = image_on(labelmap, placement.ijk_to(node))
        segmentation = node.GetSegmentation()
        segmentation.SetSourceRepresentationName(SOURCE)
        for label in specification.labels:
            segment = new_segment(label)
            segment.AddRepresentation(SOURCE, self._image)
            segmentation.AddSegment(segment, f"preview_{label.value}")
        self._node = node
        self._next = 0.0

    def refresh(self) -> None:
        """Have the views show what is in the label map by now, unless they just did."""
        if time.perf_counter() >= self._next and self._image is not None:
            self._image.GetPointData().GetScalars().Modified()
            self._image.Modified()
            self._next = time.perf_counter() + REFRESH_SECONDS

    def remove(self) -> None:
        """Take the segmentation out of the scene and let go of the label map."""
        if self._image is None:
            return
        image, self._image = self._image, None
        if slicer.mrmlScene.IsNodePresent(self._node):
            slicer.mrmlScene.RemoveNode(self._node)
        image.Initialize()  # views may hold on to the image, but not to the worker's memory
        self._labelmap = None
