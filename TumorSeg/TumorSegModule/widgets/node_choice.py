"""What the user picked in node selectors, whatever the selectors do by themselves.

A qMRMLNodeComboBox moves to a neighbour when its node leaves the scene, and to the first node when
its text for "None" changes; it emits `currentNodeChanged` as if the user had picked it. So a choice
is kept apart from its widget: only `nodeActivated` changes it, a node that is about to be removed
is let go of before the widget hears of it, and a widget that moved by itself is put back.
"""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk

from TumorSegModule.logic.listeners import NodeKeeper, SelectionListener


class NodeChoice:
    """A node that the user picks in a selector."""

    def __init__(self, selector: Any, keeper: NodeKeeper) -> None:
        """Show and keep a choice.

        Args:
            selector: qMRMLNodeComboBox, with "None" enabled.
            keeper: of the node.
        """
        self._selector = selector
        self._keeper = keeper
        self._put_back = qt.QTimer(selector)  # which it must not outlive
        self._put_back.setSingleShot(True)
        self._put_back.setInterval(0)  # an emitting widget must not be moved
        self._put_back.timeout.connect(self.show)
        selector.nodeActivated.connect(self._picked)
        selector.nodeAddedByUser.connect(self._picked)
        selector.currentNodeChanged.connect(lambda *_overloaded: self._put_back.start())

    def show(self) -> None:
        """Have the selector show what is kept."""
        node = self._keeper.node
        if self._selector.currentNode() is not node:
            blocked = self._selector.blockSignals(True)
            self._selector.setCurrentNode(node)
            self._selector.blockSignals(blocked)

    def show_none_as(self, text: str) -> None:
        """Call the entry for "None" `text`."""
        if self._selector.noneDisplay != text:
            blocked = self._selector.blockSignals(True)
            self._selector.noneDisplay = text
            self._selector.blockSignals(blocked)
            self.show()

    def let_go_of(self, node: slicer.vtkMRMLNode) -> bool:
        """Keep nothing if `node` is kept, as before it is removed; return whether it was."""
        if self._keeper.node is not node:
            return False
        self._keeper.keep(None)
        self.show()
        return True

    def stop(self) -> None:
        """Put nothing back any more, as when the panel goes away."""
        self._put_back.stop()

    def _picked(self, *_node: Any) -> None:
        node = self._selector.currentNode()
        if node is not self._keeper.node:
            self._keeper.keep(node)


class NodeChoices:
    """All choices of a panel; lets go of nodes before they leave the scene."""

    def __init__(self, listener: SelectionListener) -> None:
        """Hold no choice yet; `listener` is told once a node that was kept has left the scene."""
        self._choices: list[NodeChoice] = []
        self._observer = None
        self._removed = qt.QTimer()
        self._removed.setSingleShot(True)
        self._removed.setInterval(0)
        self._removed.timeout.connect(listener.selection_changed)

    def add(self, selector: Any, keeper: NodeKeeper) -> NodeChoice:
        """Return a new `NodeChoice`; arguments as there."""
        choice = NodeChoice(selector, keeper)
        self._choices.append(choice)
        return choice

    def show(self) -> None:
        """Have all selectors show what is kept."""
        for choice in self._choices:
            choice.show()

    def watch(self) -> None:
        """Let go of nodes from here on before they are removed."""
        scene = slicer.mrmlScene
        if self._observer is None:
            self._observer = scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._let_go)

    def stop(self) -> None:
        """Stop that, as before the scene is closed or the panel goes away."""
        if self._observer is not None:
            slicer.mrmlScene.RemoveObserver(self._observer)
            self._observer = None
        self._removed.stop()
        for choice in self._choices:
            choice.stop()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _let_go(self, _scene: Any, _event: Any, node: slicer.vtkMRMLNode) -> None:
        kept = [choice for choice in self._choices if choice.let_go_of(node)]
        if kept:
            self._removed.start()
