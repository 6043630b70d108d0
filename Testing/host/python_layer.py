"""Slicer's own Python layer, as far as a scripted module needs it, from its documentation.

Every function has exactly the real one's parameters.
"""

from __future__ import annotations

import importlib
import sys
import unittest
from pathlib import Path
from types import ModuleType

import parameter_wrapper
import qt
import sample_data
import slicer
import vtk


def translate(context, text):
    return slicer.app.translate(context, text)


def tr(text):
    return translate("", text)


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
        slicer.selfTests = {**getattr(slicer, "selfTests", {}), self.moduleName: self.runTest}

    def resourcePath(self, filename):
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        page = docPage or slicer.app.moduleDocumentationUrl(self.moduleName)
        return f'<p><a href="{page}">online documentation</a></p>'

    def runTest(self, msec=100, **kwargs):
        test = getattr(importlib.import_module(self.__module__), f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()

    def resourcePath(self, filename):
        path = Path(slicer.util.modulePath(self.moduleName))
        return str(path.parent / "Resources" / filename)

    def setup(self):
        pass

    def cleanup(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        return node or scene.AddNode(self.createParameterNode())

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Overridden by modules."""

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        slicer.app.processEvents()


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
    _module(
        "slicer.parameterNodeWrapper",
        parameterNodeWrapper=parameter_wrapper.parameterNodeWrapper,
    )
    _module("slicer.i18n", tr=tr, translate=translate)
    _module(
        "SampleData",
        SampleDataLogic=sample_data.SampleDataLogic,
        SampleDataSource=sample_data.SampleDataSource,
    )
    sys.modules["slicer.util"] = slicer.util
    vtk.vtkObject.GlobalWarningDisplayOn()
