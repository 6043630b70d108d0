"""Which segmentations have changed since they were saved."""

from __future__ import annotations

from typing import Any

import slicer
from trame_server.state import State

from TumorSegModule.logic.observers import Observers

SEGMENTS = ("segmentation", "labels", "dicom", "dicom-report")
"""What the segments are in, of `TumorSegWeb.saving.ENDINGS`; a scene has those of all."""

Taken = dict[str, int]
"""What a file is made of: the edits of each segmentation in it, by the node's id."""


class Unsaved:
    """Tells the page, which asks before it is closed."""

    def __init__(self, state: State) -> None:
        """Know of nothing."""
        self._state = state
        self._observers = Observers()
        self._edits: dict[str, int] = {}
        self._saved: Taken = {}
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
        self._edits[target.GetID()] = self._edits.get(target.GetID(), 0) + 1
        self._show()

    def taken(self, kind: str) -> Taken:
        """Return what one of `TumorSegWeb.saving.ENDINGS` is made of, where it is begun now."""
        if kind == "scene":
            return dict(self._edits)
        if kind in SEGMENTS and self._target is not None:
            return {self._target.GetID(): self._edits.get(self._target.GetID(), 0)}
        return {}

    def saved(self, taken: Taken) -> None:
        """Note that a file was fetched; what was edited since it was made is not in it."""
        self._saved |= taken
        self._show()

    def close(self) -> None:
        """Let go of the node."""
        self._observers.clear()

    def _edited(self, *_event: Any) -> None:
        if self._target is not None:
            self.made(self._target)

    def _show(self) -> None:
        self._state.ts_unsaved = any(
            self._saved.get(node) != edits for node, edits in self._edits.items()
        )
