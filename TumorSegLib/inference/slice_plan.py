"""Which slices run, and in which order: one after the other, or an organ's alone.

An organ of which the post-processing keeps the largest component takes up part of a scan. Slices
some millimetres apart run first, then those between them that the organ's component may reach.
What it leaves out could only hold what the post-processing takes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.components import components_of, table_of
from TumorSegLib.image.grid import SliceIndices
from TumorSegLib.model.postprocessing import KeepLargest
from TumorSegLib.model.specification import ModelSpecification

LARGE_SHARE = 0.25
"""Of the largest component: how large another may seem that is largest once it is whole."""

FIRST_SLICES = 16
"""Least that run first: the spacing in a header may be wrong."""


class SlicePlan(Protocol):
    """Hands out slices; before the next are asked for, those handed out have their labels.

    Attributes:
        total: slices in all, as far as is known.
    """

    total: int

    def __iter__(self) -> Iterator[SliceIndices]: ...


class EverySlice:
    """All slices of a range in their order, `total` of them."""

    def __init__(self, slices: range) -> None:
        self._slices = slices
        self.total = len(slices)

    def __iter__(self) -> Iterator[SliceIndices]:
        yield np.arange(self._slices.start, self._slices.stop)


class OrganSlices:
    """Every `step`-th slice, then those between that an organ may reach.

    Attributes:
        total: slices to run, as far as is known; it falls when the organ's place is known.
    """

    def __init__(self, labels: NDArray[np.uint8], organ: Iterable[int], step: int) -> None:
        """Plan slices.

        Args:
            labels: label values (z, y, x) of the axial view; those of slices that were handed out
                have to be there before the next are asked for.
            organ: values of the organ and its parts.
            step: slices from one that runs first to the next.
        """
        self._labels = labels
        self._belongs = table_of(organ)
        self._first = np.unique([*range(0, len(labels), step), len(labels) - 1])
        self.total = len(labels)

    def __iter__(self) -> Iterator[SliceIndices]:
        yield self._first
        self.total = len(self._first)
        filled: set[int] = set()
        wanted = self._gaps_of_large_parts()
        while wanted:
            filled |= wanted
            slices = np.concatenate([np.arange(*self._between(gap)) for gap in sorted(wanted)])
            self.total += len(slices)
            if len(slices):
                yield slices
            wanted = self._reached(filled)

    def _between(self, gap: int) -> tuple[int, int]:
        """Return start and stop of the slices between two that ran first."""
        return int(self._first[gap]) + 1, int(self._first[gap + 1])

    def _gaps_of_large_parts(self) -> set[int]:
        """Return the gaps in which, or at whose borders, a large component is."""
        components, sizes = components_of(self._belongs[self._labels[self._first]])
        large = np.flatnonzero(sizes >= max(1.0, LARGE_SHARE * sizes.max()))
        boxes = ndimage.find_objects(components)
        gaps: set[int] = set()
        for along_z in (boxes[one - 1][0] for one in large):
            gaps.update(range(max(0, along_z.start - 1), min(len(self._first) - 1, along_z.stop)))
        return gaps

    def _reached(self, filled: set[int]) -> set[int]:
        """Return the gaps not filled that the organ reaches from a filled one through a border."""
        found = set()
        for gap in filled:
            start, stop = self._between(gap)
            for other, border, inside in ((gap - 1, start - 1, start), (gap + 1, stop, stop - 1)):
                new = 0 <= other < len(self._first) - 1 and other not in filled
                if new and self._touch(border, inside):
                    found.add(other)
        return found

    def _touch(self, first: int, second: int) -> bool:
        """Tell whether the organ on one slice meets that on the next."""
        one, other = (self._belongs[self._labels[index]] for index in (first, second))
        return bool((ndimage.binary_dilation(one, np.ones((3, 3))) & other).any())


def plan_of(
    specification: ModelSpecification, labels: NDArray[np.uint8], spacing: float
) -> SlicePlan:
    """Return how a whole volume runs.

    Args:
        specification: of the model.
        labels: label values (z, y, x) of the axial view, see `OrganSlices`.
        spacing: mm from slice to slice.
    """
    for step in specification.postprocessing:
        if isinstance(step, KeepLargest) and step.search_mm:
            organ = next(one for one in specification.labels if one.value == step.label)
            apart = int(min(step.search_mm / spacing, len(labels) / FIRST_SLICES))
            if apart > 1:
                return OrganSlices(labels, organ.whole, apart)
    return EverySlice(range(len(labels)))
