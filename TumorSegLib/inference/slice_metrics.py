"""The figures of a run's slices, gathered batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TumorSegLib.image.in_plane import resize
from TumorSegLib.inference.preparation import PreparedVolume
from TumorSegLib.inference.probabilities import quantise
from TumorSegLib.inference.result import SliceMetrics
from TumorSegLib.inference.uncertainty import expected_wrong, slice_uncertainty
from TumorSegLib.inference.uncertainty_ranking import expected_correction
from TumorSegLib.model.specification import Label
from TumorSegLib.support.arrays import array_from_tensor


class SliceMetricsAccumulator:
    """Takes the probabilities of consecutive slices; at the end it tells the slices' figures."""

    def __init__(self, prepared: PreparedVolume, labels: Sequence[Label]) -> None:
        """Begin.

        Args:
            prepared: the volume that the slices are of.
            labels: of the model.
        """
        self._prepared = prepared
        self._labels = labels
        self._doubts: list[Tensor] = []

    def quantised(self, start: int, probabilities: Tensor) -> NDArray[np.uint8]:
        """Take slices from `start` (n, K, H, W) on the network's grid, where they lie if possible.

        Where a label cannot be, what the network says of it leaves no doubt.

        Returns:
            The probabilities on the volume's own grid, uint8 (n, K, *shape).
        """
        try:
            thresholds = torch.tensor(
                [label.threshold for label in self._labels], device=probabilities.device
            )
            admitted = self._prepared.admitted(start, probabilities, self._labels)
            wrong = expected_wrong(admitted)
            doubts = torch.stack([wrong, slice_uncertainty(wrong, admitted, thresholds)]).cpu()
            quantised = quantise(resize(probabilities, self._prepared.shape))
        except RuntimeError:
            if probabilities.device.type == "cpu":
                raise
        else:
            self._doubts.append(doubts)
            return quantised
        return self.quantised(start, probabilities.cpu())  # the GPU has no room for it

    def metrics(self, slices: range, labels: NDArray[np.uint8]) -> tuple[SliceMetrics, ...]:
        """Return the figures of the slices that were taken.

        Args:
            slices: their indices.
            labels: label values of the whole axial view.
        """
        wrong, uncertainties = torch.cat(self._doubts, dim=1)
        labels = labels[slices.start : slices.stop]
        spacing = self._prepared.view.spacing_zyx
        pixel_mm2 = spacing[1] * spacing[2]
        coarseness = prod(self._prepared.shape) / prod(self._prepared.network_shape)
        corrections = expected_correction(
            array_from_tensor(wrong) * pixel_mm2 * coarseness, labels, pixel_mm2
        )
        areas = np.count_nonzero(labels, axis=(1, 2)) * pixel_mm2
        return tuple(
            SliceMetrics(index, float(area), float(uncertainty), float(correction))
            for index, area, uncertainty, correction in zip(
                slices, areas, uncertainties, corrections, strict=True
            )
        )
