"""Whom a session tells how its runs go, and where their results are opened. No Qt."""

from __future__ import annotations

from typing import Protocol

import slicer

from TumorSegModule.logic.ending import Ending


class Editor(Protocol):
    """Where a result is opened, and what can be undone."""

    def edit(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        volume: slicer.vtkMRMLScalarVolumeNode | None,
    ) -> None:
        """Open on a segmentation, with a volume as the source."""

    def save_for_undo(self) -> None:
        """Keep the segmentation's present state for Undo."""

    def select(self, segment_id: str) -> None:
        """Make a segment the one that is edited."""


class View(Protocol):
    """What a session tells the panel."""

    def status_changed(self) -> None:
        """`Session.status`, or what can be adjusted, is another."""

    def surface_outdated(self, target: slicer.vtkMRMLSegmentationNode) -> None:
        """Segments whose 3-D surface was shown have new voxels; making it anew takes a while."""

    def run_ended(self, ending: Ending) -> None:
        """A run is over; comes once for each that was started, when the next may be started."""


class NoEditor:
    """For runs that are opened nowhere, as those of a script."""

    def edit(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        volume: slicer.vtkMRMLScalarVolumeNode | None,
    ) -> None:
        """Open nothing."""

    def save_for_undo(self) -> None:
        """Keep nothing."""

    def select(self, segment_id: str) -> None:
        """Select nothing."""
