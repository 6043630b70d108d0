"""Slicer's own Python layer, as far as a scripted module needs it, from its documentation."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import get_type_hints

import ctk
import qt
import slicer
import vtk


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""

    def getDefaultModuleDocumentationLink(self):
        return ""


class ScriptedLoadableModuleWidget:
    def __init__(self, parent):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()

    def setup(self):
        pass

    def cleanup(self):
        pass

    def resourcePath(self, name):
        return f"{slicer.modules.tumorseg.path}/Resources/{name}"


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        scene = slicer.mrmlScene
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode")):
            node = scene.GetNthNodeByClass(index, "vtkMRMLScriptedModuleNode")
            if node.GetModuleName() == self.moduleName:
                return node
        node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetName(self.moduleName)
        return scene.AddNode(node)


class ScriptedLoadableModuleTest:
    def setUp(self):
        slicer.mrmlScene.Clear()

    def delayDisplay(self, message, msec=0):
        pass


def parameterNodeWrapper(cls):
    """Give `cls` typed properties that are kept in a vtkMRMLScriptedModuleNode."""
    types = get_type_hints(cls)
    defaults = {name: getattr(cls, name, None) for name in types}
    for name, kind in types.items():
        setattr(cls, name, _parameter(name, kind))

    def __init__(self, node):
        self.parameterNode = node
        self._guis = {}
        for name, default in defaults.items():
            if default is not None and not node.HasParameter(name):
                setattr(self, name, default)

    def connectGui(self, gui):
        widgets = {
            widget.property("SlicerParameterName"): widget
            for widget in vars(gui).values()
            if widget.property("SlicerParameterName")
        }
        connections = []
        for name, widget in widgets.items():
            read, write, signal = _connector(widget, types[name])

            def changed(*_, name=name, read=read):
                if not self._updating:
                    setattr(self, name, read())

            write(getattr(self, name))
            signal.connect(changed)
            connections.append((name, write, signal, changed))

        def update(*_):
            if self._updating:
                return
            self._updating = True
            for name, write, _signal, _changed in connections:
                write(getattr(self, name))
            self._updating = False

        tag = len(self._guis)
        self._guis[tag] = (self.parameterNode.AddObserver("ModifiedEvent", update), connections)
        return tag

    def disconnectGui(self, tag):
        observer, connections = self._guis.pop(tag)
        self.parameterNode.RemoveObserver(observer)
        for _name, _write, signal, changed in connections:
            signal.disconnect(changed)

    cls.__init__ = __init__
    cls._updating = False
    cls.connectGui = connectGui
    cls.disconnectGui = disconnectGui
    cls.AddObserver = lambda self, event, call, priority=0.0: self.parameterNode.AddObserver(
        event, call, priority
    )
    cls.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    cls.StartModify = lambda self: self.parameterNode.StartModify()
    cls.EndModify = lambda self, was: self.parameterNode.EndModify(was)
    return cls


def _parameter(name, kind):
    if issubclass(kind, slicer.vtkMRMLNode):
        return property(
            lambda self: self.parameterNode.GetNodeReference(name),
            lambda self, node: self.parameterNode.SetNodeReferenceID(
                name, node.GetID() if node else None
            ),
        )

    def read(self):
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
        return lambda: widget.checked, widget.setChecked, widget.toggled
    if kind is float and type(widget) is ctk.ctkSliderWidget:
        return lambda: widget.value, lambda v: setattr(widget, "value", v), widget.valueChanged
    raise TypeError(f"no connector from {type(widget).__name__} to {kind.__name__}")


def _module(name, **content):
    module = ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent == "slicer":
        setattr(slicer, child, module)


def install():
    """Make `slicer.ScriptedLoadableModule` and the like importable."""
    _module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
    )
    _module("slicer.parameterNodeWrapper", parameterNodeWrapper=parameterNodeWrapper)
    _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    sources = []
    logic = SimpleNamespace(
        registerCustomSampleDataSource=lambda **source: sources.append(source), sources=sources
    )
    _module("SampleData", SampleDataLogic=logic)
    sys.modules["slicer.util"] = slicer.util
    vtk.vtkObject.GlobalWarningDisplayOn()
