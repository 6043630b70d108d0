"""Slicer's real Python files, from a source tree of it, in place of the stand-in's.

    TUMORSEG_SLICER_SOURCE=~/Slicer python -m pytest Testing -k slicer

The tree is only read. What 5.10 lacks (`packaging.py`) is then missing here, too.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import ctk
import qt
import slicer

SOURCE = "TUMORSEG_SLICER_SOURCE"
LAYER = ("i18n", "ScriptedLoadableModule", "packaging", "parameterNodeWrapper")
MODULES = ("SampleData",)


def tree() -> Path | None:
    """Return the root of the source tree that the environment names, None if it names none."""
    named = os.environ.get(SOURCE)
    if not named:
        return None
    root = Path(named).expanduser()
    if not (root / "Base" / "Python" / "slicer" / "util.py").is_file():
        raise FileNotFoundError(f"{SOURCE}={named}: is no source tree of 3D Slicer")
    return root


def version(root: Path) -> tuple[int, int]:
    """Return major and minor version of a source tree."""
    text = (root / "CMakeLists.txt").read_text()
    found = {
        part: int(re.search(rf"Slicer_VERSION_{part}\s+\"?(\d+)", text)[1])
        for part in ("MAJOR", "MINOR")
    }
    return found["MAJOR"], found["MINOR"]


def install(root: Path) -> None:
    """Put the tree's files in the place of `python_layer`'s modules."""
    folder = root / "Base" / "Python" / "slicer"
    _load("slicer.util", folder / "util.py")
    _stub_widgets(folder / "parameterNodeWrapper")
    for name in LAYER:
        path = folder / name / "__init__.py" if (folder / name).is_dir() else folder / f"{name}.py"
        sys.modules.pop(f"slicer.{name}", None)
        if path.is_file():
            _load(f"slicer.{name}", path)
    for name in MODULES:
        path = root / "Modules" / "Scripted" / name
        sys.path.append(str(path))
        _load(name, path / f"{name}.py")


def _load(name: str, path: Path) -> None:
    package = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=package)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if name.startswith("slicer."):
        setattr(slicer, name.partition(".")[2], module)
    spec.loader.exec_module(module)


def _stub_widgets(folder: Path) -> None:
    """Make widgets that are only compared with by class; the panel has none of them."""
    text = "".join(path.read_text() for path in folder.rglob("*.py"))
    for namespace, prefix in ((ctk, "ctk"), (slicer, "slicer")):
        for name in set(re.findall(rf"\b{prefix}\.((?:ctk|qMRML)\w+)", text)):
            if not hasattr(namespace, name):
                setattr(namespace, name, type(name, (qt.QWidget,), {}))
