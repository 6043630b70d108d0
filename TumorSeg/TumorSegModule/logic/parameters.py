"""The panel's settings, which live in the scene and are saved with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper

from TumorSegModule.logic.settings import WHOLE_VOLUME


@parameterNodeWrapper
class Parameters:
    """What the user chose.

    Attributes:
        volume: to segment.
        target: segmentation to write to; a new one if none.
        region: to which a run may be limited.
        model: id of the bundle; empty: the default for the volume's modality.
        extent: whole volume, this slice or region.
        sensitivity: of the last result, -100 to 100.
        device: "auto", "cpu", "cuda", ...
        precision: "auto", "fp32" or "bf16".
        ensemble: use the ensemble that the model belongs to.
        onlyDetected: segment only slices on which the detector finds something.
        flips: average with mirrored slices: "auto" (as the model says), "on" or "off".
        keepModel: keep the model in memory between runs.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    target: slicer.vtkMRMLSegmentationNode
    region: slicer.vtkMRMLMarkupsROINode
    model: str = ""
    extent: str = WHOLE_VOLUME
    sensitivity: float = 0.0
    device: str = "auto"
    precision: str = "auto"
    ensemble: bool = False
    onlyDetected: bool = False
    flips: str = "auto"
    keepModel: bool = True

    if TYPE_CHECKING:  # what the wrapper adds

        def __init__(self, parameterNode: slicer.vtkMRMLScriptedModuleNode) -> None: ...

        parameterNode: slicer.vtkMRMLScriptedModuleNode

        def connectGui(self, gui: Any) -> int: ...
        def disconnectGui(self, guiTag: int | None) -> None: ...
        def AddObserver(self, event: str, callback: Callable[..., None]) -> int: ...
        def RemoveObserver(self, tag: int | None) -> None: ...
        def Modified(self) -> None: ...
