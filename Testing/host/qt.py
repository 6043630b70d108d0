"""PythonQt's `qt` on PySide6: every class in one module, Qt properties as attributes."""

from __future__ import annotations

import ctypes
import inspect
import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

if sys.version_info < (3, 12):
    # PySide6 counts on these being immortal, as they are since Python 3.12, and takes references
    # to them away: to None whenever a method returns nothing, to True whenever a signal is
    # disconnected or sends a bool. Before, that ends the process sooner or later.
    for _constant in (None, True, False, NotImplemented, Ellipsis):
        ctypes.c_ssize_t.from_address(id(_constant)).value += 1 << 40

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

METHODS = {"layout", "parent", "pos", "singleShot", "rect", "size", "font"}
"""Names that are properties of Qt, too, but are methods in PythonQt or needed as such here."""

VIRTUAL = {"event", "sizeHint", "minimumSizeHint"}
"""Properties whose getters Qt calls virtually; PySide would take an attribute for an override."""

for _module in (QtCore, QtGui, QtWidgets):
    for _name in dir(_module):
        if _name.startswith("Q"):
            globals().setdefault(_name, getattr(_module, _name))

Signal = QtCore.Signal
Property = QtCore.Property
QUiLoader = QtUiTools.QUiLoader
application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["stand-in"])


def _attribute(name: str) -> property:
    def read(self):
        return QtCore.QObject.property(self, name)

    def write(self, value):
        if not QtCore.QObject.setProperty(self, name, _coerced(self, name, value)):
            raise AttributeError(f"{type(self).__name__}.{name} does not take {value!r}")

    return property(read, write)


def _coerced(widget, name, value):
    meta = widget.metaObject()
    wanted = meta.property(meta.indexOfProperty(name)).typeName()
    return {"bool": bool, "int": int, "double": float, "QString": str}.get(wanted, lambda v: v)(
        value
    )


def _as_pythonqt(cls) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        if name not in METHODS | VIRTUAL:
            setattr(cls, name, _attribute(name))


for _class in list(globals().values()):
    if inspect.isclass(_class) and issubclass(_class, QtCore.QObject):
        _as_pythonqt(_class)

QtCore.QObject.name = property(lambda self: self.objectName)
