"""A stand-in for `slicer.parameterNodeWrapper`, from its documentation.

As in 5.10, `disconnectGui` leaves the observer that `connectGui` put on the node.
"""

from __future__ import annotations

from typing import get_type_hints

import ctk
import qt
import slicer


class _ParameterNodeWrapper:
    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis = {}
        self._updating = False
        for name in self._defaults:
            getattr(self, name)

    def connectGui(self, gui):
        connections = []
        for widget in vars(gui).values():
            name = widget.property("SlicerParameterName")
            if name:
                read, write, signal = _connector(widget, self._types[name])
                write(getattr(self, name))
                changed = self._reader(name, read)
                signal.connect(changed)
                connections.append((name, write, signal, changed))
        tag = len(self._guis)
        self._guis[tag] = connections
        self.AddObserver("ModifiedEvent", lambda *_: self._show())
        return tag

    def disconnectGui(self, guiTag):
        for _name, _write, signal, changed in self._guis.pop(guiTag):
            signal.disconnect(changed)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        self.parameterNode.EndModify(wasModified)

    def Modified(self):
        self.parameterNode.Modified()

    def _reader(self, name, read):
        def changed(*_value):
            if not self._updating:
                setattr(self, name, read())

        return changed

    def _show(self):
        if self._updating:
            return
        self._updating = True
        for connections in self._guis.values():
            for name, write, _signal, _changed in connections:
                write(getattr(self, name))
        self._updating = False


def parameterNodeWrapper(classtype=None):
    """Give a class typed properties that are kept in a vtkMRMLScriptedModuleNode."""
    types = get_type_hints(classtype)
    content = {
        "_types": types,
        "_defaults": {name: getattr(classtype, name, None) for name in types},
        "__doc__": classtype.__doc__,
    }
    for name, kind in types.items():
        content[name] = _parameter(name, kind, content["_defaults"][name])
    return type(classtype.__name__, (_ParameterNodeWrapper,), content)


def _parameter(name, kind, default):
    if issubclass(kind, slicer.vtkMRMLNode):
        return property(
            lambda self: self.parameterNode.GetNodeReference(name),
            lambda self, node: self.parameterNode.SetNodeReferenceID(
                name, node.GetID() if node else None
            ),
        )

    def read(self):
        if not self.parameterNode.HasParameter(name):  # anew after the scene was closed
            self.parameterNode.SetParameter(name, str(default))
        text = self.parameterNode.GetParameter(name)
        return text == "True" if kind is bool else kind(text)

    def write(self, value):
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}, expected {kind.__name__}")
        self.parameterNode.SetParameter(name, str(value))

    return property(read, write)


def _connector(widget, kind):
    """Return reader, writer and signal; Slicer compares exact classes, too."""
    if issubclass(kind, slicer.vtkMRMLNode) and type(widget) is slicer.qMRMLNodeComboBox:
        return widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged
    if kind is bool and type(widget) is qt.QCheckBox:
        return lambda: widget.checked, widget.setChecked, widget.stateChanged
    if kind is float and type(widget) is ctk.ctkSliderWidget:
        return lambda: widget.value, widget.setValue, widget.valueChanged
    raise RuntimeError(f"no connector from {type(widget).__name__} to {kind.__name__}")
