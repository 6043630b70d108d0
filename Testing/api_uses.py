"""Finds what Python code uses of Slicer, CTK and Qt, and tells what of it does not exist there.

Types are followed where the code says them: `qt.QTimer()`, `slicer.qMRMLNodeComboBox()`,
`self._ui.NAME` and the locals and attributes that these are assigned to.
"""

from __future__ import annotations

import ast
import unittest
from pathlib import Path
from xml.etree import ElementTree

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_facts import VERSIONS, Facts

MODULES = ("SampleData", "PyTorchUtils")
"""Python modules beside `slicer` whose functions the facts state."""

UI = "the widgets of the .ui"
APPLICATION, MODULE = "qSlicerApplication", "qSlicerScriptedLoadableModule"
DATABASE = "ctkDICOMDatabase"
SIGNAL_USES = {"connect", "disconnect", "emit"}
EVENTS = {
    "paintEvent": "QPaintEvent",
    "mousePressEvent": "QMouseEvent",
    "mouseMoveEvent": "QMouseEvent",
    "mouseReleaseEvent": "QMouseEvent",
    "resizeEvent": "QResizeEvent",
}


def qt_class(name):
    """Return a class of Qt, None if there is none of this name."""
    return next(
        (found for place in (QtCore, QtGui, QtWidgets) if (found := getattr(place, name, None))),
        None,
    )


def _properties():
    """Return which properties of Qt's classes are writable, by class and name.

    They are read once: PySide's meta-objects do not outlive the widgets of later tests.
    """
    found = {}
    for place in (QtCore, QtGui, QtWidgets):
        for name in dir(place):
            meta = getattr(getattr(place, name), "staticMetaObject", None)
            if meta is not None:
                each = (meta.property(index) for index in range(meta.propertyCount()))
                found[name] = {item.name(): item.isWritable() for item in each}
    return found


QT_PROPERTIES = _properties()


def widgets_of(path: Path) -> dict[str, str]:
    """Return the classes of a `.ui` file's widgets by name."""
    widgets = ElementTree.parse(path).iter("widget")
    return {widget.get("name"): widget.get("class") for widget in widgets}


