"""Observers of nodes that are let go of together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import slicer

_own_notes: list[bool] = []
"""Not empty while segments' tags change, and nothing that was drawn."""


@contextmanager
def noting() -> Iterator[None]:
    """Change tags of segments without that counting as an edit (`Observers.add_edits`)."""
    _own_notes.append(True)
    try:
        yield
    finally:
        _own_notes.pop()


class Observers:
    """Those of one listener."""

    def __init__(self) -> None:
        """Observe nothing yet."""
        self._tags: list[tuple[slicer.vtkMRMLNode, int]] = []

    def add(
        self, node: slicer.vtkMRMLNode, event: int | str, callback: Callable[..., None]
    ) -> None:
        """Have `callback` called at a node's events."""
        self._tags.append((node, node.AddObserver(event, callback)))

    def add_edits(
        self, segmentation: slicer.vtkMRMLSegmentationNode, callback: Callable[..., None]
    ) -> None:
        """Have `callback` called when segments are edited, by whomever, or become others."""

        def edited(*given: object) -> None:
            if not _own_notes:
                callback(*given)

        content = slicer.vtkSegmentation
        for event in (
            content.SourceRepresentationModified,
            content.SegmentModified,  # Undo says no more
            content.SegmentAdded,
            content.SegmentRemoved,
            segmentation.SegmentationChangedEvent,  # another frame of a sequence
        ):
            self.add(segmentation, event, edited)

    def clear(self) -> None:
        """Let go of all nodes."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []
