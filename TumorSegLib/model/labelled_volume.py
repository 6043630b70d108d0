"""A volume with a model's labels, whoever or whatever drew them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import ModelSpecification

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True, eq=False, repr=False)
class LabelledVolume:
    """Labels on the exact grid of `volume`; equal to itself alone.

    Attributes:
        volume: what is labelled.
        specification: of the model whose labels these are.
        labelmap: uint8 (z, y, x), values from the model's labels, 0 elsewhere.
    """

    volume: Volume
    specification: ModelSpecification
    labelmap: NDArray[np.uint8]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.specification.id!r}, volume={self.volume!r})"

    @property
    def run_settings(self) -> Mapping[str, str]:
        """How the model was run that drew the labels; empty if none drew them."""
        return {}

    def probability_maps(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return for every label its probabilities, uint8 (z, y, x), where there are any."""
        return [None] * len(self.specification.labels)

    def to_sitk(self) -> sitk.Image:
        """Return a copy of the label map as an image with the volume's spacing, origin, direction.

        Examples:
            >>> import TumorSegLib as tumorseg
            >>> result = tumorseg.segment("flair.nii.gz")
            >>> result.to_sitk().GetPixelIDTypeAsString()
            '8-bit unsigned integer'
        """
        from TumorSegLib.image.itk import to_sitk

        return to_sitk(self.labelmap, self.volume.grid)
