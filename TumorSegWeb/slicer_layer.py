"""What 3D Slicer's application sets in the package `slicer`, for the logic outside of it.

`slicer-core` brings MRML and `slicer.util`. The scene that functions of `slicer.util` and the logic
work on, and the translation of texts, come from the application, which is not there.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import slicer


def provide(scene: slicer.vtkMRMLScene) -> None:
    """Make `scene` the one that the logic works on; call it before the logic is imported."""
    slicer.mrmlScene = scene
    if "slicer.i18n" not in sys.modules:
        module: Any = ModuleType("slicer.i18n")
        module.tr = str
        slicer.i18n = sys.modules["slicer.i18n"] = module
