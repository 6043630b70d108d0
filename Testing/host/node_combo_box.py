"""A stand-in for `qMRMLNodeComboBox` that moves by itself where the real one does.

Seen on the real widget: a new text for "None" takes that entry out and in again; where it was the
current one, the first node becomes current and is emitted. When the current node leaves the scene,
its neighbour becomes current and is emitted. A new name of the current node is emitted. Setting
another node from code emits `nodeActivated` just as a click does.
"""

from __future__ import annotations

from functools import partial

import qt
import slicer
import vtk

BEFORE_REMOVAL = -10.0
"""Priority with which the real model hears of a removal, after those who ask for none."""

POST_ITEM = ""
"""Data of entries that are no nodes: the separator, "Create new", "Delete current"."""


class qMRMLNodeComboBox(qt.QWidget):
    currentNodeChanged = qt.Signal(object)
    currentNodeIDChanged = qt.Signal(str)
    nodeActivated = qt.Signal(object)
    nodeAdded = qt.Signal(object)
    nodeAddedByUser = qt.Signal(object)
    nodeAboutToBeRemoved = qt.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = qt.QComboBox(self)
        layout.addWidget(self._box)
        self.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Fixed)
        self._scene = self._requested = None
        self._types, self._hidden_types, self._base_name = [], [], ""
        self._none, self._none_text = False, "None"
        self._children, self._add, self._remove, self._rename = True, True, True, False
        self._post_items = 0
        self._observed = {}
        self._box.currentIndexChanged.connect(self._emit_current)
        self._box.activated.connect(self._emit_activated)
        self.setEnabled(False)

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self._scene = scene
        tags = [
            scene.AddObserver(scene.NodeAddedEvent, _with_node(self._added)),
            scene.AddObserver(
                scene.NodeAboutToBeRemovedEvent, _with_node(self._removed), BEFORE_REMOVAL
            ),
            scene.AddObserver(scene.EndCloseEvent, lambda *_: self._list_anew()),
        ]
        self.destroyed.connect(partial(_let_go, scene, tags, self._observed))
        self._list_anew()
        self.setCurrentNodeID(self._requested or "")
        self._requested = None
        self.setEnabled(True)

    def mrmlScene(self):
        return self._scene

    def currentNode(self):
        return self._node_at(self._box.currentIndex)

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id):
        if self._scene is None:
            self._requested = node_id
            return
        index = self._box.findData(node_id) if node_id else -1
        if index < 0:
            self._box.currentIndex = 0 if self._none else -1
        elif index != self._box.currentIndex:
            self._box.currentIndex = index
            self._box.activated.emit(self._box.currentIndex)

    def nodeCount(self):
        return self._box.count - self._post_items - self._none

    def nodeFromIndex(self, index):
        return self._node_at(index + self._none)

    def addNode(self, nodeType=None):
        node = self._scene.CreateNodeByClass(nodeType or self._types[0])
        node.UnRegister(None)
        name = self._base_name or node.GetNodeTagName()
        node.SetName(self._scene.GenerateUniqueName(name))
        node = self._scene.AddNode(node)
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        self._scene.RemoveNode(self.currentNode())

    def _node_at(self, index):
        node_id = self._box.itemData(index) if index >= 0 else None
        return self._scene.GetNodeByID(node_id) if node_id and self._scene else None

    def _fits(self, node):
        if node.GetHideFromEditors() or any(node.IsA(kind) for kind in self._hidden_types):
            return False
        if self._children:
            return any(node.IsA(kind) for kind in self._types)
        return node.GetClassName() in self._types

    def _list_anew(self):
        for node, tag in self._observed.values():
            node.RemoveObserver(tag)
        self._observed.clear()
        self._box.clear()
        if self._none:
            self._box.addItem(self._none_text, None)
        self._post_items = 0
        for index in range(self._scene.GetNumberOfNodes()):
            self._insert(self._scene.GetNthNode(index))
        self._list_actions()

    def _list_actions(self):
        """List "Create new" and "Delete current" anew; the current entry stays."""
        if self._scene is None:
            return
        blocked = self._box.blockSignals(True)
        current = self._box.currentIndex
        for _ in range(self._post_items):
            self._box.removeItem(self._box.count - 1)
        actions = ["Create new"] * self._add + ["Delete current"] * self._remove
        for text in actions:
            self._box.addItem(text, POST_ITEM)
        self._post_items = len(actions)
        self._box.currentIndex = current
        self._box.blockSignals(blocked)

    def _insert(self, node):
        if node.GetID() not in self._observed:
            tag = node.AddObserver("ModifiedEvent", lambda *_: self._modified(node))
            self._observed[node.GetID()] = node, tag
        if self._fits(node):
            self._box.insertItem(self._box.count - self._post_items, node.GetName(), node.GetID())
            self.nodeAdded.emit(node)

    def _added(self, node):
        if not self._scene.IsClosing():
            self._insert(node)

    def _removed(self, node):
        if self._scene.IsClosing() or node.GetID() not in self._observed:
            return
        observed, tag = self._observed.pop(node.GetID())
        observed.RemoveObserver(tag)
        self._take_out(node)

    def _take_out(self, node):
        index = self._box.findData(node.GetID())
        if index >= 0:
            self.nodeAboutToBeRemoved.emit(node)
            self._box.removeItem(index)

    def _modified(self, node):
        index = self._box.findData(node.GetID())
        if index < 0 and self._fits(node):
            self._insert(node)
        elif index >= 0 and not self._fits(node):
            self._take_out(node)
        elif index >= 0 and self._box.itemText(index) != node.GetName():
            self._box.setItemText(index, node.GetName())
            if index == self._box.currentIndex:
                self._emit_current()

    def _emit_current(self, *_index):
        index = self._box.currentIndex
        node = self._node_at(index)
        if node is None and index != (0 if self._none else -1):  # an entry that is no node
            last = self.nodeFromIndex(self.nodeCount() - 1)
            if last is not None:
                self.setCurrentNode(last)
        else:
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def _emit_activated(self, index):
        node = self._node_at(index)
        if node is not None or (self._none and index == 0):
            self.nodeActivated.emit(node)

    def _get_none(self):
        return self._none

    def _set_none(self, enabled):
        if enabled != self._none:
            self._none = enabled
            if self._scene is not None and enabled:
                self._box.insertItem(0, self._none_text, None)
            elif self._scene is not None:
                self._box.removeItem(0)

    def _get_none_text(self):
        return self._none_text

    def _set_none_text(self, text):
        if text == self._none_text:
            return
        self._none_text = text
        if self._none and self._scene is not None:
            self._box.removeItem(0)
            self._box.insertItem(0, text, None)

    def _get_types(self):
        return self._types

    def _set_types(self, types):
        self._types = [kind for kind in types if kind]
        self._list_actions()

    def _get_hidden_types(self):
        return self._hidden_types

    def _set_hidden_types(self, types):
        self._hidden_types = [kind for kind in types if kind]

    def _get_children(self):
        return self._children

    def _set_children(self, shown):
        self._children = shown

    def _get_add(self):
        return self._add

    def _set_add(self, enabled):
        self._add = enabled
        self._list_actions()

    def _get_remove(self):
        return self._remove

    def _set_remove(self, enabled):
        self._remove = enabled
        self._list_actions()

    def _get_rename(self):
        return self._rename

    def _set_rename(self, enabled):
        self._rename = enabled

    def _get_base_name(self):
        return self._base_name

    def _set_base_name(self, name):
        self._base_name = name

    def _get_current_id(self):
        node = self.currentNode()
        return node.GetID() if node is not None else ""

    nodeTypes = qt.Property("QStringList", _get_types, _set_types)
    hideChildNodeTypes = qt.Property("QStringList", _get_hidden_types, _set_hidden_types)
    noneEnabled = qt.Property(bool, _get_none, _set_none)
    noneDisplay = qt.Property(str, _get_none_text, _set_none_text)
    showChildNodeTypes = qt.Property(bool, _get_children, _set_children)
    addEnabled = qt.Property(bool, _get_add, _set_add)
    removeEnabled = qt.Property(bool, _get_remove, _set_remove)
    renameEnabled = qt.Property(bool, _get_rename, _set_rename)
    baseName = qt.Property(str, _get_base_name, _set_base_name)
    currentNodeID = qt.Property(str, _get_current_id, setCurrentNodeID)


def _let_go(scene, tags, observed, *_widget):
    """Take a selector's observers off scene and nodes, which outlive it."""
    for tag in tags:
        scene.RemoveObserver(tag)
    for node, tag in observed.values():
        node.RemoveObserver(tag)


def _with_node(call):
    """Return an observer that hands `call` the event's node."""

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def observe(_scene, _event, node):
        call(node)

    return observe


def pick(selector: qMRMLNodeComboBox, node: slicer.vtkMRMLNode | None) -> None:
    """Choose an entry as the user does, by a click in the list; None is the entry "None"."""
    index = selector._box.findData(node.GetID()) if node is not None else 0
    assert index >= 0, f"{node.GetName()} is not in the list"
    selector._box.currentIndex = index
    selector._box.activated.emit(selector._box.currentIndex)
