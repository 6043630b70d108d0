"""Keeps a whole slice in view when the view becomes larger or smaller, as when the panel opens.

MRML keeps how much a pixel shows, so that a narrower view cuts off the patient's sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from trame_slicer.views import SliceView

FIRST, LAST = 1000.0, -1000.0
"""Priorities of observers, before and after all others."""

TOLERANCE = 0.02
"""Of the slice's size, by which a view that shows it all may be off."""


class Fitting:
    """Fits a slice view's volume into it again at each change of size, unless it was zoomed."""

    def __init__(self, view: SliceView, logic: slicer.vtkMRMLApplicationLogic) -> None:
        """Look after a view; `logic` has its slice logic."""
        self._view, self._logic = view, logic
        self._fitted = False
        interactor: Any = view.interactor()
        interactor.AddObserver("WindowResizeEvent", self._before, FIRST)
        interactor.AddObserver("WindowResizeEvent", self._after, LAST)

    def _before(self, *_event: Any) -> None:
        """Note whether the whole volume fills the view; its slice has the former size still."""
        node: Any = self._view.get_view_node()
        volume = node.GetScene().GetNodeByID(self._view.get_background_volume_id() or "")
        self._fitted = False
        if volume is None:
            return
        size, centre = [0.0] * 3, [0.0] * 3
        self._logic.GetSliceLogic(node).GetVolumeSliceDimensions(volume, size, centre)
        shown, extent = np.array(node.GetFieldOfView())[:2], np.array(size)[:2]
        to_ras = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        off = to_ras[:3, :2].T @ to_ras[:3, 3] - centre[:2]
        beyond = shown / extent - 1
        self._fitted = bool(
            abs(beyond.min()) < TOLERANCE and (np.abs(off) < TOLERANCE * extent).all()
        )

    def _after(self, *_event: Any) -> None:
        if self._fitted:
            place = self._view.get_slice_value()
            self._view.fit_view_to_content()
            self._view.set_slice_value(place)
