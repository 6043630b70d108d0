"""Which segmentations have changed since they were saved."""

from __future__ import annotations

from typing import Any

import slicer
from trame_server.state import State

from TumorSegModule.logic.observers import Observers

SEGMENTS = ("segmentation", "labels", "dicom")
"""What the segments are in, of `TumorSegWeb.saving.ENDINGS`."""


class Unsaved:
    """Tells the page, which asks before it is closed."""

    def __init__(self, state: State) -> None:
        """Know of nothing."""
        self._state = state
        self._observers = Observers()
        self._changed: set[str] = set()
        self._target: slicer.vtkMRMLSegmentationNode | None = None
        self._show()

    def edit(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Follow a segmentation from now on, None for none."""
        self._observers.clear()
        self._target = target
        if target is not None:
            self._observers.add_edits(target, self._edited)

    def made(self, target: slicer.vtkMRMLSegmentationNode) -> None:
        """Note a new result."""
        self._changed.add(target.GetID())
        self._show()

    def saved(self, kind: str) -> None:
        """Note that one of `TumorSegWeb.saving.ENDINGS` was made of what is followed."""
        if kind == "scene":
            self._changed.clear()
        elif kind in SEGMENTS and self._target is not None:
            self._changed.discard(self._target.GetID())
        self._show()

    def close(self) -> None:
        """Let go of the node."""
        self._observers.clear()

    def _edited(self, *_event: Any) -> None:
        if self._target is not None:
            self.made(self._target)

    def _show(self) -> None:
        self._state.ts_unsaved = bool(self._changed)
