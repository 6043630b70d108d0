"""How runs are to be made, wherever that is kept: by the panel or by the page. MRML, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from TumorSegModule.logic.parameters import Parameters


WHOLE_VOLUME, THIS_SLICE, REGION = "whole volume", "this slice", "region"


@dataclass(frozen=True)
class Settings:
    """The settings of a series of runs as they were when it began.

    Attributes are those of `TumorSegModule.logic.parameters.Parameters`.
    """

    model: str = ""
    device: str = "auto"
    precision: str = "auto"
    ensemble: bool = False
    onlyDetected: bool = False
    flips: str = "auto"
    keepModel: bool = True

    @classmethod
    def of(cls, parameters: Parameters) -> Settings:
        """Return what `parameters` say now."""
        return cls(**{field.name: getattr(parameters, field.name) for field in fields(cls)})


def channel_node(parameters: Parameters, name: str) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the node chosen for a further sequence ("t1"), None if none is.

    Node references, unlike ids in a text, stay right when a scene is loaded into another.
    """
    return parameters.parameterNode.GetNodeReference(f"channel.{name}")


def set_channel_node(
    parameters: Parameters, name: str, node: slicer.vtkMRMLScalarVolumeNode | None
) -> None:
    """Choose the node for a further sequence."""
    parameters.parameterNode.SetNodeReferenceID(f"channel.{name}", node.GetID() if node else None)
