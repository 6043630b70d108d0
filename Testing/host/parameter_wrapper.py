"""A stand-in for `slicer.parameterNodeWrapper`, from its documentation.

As there, values are kept and read anew only when the node says that it was modified, which it does
not when a node of a loaded scene that it refers to arrives. As in 5.10, `disconnectGui` leaves the
observer that `connectGui` put on the node.
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
        self._updating = self._writing = False
        self._read_all()
        self.AddObserver("ModifiedEvent", lambda *_: self._read_all())

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

    def _read_all(self):
        if not self._writing:
            self._values = {name: self._read(name) for name in self._types}

    def _read(self, name):
        kind, node = self._types[name], self.parameterNode
        if not node.HasParameter(name):  # also anew, after the scene was closed
            self._write(name, self._defaults[name])
        if issubclass(kind, slicer.vtkMRMLNode):
            return node.GetNodeReference(name)
        text = node.GetParameter(name)
        return text == "True" if kind is bool else kind(text)

    def _write(self, name, value):
        kind, node = self._types[name], self.parameterNode
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}, expected {kind.__name__}")
        if issubclass(kind, slicer.vtkMRMLNode):
            node.SetParameter(name, "")
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(name, str(value))

    def _set(self, name, value):
        modifying, self._writing = self.StartModify(), True
        self._write(name, value)
        self._values[name] = self._read(name)
        self._writing = False
        self.EndModify(modifying)

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
    content |= {name: _parameter(name) for name in types}
    return type(classtype.__name__, (_ParameterNodeWrapper,), content)


def _parameter(name):
    return property(
        lambda self: self._values[name],
        lambda self, value: self._set(name, value),
    )


def _connector(widget, kind):
    """Return reader, writer and signal; Slicer compares exact classes, too."""
    if issubclass(kind, slicer.vtkMRMLNode) and type(widget) is slicer.qMRMLNodeComboBox:
        return widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged
    if kind is bool and type(widget) is qt.QCheckBox:
        return lambda: widget.checked, widget.setChecked, widget.stateChanged
    if kind is float and type(widget) is ctk.ctkSliderWidget:
        return lambda: widget.value, widget.setValue, widget.valueChanged
    raise RuntimeError(f"no connector from {type(widget).__name__} to {kind.__name__}")