class Uses(ast.NodeVisitor):
    """Collects faults of one file.

    Attributes:
        faults: a line each.
    """

    def __init__(self, path: Path, facts: Facts, widgets: dict[str, str]):
        """Look for faults in `path`; `widgets` has the classes of the `.ui` file's widgets."""
        self.faults = []
        self._path, self._facts, self._widgets = path, facts, widgets
        self._scopes = [{}]
        self._class, self._members = None, {}
        self._calls = {}
        self.visit(ast.parse(path.read_text()))

    def visit_Import(self, node):
        for alias in node.names:
            if alias.name.startswith("slicer."):
                self._check_module(node, alias.name.partition(".")[2])

    def visit_ImportFrom(self, node):
        module = node.module or ""
        if module.startswith("slicer."):
            name = module.partition(".")[2]
            self._check_module(node, name)
            for alias in node.names:
                if name != "parameterNodeWrapper":
                    self._python(node, name, [alias.name], None)

    def visit_ClassDef(self, node):
        outer, self._class, members = self._class, node, self._members
        self._members = {}
        for assignment in ast.walk(node):
            if isinstance(assignment, ast.Assign):
                self._assign(assignment)
        self.generic_visit(node)
        self._class, self._members = outer, members

    def visit_FunctionDef(self, node):
        self._scopes.append(dict(self._scopes[-1]))
        if node.name in EVENTS and len(node.args.args) == 2:
            self._scopes[-1][node.args.args[1].arg] = EVENTS[node.name]
        self.generic_visit(node)
        self._scopes.pop()

    def visit_Assign(self, node):
        self._assign(node)
        self.generic_visit(node)

    def visit_For(self, node):
        if isinstance(node.iter, ast.Tuple) and node.iter.elts:
            self._bind(node.target, node.iter.elts[0])
        self.generic_visit(node)

    def visit_Call(self, node):
        self._calls[id(node.func)] = node
        chain = _chain(node.func)
        if chain and chain[0] == "qt" and node.keywords:
            self._fault(node, f"{'.'.join(chain)} takes no keywords")
        self._check_own(node)
        self.generic_visit(node)

    def visit_Attribute(self, node):
        chain = _chain(node)
        call = self._calls.get(id(node))
        if chain and chain[0] in ("slicer", "qt", "ctk", *MODULES):
            if not isinstance(self._parent_of.get(id(node)), ast.Attribute):
                self._check_chain(node, chain, call)
        else:
            owner = self._type(node.value)
            if owner not in (None, UI):
                self._check_member(node, owner, node.attr, call)
            elif owner == UI and node.attr not in self._widgets:
                self._fault(node, f"{node.attr} is not in the .ui")
        self.generic_visit(node)

    def visit_Module(self, node):
        self._parent_of = {
            id(child): parent for parent in ast.walk(node) for child in ast.iter_child_nodes(parent)
        }
        self.generic_visit(node)

    def _fault(self, node, text):
        self.faults.append(f"{self._path.name}:{node.lineno}: {text}")

    def _assign(self, node):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for part, value in zip(target.elts, node.value.elts, strict=False):
                    self._bind(part, value)
            else:
                self._bind(target, node.value)

    def _bind(self, target, value):
        kind = self._type(value)
        if isinstance(target, ast.Name):
            self._scopes[-1][target.id] = kind
        elif isinstance(target, ast.Attribute) and _chain(target)[:1] == ["self"]:
            self._members[target.attr] = kind or self._members.get(target.attr)

    def _type(self, node):
        """Return the class of what an expression yields, None if it is not known."""
        if isinstance(node, ast.Call):
            chain = _chain(node.func)
            if len(chain) == 2 and chain[0] in ("qt", "ctk", "slicer"):
                known = qt_class(chain[1]) or self._facts.has_class(VERSIONS[0], chain[1])
                return chain[1] if known and not chain[1].startswith("vtk") else None
            return None
        if isinstance(node, ast.Name):
            return UI if node.id == "ui" else self._scopes[-1].get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        chain = _chain(node)
        if chain == ["slicer", "app"]:
            return APPLICATION
        if chain[:2] == ["slicer", "modules"] and len(chain) == 3:
            return MODULE
        if node.attr in ("ui", "_ui"):
            return UI
        if self._type(node.value) == UI:
            return self._widgets.get(node.attr)
        if len(chain) == 2 and chain[0] == "self":
            return self._members.get(node.attr)
        return None

    def _check_module(self, node, name):
        for version in VERSIONS:
            known = self._facts.python(version, name) or self._facts.python(
                version, f"{name}.wrapper"
            )
            if not known and not self._guarded(node):
                self._fault(node, f"slicer.{name} is not in {version}")

    def _guarded(self, node):
        """Tell whether an import may fail."""
        while (node := self._parent_of.get(id(node))) is not None:
            if isinstance(node, ast.Try) and any(
                getattr(handler.type, "id", "") in ("ImportError", "ModuleNotFoundError")
                for handler in node.handlers
            ):
                return True
        return False

    def _check_chain(self, node, chain, call):
        """Check `slicer.util.f`, `slicer.vtkX.Y`, `slicer.app.x`, `qt.QX.Y`, `SampleData.X.y`."""
        root, rest = chain[0], chain[1:]
        if root in MODULES:
            self._python(node, root, rest, call)
        elif root == "qt":
            self._check_qt(node, rest)
        elif rest[0] == "util":
            self._python(node, "util", rest[1:], call)
        elif rest[0] == "app" and len(rest) > 1:
            self._check_member(node, APPLICATION, rest[1], call if len(rest) == 2 else None)
        elif rest[0] == "modules" and len(rest) > 1:
            if not all(self._facts.has_module(version, rest[1]) for version in VERSIONS):
                self._fault(node, f"slicer.modules.{rest[1]}: no module of Slicer has that name")
            elif len(rest) > 2:
                self._check_member(node, MODULE, rest[2], call if len(rest) == 3 else None)
        elif rest[0] == "dicomDatabase":
            if len(rest) > 1:
                self._check_member(node, DATABASE, rest[1], call if len(rest) == 2 else None)
        elif rest[0] == "mrmlScene":
            self._check_vtk(node, slicer.vtkMRMLScene, rest[1:])
        elif rest[0].startswith("vtk"):
            kind = getattr(slicer, rest[0], None)
            if kind is None:
                self._fault(node, f"{rest[0]} is not in Slicer's libraries")
            else:
                self._check_vtk(node, kind, rest[1:])
        elif rest[0] not in ("app", "modules", "i18n", "parameterNodeWrapper"):
            for version in VERSIONS:
                if not self._facts.has_class(version, rest[0]):
                    self._fault(node, f"{'.'.join(chain)} is not in {version}")

    def _check_vtk(self, node, kind, rest):
        if rest and not hasattr(kind, rest[0]):
            self._fault(node, f"{kind.__name__} has no {rest[0]}")

    def _check_qt(self, node, rest):
        found = qt_class(rest[0])
        if found is None or (len(rest) > 1 and not hasattr(found, rest[1])):
            self._fault(node, f"qt.{'.'.join(rest)} is not in Qt")

    def _python(self, node, module, names, call):
        """Check a function, or a class and its method, of a Python module, and its arguments."""
        for version in VERSIONS:
            content = self._facts.python(version, module)
            if not content and self._guarded(node):
                continue
            found = content.get(names[0]) if names else {}
            if found and len(names) > 1:
                found = found.get("methods", {}).get(names[1])
            if found is None:
                self._fault(node, f"{module}.{'.'.join(names)} is not in {version}")
            elif call is not None:
                found = found.get("methods", {}).get("__init__", found)
                self._check_arguments(call, version, module, names, found)

    def _check_arguments(self, call, version, module, names, found):
        known = [name.rstrip("=") for name in found.get("parameters", ()) if name != "self"]
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg not in known and "**" not in found:
                self._fault(call, f"{module}.{'.'.join(names)} has no {keyword.arg} in {version}")
        if len(call.args) > len(known) and "*" not in found:
            self._fault(call, f"{module}.{'.'.join(names)} takes {len(known)} in {version}")

    def _check_own(self, call):
        """Check calls of what a class has from Slicer's Python classes."""
        if self._class is None or _chain(call.func)[:1] != ["self"] or len(_chain(call.func)) != 2:
            return
        bases = [_chain(base)[-1] for base in self._class.bases if _chain(base)]
        name = call.func.attr
        own = {item.name for item in self._class.body if isinstance(item, ast.FunctionDef)}
        if name in own or name in self._members or name.startswith("_"):
            return
        for version in VERSIONS:
            places = [
                (module, base, self._facts.python(version, module)[base])
                for base in bases
                for module in ("ScriptedLoadableModule", "util")
                if base in self._facts.python(version, module)
            ]
            if not places:
                return
            found = [place for place in places if name in place[2]["methods"]]
            if found:
                module, base, content = found[0]
                self._check_arguments(call, version, module, [base, name], content["methods"][name])
            elif not hasattr(unittest.TestCase, name):
                self._fault(call, f"{name} is no method of {bases} in {version}")

    def _check_member(self, node, owner, name, call):
        """Check a property, signal, method or enum of an object of Slicer, CTK or Qt."""
        for version in VERSIONS:
            text = f"{owner}.{name}"
            if self._facts.has_class(version, owner):
                interface = self._facts.interface(version, owner)
                base, decorated = (
                    qt_class(interface.qt),
                    self._facts.decorators(
                        version, "qSlicerCoreApplication" if owner == APPLICATION else owner
                    ),
                )
            else:
                interface, base, decorated = None, qt_class(owner), set()
            if interface is not None and name in interface.properties:
                self._check_property(node, text, interface.properties[name], call)
            elif interface is not None and name in interface.signals:
                self._check_signal(node, text)
            elif interface is not None and name in interface.methods:
                counts = interface.methods[name]
                if call is not None and counts and len(call.args) not in counts:
                    self._fault(node, f"{text} takes {sorted(counts)} in {version}")
                if call is not None and call.keywords:
                    self._fault(node, f"{text} takes no keywords")
            elif (interface is not None and name in interface.enums) or name in decorated:
                pass
            elif base is not None and (
                hasattr(base, name) or name in QT_PROPERTIES.get(base.__name__, ())
            ):
                self._check_of_qt(node, base, name, call)
            else:
                self._fault(node, f"{text} is not in {version}")

    def _check_property(self, node, text, kind, call):
        if call is not None:
            self._fault(node, f"{text} is a property: no call")
        if isinstance(node.ctx, ast.Store) and kind.endswith("read-only"):
            self._fault(node, f"{text} is read-only")

    def _check_signal(self, node, text):
        parent = self._parent_of[id(node)]
        uses = {node.attr, parent.attr} if isinstance(parent, ast.Attribute) else {node.attr}
        if not uses & SIGNAL_USES:  # of a chain like slicer.app.SIGNAL.connect, `node` is the end
            self._fault(node, f"{text} is a signal")

    def _check_of_qt(self, node, base, name, call):
        text = f"{base.__name__}.{name}"
        properties = QT_PROPERTIES.get(base.__name__, {})
        if name in properties:
            self._check_property(node, text, "" if properties[name] else "read-only", call)
        elif isinstance(node.ctx, ast.Store):
            self._fault(node, f"{text} is no property")
        elif call is not None and call.keywords:
            self._fault(node, f"{text} takes no keywords")


def _chain(node):
    """Return the names of `a.b.c`, [] of anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []
