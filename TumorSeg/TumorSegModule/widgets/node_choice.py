"""What the user picked in node selectors, whatever the selectors do by themselves.

A qMRMLNodeComboBox moves to a neighbour when its node leaves the scene, and to the first node when
its text for "None" changes; it emits `currentNodeChanged` as if the user had picked it. So a choice
is kept apart from its widget: only `nodeActivated` changes it, a node that is about to be removed
is let go of before the widget hears of it, and a widget that moved by itself is put back.
"""

import qt
import slicer
import vtk


class NodeChoice:
    """A node that the user picks in a selector."""

    def __init__(self, selector, read, write):
        """Show and keep a choice.

        Args:
            selector: qMRMLNodeComboBox, with "None" enabled.
            read: returns the node that is kept, None if none is.
            write: keeps a node, or None.
        """
        self._selector = selector
        self._read = read
        self._write = write
        self._put_back = qt.QTimer(selector)  # which it must not outlive
        self._put_back.setSingleShot(True)
        self._put_back.setInterval(0)  # an emitting widget must not be moved
        self._put_back.timeout.connect(self.show)
        selector.nodeActivated.connect(self._picked)
        selector.nodeAddedByUser.connect(self._picked)
        selector.currentNodeChanged.connect(lambda *_overloaded: self._put_back.start())

    def show(self):
        """Have the selector show what is kept."""
        node = self._read()
        if self._selector.currentNode() is not node:
            blocked = self._selector.blockSignals(True)
            self._selector.setCurrentNode(node)
            self._selector.blockSignals(blocked)

    def show_none_as(self, text):
        """Call the entry for "None" `text`."""
        if self._selector.noneDisplay != text:
            blocked = self._selector.blockSignals(True)
            self._selector.noneDisplay = text
            self._selector.blockSignals(blocked)
            self.show()

    def let_go_of(self, node):
        """Keep nothing if `node` is kept, as before it is removed; return whether it was."""
        if self._read() is not node:
            return False
        self._write(None)
        self.show()
        return True

    def stop(self):
        """Put nothing back any more, as when the panel goes away."""
        self._put_back.stop()

    def _picked(self, *_node):
        node = self._selector.currentNode()
        if node is not self._read():
            self._write(node)


class NodeChoices:
    """All choices of a panel; lets go of nodes before they leave the scene."""

    def __init__(self, removed):
        """Hold no choice yet; `removed` is called once a node that was kept has left the scene."""
        self._choices = []
        self._observer = None
        self._removed = qt.QTimer()
        self._removed.setSingleShot(True)
        self._removed.setInterval(0)
        self._removed.timeout.connect(removed)

    def add(self, selector, read, write):
        """Return a new `NodeChoice`; arguments as there."""
        choice = NodeChoice(selector, read, write)
        self._choices.append(choice)
        return choice

    def show(self):
        """Have all selectors show what is kept."""
        for choice in self._choices:
            choice.show()

    def watch(self):
        """Let go of nodes from here on before they are removed."""
        scene = slicer.mrmlScene
        if self._observer is None:
            self._observer = scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._let_go)

    def stop(self):
        """Stop that, as before the scene is closed or the panel goes away."""
        if self._observer is not None:
            slicer.mrmlScene.RemoveObserver(self._observer)
            self._observer = None
        self._removed.stop()
        for choice in self._choices:
            choice.stop()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _let_go(self, _scene, _event, node):
        kept = [choice for choice in self._choices if choice.let_go_of(node)]
        if kept:
            self._removed.start()
