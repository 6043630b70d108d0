"""What a run writes: label map and probabilities, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView, SliceIndices
from TumorSegLib.inference.labelmap import labelmap_from_probabilities
from TumorSegLib.model.specification import Label


def output(array: NDArray[np.uint8] | None, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """Return the array to write to, a new one if none is given.

    Raises:
        ValueError: the one that is given has another shape or type.
    """
    if array is None:
        return np.zeros(shape, np.uint8)
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, expected uint8 {shape}")
    return array


class Written:
    """Label map and probabilities of a run, slice by slice of the axial view.

    Attributes:
        labelmap: (z, y, x) of the axial view.
        probabilities: an array a label, likewise.
    """

    def __init__(
        self,
        view: AxialView,
        labelmap: NDArray[np.uint8],
        probabilities: NDArray[np.uint8],
        labels: Sequence[Label],
    ) -> None:
        """Write nothing yet.

        Args:
            view: axial view of the arrays.
            labelmap: array to write label values to.
            probabilities: array to write to, (labels, z, y, x).
            labels: of the model.
        """
        self.labelmap = view.apply(labelmap)
        self.probabilities = [view.apply(part) for part in probabilities]
        self._labels = labels
        self._others = np.ones(len(self.labelmap), np.bool_)

    def write(self, slices: SliceIndices, probabilities: NDArray[np.uint8]) -> None:
        """Write what the network says of `slices`, (labels, n, y, x), and the labels for it."""
        parts = list(probabilities)
        for target, part in zip(self.probabilities, parts, strict=True):
            target[slices] = part
        thresholds = [label.threshold for label in self._labels]
        self.labelmap[slices] = labelmap_from_probabilities(parts, self._labels, thresholds)
        self._others[slices] = False

    def clear_others(self) -> None:
        """Leave nothing on slices that were not written."""
        for index in np.flatnonzero(self._others):
            for array in (self.labelmap, *self.probabilities):
                if array[index].any():  # looking takes no memory where nobody has written
                    array[index] = 0
