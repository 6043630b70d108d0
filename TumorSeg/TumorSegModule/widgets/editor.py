"""The embedded Segment Editor: opens on the result, and makes writing segments one undo step."""

from __future__ import annotations

import slicer

UNDO_STEPS = 20
"""Strokes after which Undo still takes a whole result back; the widget keeps 5 by itself."""


class Editor:
    """A qMRMLSegmentEditorWidget and the node that holds its settings.

    Attributes:
        widget: to put into a layout.
    """

    def __init__(self) -> None:
        """Make the widget; it shows nothing before `edit`."""
        self.widget = slicer.qMRMLSegmentEditorWidget()
        self.widget.setSegmentationNodeSelectorVisible(False)
        self.widget.setSourceVolumeNodeSelectorVisible(False)
        self.widget.setShow3DButtonVisible(False)  # the panel has one
        self.widget.setMaximumNumberOfUndoStates(UNDO_STEPS)
        self._connect_node()
        self.widget.setMRMLScene(slicer.mrmlScene)

    def edit(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        volume: slicer.vtkMRMLScalarVolumeNode | None,
    ) -> None:
        """Open on `segmentation` with `volume` as the source; None closes."""
        self._connect_node()
        self.widget.setSegmentationNode(segmentation)
        if segmentation is not None:  # without one, the widget logs an error
            self.widget.setSourceVolumeNode(volume)

    def save_for_undo(self) -> None:
        """Keep the segmentation's present state for Undo."""
        self.widget.saveStateForUndo()

    def select(self, segment_id: str) -> None:
        """Make a segment the one that is edited."""
        self.widget.setCurrentSegmentID(segment_id)

    def enter(self) -> None:
        """Let mouse and keyboard events in the views reach the effects."""
        self._connect_node()
        self.widget.setupViewObservations()
        self.widget.installKeyboardShortcuts()

    def exit(self) -> None:
        """Stop that; another module is shown."""
        self.widget.setActiveEffect(None)
        self.widget.uninstallKeyboardShortcuts()
        self.widget.removeViewObservations()

    def close(self) -> None:
        """Let go of the nodes, as before the scene is closed."""
        self.widget.setActiveEffect(None)
        self.widget.setSourceVolumeNode(None)
        self.widget.setSegmentationNode(None)

    def _connect_node(self) -> None:
        """Give the widget its parameter node, anew after the scene was closed."""
        tag = "TumorSegEditor"
        node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(tag)
            node = slicer.mrmlScene.AddNode(node)
        if self.widget.mrmlSegmentEditorNode() is not node:
            self.widget.setMRMLSegmentEditorNode(node)
