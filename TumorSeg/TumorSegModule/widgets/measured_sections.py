"""The sections of the panel that show figures of the segments: Lesions and Follow-up."""

from __future__ import annotations

from typing import Any

import slicer

from TumorSegModule.logic.findings import Findings
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.worker_client import WorkerClient, python_command
from TumorSegModule.widgets.editor import Editor
from TumorSegModule.widgets.follow_up_section import FollowUpSection
from TumorSegModule.widgets.lesions_section import LesionsSection
from TumorSegModule.widgets.measured_segments import MeasuredSegments
from TumorSegModule.widgets.node_choice import NodeChoices


class MeasuredSections:
    """Makes the sections, and what measures for both.

    Attributes:
        segments: has the figures.
        lesions: one by one.
        follow_up: how they have changed.
    """

    def __init__(
        self,
        ui: Any,
        selection: Selection,
        session: Session,
        editor: Editor,
        choices: NodeChoices,
    ) -> None:
        """Drive the sections' widgets in `ui`; what else they need, they are given."""
        client = WorkerClient(python_command())
        self.segments = MeasuredSegments(selection, session, client)
        self.lesions = LesionsSection(ui, selection, self.segments, editor)
        self.follow_up = FollowUpSection(ui, self.segments, choices)

    @property
    def busy(self) -> bool:
        """Whether a lesion is being removed or added back, or the segments are being measured."""
        return self.lesions.busy or self.segments.busy

    @property
    def findings(self) -> Findings | None:
        """The figures of the segmentation, None while there are none."""
        return self.segments.findings

    def edit(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show a segmentation, None for none; nothing happens if it is shown already."""
        self.segments.edit(target)

    def close(self) -> None:
        """Let go of the nodes, as before the scene is closed."""
        self.lesions.close()
        self.segments.close()
