"""Stand-ins for the Segment Editor's widget and its button Show 3D, on the real editor logic."""

from __future__ import annotations

from functools import partial

import qt
import slicer

TOOLS = ("Paint", "Erase", "Scissors", "Islands", "Smoothing")
KEYS = (
    *"1234567890",
    *(f"Shift+{digit}" for digit in "1234567890"),
    *("Esc", "Space", "Z", "Ctrl+Z", "Y", "Ctrl+Y", "Q", "W", "/", "*", ",", ".", "<", ">", "I"),
)
"""Keys that the editor takes while its shortcuts are installed."""


class qMRMLSegmentEditorWidget(qt.QWidget):
    """The editor's table and buttons; undo is vtkSlicerSegmentEditorLogic's own."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetVerbose(True)
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        buttons = qt.QHBoxLayout()
        for text in TOOLS:
            button = qt.QToolButton()
            button.setText(text)
            buttons.addWidget(button)
        buttons.addStretch()
        self._show3d = qMRMLSegmentationShow3DButton()
        buttons.addWidget(self._show3d)
        undo = qt.QToolButton()
        undo.setText("Undo")
        undo.clicked.connect(self.undo)
        buttons.addWidget(undo)
        self._table = qt.QTableWidget(0, 2)
        self._table.horizontalHeader().setVisible(False)
        self._table.verticalHeader().setVisible(False)
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.setColumnWidth(0, 36)
        self._table.setMaximumHeight(110)
        layout.addLayout(buttons)
        layout.addWidget(self._table)
        self._observed = []
        self._shortcuts = []
        self._selectors = {"segmentation": True, "source": True}
        self._views_observed = False
        self.destroyed.connect(partial(_let_go, self._logic))

    def setMRMLScene(self, newScene):
        self._logic.SetMRMLScene(newScene)

    def setMRMLSegmentEditorNode(self, newSegmentEditorNode):
        self._logic.SetSegmentEditorNode(newSegmentEditorNode)

    def mrmlSegmentEditorNode(self):
        return self._logic.GetSegmentEditorNode()

    def segmentationNode(self):
        return self._logic.GetSegmentationNode()

    def sourceVolumeNode(self):
        return self._logic.GetSourceVolumeNode()

    def setSegmentationNode(self, node):
        if node is self._logic.GetSegmentationNode():
            return
        self._logic.SetSegmentationNode(node)
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        if node is not None:
            segmentation = node.GetSegmentation()
            events = (segmentation.SegmentAdded, segmentation.SegmentRemoved)
            self._observed = [
                (node, node.AddObserver("ModifiedEvent", self._fill)),
                *((segmentation, segmentation.AddObserver(event, self._fill)) for event in events),
            ]
        self._show3d.setSegmentationNode(node)
        self._fill()

    def setSourceVolumeNode(self, node):
        self._logic.SetSourceVolumeNode(node)

    def setCurrentSegmentID(self, segmentID):
        self._logic.SetCurrentSegmentID(segmentID)

    def currentSegmentID(self):
        return self._logic.GetCurrentSegmentID()

    def setActiveEffect(self, effect):
        if effect is not None:
            raise TypeError("the stand-in has no effects")

    def setupViewObservations(self):
        self._views_observed = True

    def removeViewObservations(self):
        self._views_observed = False

    def installKeyboardShortcuts(self, parent=None):
        self.uninstallKeyboardShortcuts()
        owner = parent or slicer.util.mainWindow() or self.window()
        self._shortcuts = [qt.QShortcut(qt.QKeySequence(key), owner) for key in KEYS]

    def uninstallKeyboardShortcuts(self):
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []

    def saveStateForUndo(self):
        self._logic.SaveStateForUndo()

    def undo(self, *_checked):
        self._logic.Undo()
        self._fill()

    def redo(self):
        self._logic.Redo()
        self._fill()

    def setSegmentationNodeSelectorVisible(self, visible):
        self._selectors["segmentation"] = visible

    def setSourceVolumeNodeSelectorVisible(self, visible):
        self._selectors["source"] = visible

    def setShow3DButtonVisible(self, visible):
        self._show3d.setVisible(visible)

    def setMaximumNumberOfUndoStates(self, states):
        self._logic.SetMaximumNumberOfUndoStates(states)

    def _get_undo_states(self):
        return self._logic.GetMaximumNumberOfUndoStates()

    def _get_show3d(self):
        return not self._show3d.isHidden()

    def _get_segmentation_selector(self):
        return self._selectors["segmentation"]

    def _get_source_selector(self):
        return self._selectors["source"]

    maximumNumberOfUndoStates = qt.Property(int, _get_undo_states, setMaximumNumberOfUndoStates)
    show3DButtonVisible = qt.Property(bool, _get_show3d, setShow3DButtonVisible)
    segmentationNodeSelectorVisible = qt.Property(
        bool, _get_segmentation_selector, setSegmentationNodeSelectorVisible
    )
    sourceVolumeNodeSelectorVisible = qt.Property(
        bool, _get_source_selector, setSourceVolumeNodeSelectorVisible
    )

    def _fill(self, *_event):
        node = self._logic.GetSegmentationNode()
        segmentation = node.GetSegmentation() if node is not None else None
        count = segmentation.GetNumberOfSegments() if segmentation else 0
        self._table.setRowCount(count)
        for row in range(count):
            segment = segmentation.GetNthSegment(row)
            swatch = qt.QTableWidgetItem()
            swatch.setBackground(qt.QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(row, 0, swatch)
            self._table.setItem(row, 1, qt.QTableWidgetItem(segment.GetName()))


def _let_go(logic, *_):
    """Take a logic's observers off nodes that outlive it, which it does not do itself."""
    logic.SetSegmentEditorNode(None)
    logic.SetMRMLScene(None)


class qMRMLSegmentationShow3DButton(qt.QPushButton):
    def __init__(self, parent=None):
        super().__init__("Show 3D", parent)
        self.setCheckable(True)
        self._node = None
        self.toggled.connect(self._toggle)

    def click(self):
        raise RuntimeError("the real button opens its menu here and waits; use toggle()")

    def segmentationNode(self):
        return self._node

    def setSegmentationNode(self, node):
        self._node = node
        self.setEnabled(node is not None)
        closed = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        blocked = self.blockSignals(True)
        self.setChecked(node is not None and node.GetSegmentation().ContainsRepresentation(closed))
        self.blockSignals(blocked)

    def _toggle(self, shown):
        if self._node is not None and shown:
            self._node.CreateClosedSurfaceRepresentation()
        elif self._node is not None:
            self._node.RemoveClosedSurfaceRepresentation()
