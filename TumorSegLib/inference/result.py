"""What a run yields."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.model.specification import ModelSpecification

if TYPE_CHECKING:
    from TumorSegLib.measurement.segment import Measurement


@dataclass(frozen=True)
class SliceMetrics:
    """Figures of one axial slice.

    Attributes:
        index: of the slice in the axial view of the volume, 0 is the most inferior.
        area_mm2: of all labels together on this slice.
        uncertainty: 0 to 1; see `TumorSegLib.inference.uncertainty`.
        correction_mm2: area that is expected to need correction; see
            `TumorSegLib.inference.uncertainty_ranking`.
    """

    index: int
    area_mm2: float
    uncertainty: float
    correction_mm2: float


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationResult(LabelledVolume):
    """What a model has segmented; equal to itself alone.

    Examples:
        >>> import TumorSegLib as tumorseg
        >>> result = tumorseg.segment("flair.nii.gz")
        >>> result.labelmap.shape == result.volume.voxels.shape
        True
        >>> [measurement.name for measurement in result.measurements]
        ['Tumour']

    Attributes:
        probabilities: uint8 (label, z, y, x), 0 to 255 for 0 to 1, in the order of the labels.
        slices: figures of every axial slice.
        device: where the network ran ("cpu", "cuda:0").
        precision: of the network's arithmetic ("fp32", "bf16").
        seconds: by stage of the run.
        warnings: lines for the user.
        given_up: what the filter of false positives took out, the likeliest first.
        names: of the volumes by channel, which the warnings tell; the segmented one is first.
        settings: how the model was run, beside device and precision ("detector": its id).
    """

    probabilities: NDArray[np.uint8]
    slices: tuple[SliceMetrics, ...]
    device: str
    precision: str
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def run_settings(self) -> Mapping[str, str]:
        """Device, precision, and what else the run was told."""
        return {"device": self.device, "precision": self.precision, **self.settings}

    def probability_maps(self) -> Sequence[NDArray[np.uint8]]:
        """Return for every label its probabilities, uint8 (z, y, x)."""
        return list(self.probabilities)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Volume, components and longest axial diameter of every label, found or not.

        They are computed anew each time, from the label map as it is then.
        """
        from TumorSegLib.measurement.segment import measure

        return tuple(measure(self))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the segmentation; the file is whole or absent.

        Examples:
            >>> import TumorSegLib as tumorseg
            >>> result = tumorseg.segment("flair.nii.gz")
            >>> result.save("tumour.seg.nrrd").name
            'tumour.seg.nrrd'
            >>> result.save("tumour.seg.nrrd")
            Traceback (most recent call last):
            TumorSegLib.errors.OutputError: tumour.seg.nrrd: is there already; ...

        Args:
            path: ends in `.seg.nrrd` (3D Slicer's segments, with names, colours and terminology),
                `.nii.gz`, `.nii`, `.nrrd`, `.mha` (label maps), `.mrb` (a 3D Slicer scene) or, of a
                volume that was read from DICOM, `.dcm` (a DICOM Segmentation).
            overwrite: whether a file that is there may be replaced.

        Returns:
            The path that was written.

        Raises:
            OutputError: the ending is unknown, there is a file that must stay, or the file cannot
                be written.
        """
        from TumorSegLib.writing import write_segmentation

        write_segmentation(self, path, overwrite=overwrite)
        return Path(path)


@dataclass(frozen=True, eq=False, repr=False)
class DetectionResult:
    """Probability of a finding, slice by slice; equal to itself alone.

    Attributes:
        volume: what was looked at.
        specification: of the model that did it.
        probabilities: one number a slice of the axial view, the most inferior first.
        structures: names of what they are probabilities of; of several, one is there.
        device: where the network ran.
        precision: of the network's arithmetic.
        seconds: by stage of the run.
        warnings: lines for the user.
    """

    volume: Volume
    specification: ModelSpecification
    probabilities: tuple[float, ...]
    structures: tuple[str, ...]
    device: str
    precision: str
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.specification.id!r}, volume={self.volume!r})"
