"""What a run yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import ModelSpecification


@dataclass(frozen=True)
class SliceFigure:
    """Figures of one axial slice.

    Attributes:
        index: of the slice in the axial view of the volume, 0 is the most inferior.
        area_mm2: of all labels together on this slice.
        uncertainty: 0 to 1; see `TumorSegLib.inference.uncertainty`.
        correction_mm2: area that is expected to need correction; see
            `TumorSegLib.inference.review`.
    """

    index: int
    area_mm2: float
    uncertainty: float
    correction_mm2: float


@dataclass(frozen=True)
class LabelledVolume:
    """Labels on the exact grid of `volume`, whoever or whatever drew them.

    Attributes:
        volume: what is labelled.
        specification: of the model whose labels these are.
        labelmap: uint8 (z, y, x), values from the model's labels, 0 elsewhere.
    """

    volume: Volume
    specification: ModelSpecification
    labelmap: NDArray[np.uint8]


@dataclass(frozen=True)
class SegmentationResult(LabelledVolume):
    """What a model has segmented.

    Attributes:
        probabilities: uint8 (label, z, y, x), 0 to 255 for 0 to 1, in the order of the labels.
        slices: figures of every axial slice.
        device: where the network ran ("cpu", "cuda:0").
        precision: of the network's arithmetic ("fp32", "bf16").
        seconds: by stage of the run.
        warnings: lines for the user.
    """

    probabilities: NDArray[np.uint8]
    slices: tuple[SliceFigure, ...]
    device: str
    precision: str
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DetectionResult:
    """Probability of a finding, slice by slice.

    Attributes:
        volume: what was looked at.
        specification: of the model that did it.
        probabilities: one number a slice of the axial view, the most inferior first.
        device: where the network ran.
        precision: of the network's arithmetic.
        seconds: by stage of the run.
        warnings: lines for the user.
    """

    volume: Volume
    specification: ModelSpecification
    probabilities: tuple[float, ...]
    device: str
    precision: str
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()
