"""What the user of the page chose, as `TumorSegModule.logic.selection` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import slicer

from TumorSegModule.logic.settings import WHOLE_VOLUME


def _node() -> slicer.vtkMRMLScriptedModuleNode:
    """Return a node for references to further sequences; it is not saved with the scene."""
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
    node.UnRegister(None)
    node.SetName("TumorSeg in a browser")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)


@dataclass
class Chosen:
    """The page's settings; see `TumorSegModule.logic.parameters.Parameters`."""

    volume: Any = None
    target: Any = None
    region: Any = None
    model: str = ""
    extent: str = WHOLE_VOLUME
    device: str = "auto"
    precision: str = "auto"
    ensemble: bool = False
    onlyDetected: bool = False
    flips: str = "auto"
    keepModel: bool = True
    parameterNode: Any = field(default_factory=_node)
