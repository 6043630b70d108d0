"""The figures of a run's slices, gathered batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TumorSegLib.image.grid import SliceIndices
from TumorSegLib.image.in_plane import resize
from TumorSegLib.inference.preparation import PreparedVolume, admitted
from TumorSegLib.inference.probabilities import quantise
from TumorSegLib.inference.result import SliceMetrics
from TumorSegLib.inference.uncertainty import expected_wrong, slice_uncertainty
from TumorSegLib.inference.uncertainty_ranking import expected_correction
from TumorSegLib.model.specification import Label
from TumorSegLib.support.arrays import array_from_tensor


class SliceMetricsAccumulator:
    """Takes the probabilities of slices, in any order; at the end it tells the slices' figures."""

    def __init__(self, prepared: PreparedVolume, labels: Sequence[Label]) -> None:
        """Begin.

        Args:
            prepared: the volume that the slices are of.
            labels: of the model.
        """
        self._prepared = prepared
        self._labels = labels
        self._doubts = np.zeros((2, prepared.count), np.float32)

    def quantised(self, slices: SliceIndices, probabilities: Tensor) -> NDArray[np.uint8]:
        """Take `slices` (n, K, H, W) on the network's grid, where they lie if possible.

        Where a label cannot be, what the network says of it neither counts nor leaves doubt.

        Returns:
            The probabilities on the volume's own grid, uint8 (K, n, *shape).
        """
        beyond = self._prepared.beyond(slices, self._labels)
        try:
            thresholds = torch.tensor(
                [label.threshold for label in self._labels], device=probabilities.device
            )
            counting = admitted(probabilities, beyond)
            wrong = expected_wrong(counting)
            doubts = torch.stack([wrong, slice_uncertainty(wrong, counting, thresholds)]).cpu()
            quantised = quantise(resize(probabilities, self._prepared.shape)).swapaxes(0, 1)
        except RuntimeError:
            if probabilities.device.type == "cpu":
                raise
            return self.quantised(slices, probabilities.cpu())  # the GPU has no room for it
        self._doubts[:, slices] = array_from_tensor(doubts)
        for part, outside in zip(quantised, beyond, strict=True):
            if outside is not None:
                part[outside] = 0
        return quantised

    def metrics(self, slices: range, labels: NDArray[np.uint8]) -> tuple[SliceMetrics, ...]:
        """Return the figures of slices; those that were not taken leave no doubt.

        Args:
            slices: their indices.
            labels: label values of the whole axial view.
        """
        wrong, uncertainties = self._doubts[:, slices.start : slices.stop]
        labels = labels[slices.start : slices.stop]
        spacing = self._prepared.view.spacing_zyx
        pixel_mm2 = spacing[1] * spacing[2]
        coarseness = prod(self._prepared.shape) / prod(self._prepared.network_shape)
        corrections = expected_correction(wrong * pixel_mm2 * coarseness, labels, pixel_mm2)
        areas = np.count_nonzero(labels, axis=(1, 2)) * pixel_mm2
        return tuple(
            SliceMetrics(index, float(area), float(uncertainty), float(correction))
            for index, area, uncertainty, correction in zip(
                slices, areas, uncertainties, corrections, strict=True
            )
        )
