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

_kept = []
"""Loaded widgets: PySide forgets the Python side of those that only Qt refers to."""


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
    parent = SimpleNamespace(path=str(folder / f"{name}.py"))
    module = application.Module(name, path=str(folder))
    setattr(slicer.modules, name.lower(), module)
    module.instance = getattr(python, name)(parent)
    slicer.app.startupCompleted.emit()
    return python


def start():
    """Boot the stand-in once and return `slicer`."""
    if getattr(slicer, "app", None) is None:
        application.boot()
        mrml_widgets.install()
        python_layer.install()
        slicer.util.loadUI = load_ui
        slicer.util.childWidgetVariables = child_widget_variables
    return slicer
