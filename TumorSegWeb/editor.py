"""trame-slicer's segment editor as the logic sees an editor: opens a result, and can undo it."""

from __future__ import annotations

import slicer
from trame_slicer.core.segmentation_editor import SegmentationEditor
from trame_slicer.segmentation import Segmentation
from trame_slicer.segmentation.segmentation_state_stack import SegmentationStateStack
from undo_stack import UndoCommand


class Editor:
    """See `TumorSegModule.logic.view.Editor`."""

    def __init__(self, editor: SegmentationEditor) -> None:
        """Open results in `editor`."""
        self._editor = editor

    def edit(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        volume: slicer.vtkMRMLScalarVolumeNode | None,
    ) -> None:
        """Open a segmentation, unless it is open on that volume already."""
        editor = self._editor
        if segmentation is None or volume is None:
            return
        if editor.active_segmentation_node is segmentation and editor.active_volume_node is volume:
            return
        if editor.active_segmentation is not None:
            _let_go(editor.active_segmentation)
        editor.set_active_segmentation(segmentation, volume)

    def save_for_undo(self) -> None:
        """Keep the segmentation as it is; the next step of Undo brings that back."""
        stack, segmentation = self._editor.undo_stack, self._editor.active_segmentation
        if stack is not None and segmentation is not None:
            stack.push(_Change(segmentation))

    def select(self, segment_id: str) -> None:
        """Make a segment the one that is edited."""
        self._editor.set_active_segment_id(segment_id)


def _let_go(segmentation: Segmentation) -> None:
    """Have a node tell its wrapper of edits no more, when another wrapper takes its place.

    trame-slicer never does. The node would call a function that Python has cleared away with the
    wrapper, which ends the process.
    """
    segmentation.segmentation_node.RemoveObserver(segmentation._node_obs)


class _Change(UndoCommand):
    """Whatever becomes of a segmentation until the next step of Undo."""

    def __init__(self, segmentation: Segmentation) -> None:
        super().__init__()
        self._segmentation = segmentation
        self._states = SegmentationStateStack(segmentation.segmentation, max_size=2)
        self._states.save_state()

    def undo(self) -> None:
        """Bring the earlier state back, and keep the present one for `redo`."""
        if not self._states.has_previous():
            self._states.save_state()
        self._states.restore_previous()
        self._segmentation.trigger_modified()

    def redo(self) -> None:
        """Bring back what was undone."""
        if self._states.has_next():
            self._states.restore_next()
            self._segmentation.trigger_modified()
