"""`.ui` files and scripted modules, loaded as the application does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import application
import ctk
import mrml_widgets
import python_layer
import qt
import slicer
import slicer_source

NEWEST = (5, 12)
"""Version of Slicer that the stand-in stands in for."""

_kept = []
"""Loaded widgets: PySide forgets the Python side of those that only Qt refers to."""


def main_window():
    """Return None: there is no main window in tests."""


def load_ui(path):
    """Return the widget of a `.ui` file, with its connections made."""
    tree = ElementTree.parse(path)
    connections = tree.getroot().findall("connections/connection")
    for part in tree.getroot().findall("connections"):
        tree.getroot().remove(part)  # Qt knows no signals and slots of Python classes
    buffer = qt.QBuffer()
    buffer.setData(ElementTree.tostring(tree.getroot()))
    buffer.open(qt.QIODevice.ReadOnly)
    loader = qt.QUiLoader()
    for widget in (*mrml_widgets.WIDGETS, ctk.ctkCollapsibleButton, ctk.ctkSliderWidget):
        loader.registerCustomWidget(widget)
    widget = loader.load(buffer)
    _kept.append((widget, widget.findChildren(qt.QObject)))
    named = {child.objectName: child for child in (widget, *widget.findChildren(qt.QObject))}
    for connection in connections:
        sender, signal, receiver, slot = (
            connection.findtext(part).partition("(")[0]
            for part in ("sender", "signal", "receiver", "slot")
        )
        getattr(named[sender], signal).connect(getattr(named[receiver], slot))
    return widget


def child_widget_variables(widget):
    """Return the named widgets below `widget` as attributes."""
    children = [widget, *widget.findChildren(qt.QObject)]
    named = {child.objectName: child for child in children if child.objectName}
    return SimpleNamespace(**{n: c for n, c in named.items() if not n.startswith("qt_")})


def load_module(folder: Path):
    """Return the Python module of the scripted module in `folder`, registered as at start-up."""
    name = folder.name
    sys.path.insert(0, str(folder))
    python = importlib.import_module(name)
    path = str(folder / f"{name}.py")
    module = application.Module(
        name, path=path, make_widget=lambda: open_widget(getattr(python, f"{name}Widget"))
    )
    setattr(slicer.modules, name.lower(), module)
    module.instance = getattr(python, name)(SimpleNamespace(path=path))
    slicer.app.startupCompleted.emit()
    return python


def open_widget(kind, change=lambda widget: None):
    """Return what a module panel shows for a widget class of a scripted module.

    Args:
        kind: subclass of ScriptedLoadableModuleWidget.
        change: is handed the object of `kind` before its `setup`.
    """
    root = slicer.qSlicerScriptedLoadableModuleWidget()
    root.setLayout(qt.QVBoxLayout())
    root._python = widget = kind(root)
    setattr(slicer.modules, kind.__name__, widget)
    change(widget)
    widget.setup()
    root.setMRMLScene(slicer.mrmlScene)
    return root


def start():
    """Boot the stand-in once and return `slicer`.

    With the environment's TUMORSEG_SLICER_SOURCE, Slicer's own Python files take the place of the
    stand-in's.
    """
    if getattr(slicer, "app", None) is None:
        tree = slicer_source.tree()
        application.boot(slicer_source.version(tree) if tree else NEWEST)
        mrml_widgets.install()
        if tree:
            slicer_source.install(tree)
        else:
            python_layer.install()
        slicer.util.loadUI = load_ui
        slicer.util.childWidgetVariables = child_widget_variables
        slicer.util.mainWindow = main_window
    return slicer
