"""How far a segmentation was corrected since a model wrote it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import slicer
from numpy.typing import NDArray

from TumorSegLib.image.correction import Correction
from TumorSegLib.slicer_io.images import Box, inside, intersection, shape_of, slabs_of, union
from TumorSegLib.slicer_io.masks import Mask, mask_reader
from TumorSegModule.logic.slice_figures import SliceFigures

SLAB_VOXELS = 1 << 19
"""Voxels compared between two looks at the clock; a few milliseconds."""


@dataclass(frozen=True)
class Change:
    """What lies between a mask and the model's.

    Attributes:
        slices: axial slices on which they differ.
        millilitres: that were added or taken away.
        dice: 1 where they are alike, also if both are empty.
    """

    slices: int
    millilitres: float
    dice: float


@dataclass(frozen=True)
class Comparison:
    """What was corrected.

    Attributes:
        segments: change by segment id.
        whole: of all segments together; a voxel that went from one to another counts once.
        areas: mm2 that the model's segments cover now, by axial slice.
        changed: mm2 that were changed, by axial slice.
    """

    segments: dict[str, Change]
    whole: Change
    areas: tuple[float, ...]
    changed: tuple[float, ...]

    @property
    def summary(self) -> Correction:
        """What is kept with the segmentation."""
        whole = self.whole
        return Correction(whole.slices, round(whole.millilitres, 3), round(whole.dice, 4))


class _Count:
    """Voxels of two masks, gathered slab by slab."""

    def __init__(self, slices: int) -> None:
        self.changed = np.zeros(slices, np.int64)
        self.both = self.sum = 0

    def add(
        self,
        now: Mask,
        kept: Mask,
        changed: Mask,
        place: slice,
        per_slice: Callable[[Mask], NDArray[np.int64]],
    ) -> None:
        self.both += int(np.count_nonzero(now & kept))
        self.sum += int(np.count_nonzero(now)) + int(np.count_nonzero(kept))
        self.changed[place] += per_slice(changed)

    def change(self, voxel_ml: float) -> Change:
        dice = 2 * self.both / self.sum if self.sum else 1.0
        changed = int(self.changed.sum())
        return Change(int(np.count_nonzero(self.changed)), changed * voxel_ml, dice)


def compare(
    target: slicer.vtkMRMLSegmentationNode,
    reference: slicer.vtkMRMLSegmentationNode,
    figures: SliceFigures,
) -> Generator[None, None, Comparison]:
    """Compare segments with the model's mask, as a generator that can be left between two steps.

    Args:
        target: segmentation node.
        reference: node that keeps the model's mask.
        figures: `SliceFigures` of the target.

    Returns:
        A `Comparison`, as the value of StopIteration.
    """
    names = reference.GetSegmentation().GetSegmentIDs()
    matrix, axis = figures.ijk_to_ras, figures.axis
    readers: dict[str, list[Callable[[Box], Mask]]] = {}
    boxes: list[Box] = []
    for name in names:
        pair = [
            mask_reader(node.GetSegmentation().GetSegment(name), matrix)
            for node in (target, reference)
        ]
        boxes += [box for box, _ in pair]
        readers[name] = [read for _, read in pair]
    volume = tuple(edge for count in figures.shape for edge in (0, count))
    box = intersection(union(boxes), volume)
    counts = {name: _Count(len(figures)) for name in names}
    whole, areas = _Count(len(figures)), np.zeros(len(figures), np.int64)
    others = tuple(other for other in range(3) if other != axis)

    def per_slice(mask: Mask) -> NDArray[np.int64]:
        return mask.sum(axis=others, dtype=np.int64)

    for slab in slabs_of(box, SLAB_VOXELS):
        place = inside(slab, (0,) * 6)[axis]
        any_now, any_changed = np.zeros(shape_of(slab), bool), np.zeros(shape_of(slab), bool)
        for name, (read_now, read_kept) in readers.items():
            now, kept = read_now(slab), read_kept(slab)
            changed = now ^ kept
            counts[name].add(now, kept, changed, place, per_slice)
            any_now, any_changed = any_now | now, any_changed | changed
            yield
        whole.changed[place] += per_slice(any_changed)
        areas[place] += per_slice(any_now)
    whole.both = sum(count.both for count in counts.values())
    whole.sum = sum(count.sum for count in counts.values())
    voxel_ml = abs(float(np.linalg.det(matrix[:3, :3]))) / 1000
    pixel_mm2 = 1000 * voxel_ml / float(np.linalg.norm(matrix[:3, 2 - axis]))
    order = slice(None, None, -1) if figures.flipped else slice(None)
    return Comparison(
        {name: count.change(voxel_ml) for name, count in counts.items()},
        whole.change(voxel_ml),
        tuple((areas * pixel_mm2)[order].tolist()),
        tuple((whole.changed * pixel_mm2)[order].tolist()),
    )
