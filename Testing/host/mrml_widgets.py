"""Stand-ins for the MRML widgets of the panel, on the real scene and the real editor logic."""

from __future__ import annotations

from functools import partial

import qt
import slicer


class qMRMLWidget(qt.QWidget):
    mrmlSceneChanged = qt.Signal(object)

    def setMRMLScene(self, scene):
        for child in self.findChildren(qt.QWidget):
            if child is not self and hasattr(child, "setMRMLScene"):
                child.setMRMLScene(scene)
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(qt.QComboBox):
    currentNodeChanged = qt.Signal(object)
    nodeAddedByUser = qt.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._types, self._ids, self._scene = [], [], None
        self._none, self._none_text, self._children = False, "None", True
        self._busy = False
        self._requested = None
        self.currentIndexChanged.connect(self._emit)

    def setMRMLScene(self, scene):
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent)
        tags = [scene.AddObserver(event, lambda *_: self._refresh()) for event in events]
        self.destroyed.connect(lambda: [scene.RemoveObserver(tag) for tag in tags])
        self._refresh()

    def currentNode(self):
        index = self.currentIndex
        node_id = self._ids[index] if 0 <= index < len(self._ids) else None
        return self._scene.GetNodeByID(node_id) if node_id else None

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if node is not None else None)

    def setCurrentNodeID(self, node_id):
        self._requested = node_id  # as in Slicer, for nodes that are listed only after an import
        self._refresh()
        if node_id in self._ids:
            self.currentIndex = self._ids.index(node_id)
        elif not node_id:
            self.currentIndex = 0 if self._none else -1

    def addNode(self):
        """Do what the entry "Create new" does; nothing of the node is set but its name."""
        node = self._scene.AddNewNodeByClass(self._types[0])
        self.setCurrentNode(node)
        self._emit()
        self.nodeAddedByUser.emit(node)
        return node

    def _refresh(self):
        if self._scene is None or self._scene.IsBatchProcessing() or self._busy:
            return
        current = self.currentNode()
        entries = [(None, self._none_text)] if self._none else []
        for index in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(index)
            fits = any(
                node.IsA(kind) if self._children else node.GetClassName() == kind
                for kind in self._types
            )
            if fits and not node.GetHideFromEditors():
                entries.append((node.GetID(), node.GetName()))
        ids = [node_id for node_id, _ in entries]
        self._busy = True
        self.clear()
        self._ids = ids
        self.addItems([name for _, name in entries])
        kept = current.GetID() if current is not None else self._requested
        self.currentIndex = ids.index(kept) if kept in ids else (0 if self._none else -1)
        self._busy = False
        if current is not None and kept not in ids:
            self._requested = None
            self._emit()

    def _emit(self, *_):
        if not self._busy:
            self.currentNodeChanged.emit(self.currentNode())

    def _get_types(self):
        return self._types

    def _set_types(self, types):
        self._types = list(types)

    def _get_none(self):
        return self._none

    def _set_none(self, enabled):
        self._none = enabled

    def _get_none_text(self):
        return self._none_text

    def _set_none_text(self, text):
        self._none_text = text

    def _get_children(self):
        return self._children

    def _set_children(self, shown):
        self._children = shown

    nodeTypes = qt.Property("QStringList", _get_types, _set_types)
    noneEnabled = qt.Property(bool, _get_none, _set_none)
    noneDisplay = qt.Property(str, _get_none_text, _set_none_text)
    showChildNodeTypes = qt.Property(bool, _get_children, _set_children)


class qMRMLSegmentEditorWidget(qt.QWidget):
    """The editor's table and undo buttons; undo is vtkSlicerSegmentEditorLogic's own."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMaximumNumberOfUndoStates(10)
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        buttons = qt.QHBoxLayout()
        for text in ("Paint", "Erase", "Scissors", "Islands", "Smoothing"):
            button = qt.QToolButton()
            button.setText(text)
            buttons.addWidget(button)
        buttons.addStretch()
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
        self._observed = None
        self.destroyed.connect(partial(_let_go, self._logic))

    def setMRMLScene(self, scene):
        self._logic.SetMRMLScene(scene)

    def setMRMLSegmentEditorNode(self, node):
        self._logic.SetSegmentEditorNode(node)

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
        if self._observed is not None:
            self._observed[0].RemoveObserver(self._observed[1])
            self._observed = None
        if node is not None:
            self._observed = (node, node.AddObserver("ModifiedEvent", lambda *_: self._fill()))
            segmentation = node.GetSegmentation()
            for event in ("SegmentAdded", "SegmentRemoved"):
                segmentation.AddObserver(getattr(segmentation, event), lambda *_: self._fill())
        self._fill()

    def setSourceVolumeNode(self, node):
        self._logic.SetSourceVolumeNode(node)

    def setCurrentSegmentID(self, segment_id):
        self._logic.SetCurrentSegmentID(segment_id)

    def currentSegmentID(self):
        return self._logic.GetCurrentSegmentID()

    def setActiveEffect(self, effect):
        pass

    def setupViewObservations(self):
        pass

    def removeViewObservations(self):
        pass

    def setSegmentationNodeSelectorVisible(self, visible):
        pass

    def setSourceVolumeNodeSelectorVisible(self, visible):
        pass

    def saveStateForUndo(self):
        self._logic.SaveStateForUndo()

    def undo(self, *_):
        self._logic.Undo()
        self._fill()

    def redo(self):
        self._logic.Redo()
        self._fill()

    def _fill(self):
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
        self.clicked.connect(self._toggle)

    def setSegmentationNode(self, node):
        self._node = node
        self.setEnabled(node is not None)
        closed = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        self.setChecked(node is not None and node.GetSegmentation().ContainsRepresentation(closed))

    def _toggle(self, shown):
        if self._node is not None and shown:
            self._node.CreateClosedSurfaceRepresentation()
        elif self._node is not None:
            self._node.RemoveClosedSurfaceRepresentation()


WIDGETS = (
    qMRMLWidget,
    qMRMLNodeComboBox,
    qMRMLSegmentEditorWidget,
    qMRMLSegmentationShow3DButton,
)


def install():
    """Make the widgets attributes of `slicer`."""
    for widget in WIDGETS:
        setattr(slicer, widget.__name__, widget)
