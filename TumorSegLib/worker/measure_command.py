"""What the worker process does with a panel's command to measure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.measurement.follow_up import follow_up
from TumorSegLib.measurement.lesion_matching import Lesions
from TumorSegLib.measurement.records import plain
from TumorSegLib.measurement.segment import measure_numbered
from TumorSegLib.worker.measure_protocol import Measure, Measured, SharedSegments
from TumorSegLib.worker.shared_mask import ArrayOf, grid_of

PRESENT = 0.5
"""What a filter gave up is back if the segment holds more than this part of it."""


def answer(command: Measure, blocks: ArrayOf) -> Measured:
    """Measure and return what to tell the panel.

    Args:
        command: of the panel.
        blocks: see `ArrayOf`.

    Raises:
        InputError: the transform between the images is none.
    """
    now = _Segments(command.now, blocks)
    voxels = now.whole(command.voxels, command.dtype) if command.voxels else None
    measured, given_up = [], {}
    for segment in command.now.segments:
        mask = now.mask(segment.id)
        probabilities = now.whole(segment.probabilities, "uint8") if segment.probabilities else None
        figures, numbers_of = measure_numbered(
            mask, now.grid, name=segment.name, voxels=voxels, probabilities=probabilities
        )
        measured.append(plain(figures))
        if segment.numbers and now.box:
            numbers = numbers_of()[now.place]
            target = blocks(segment.numbers, numbers.shape, "uint16")
            np.copyto(target, np.where(numbers > np.iinfo("uint16").max, 0, numbers), "unsafe")
        items = command.given_up.get(segment.id, ())
        absent = _absent(items, now.own(segment.id), voxels, now) if items else []
        given_up[segment.id] = tuple(absent)
    return Measured(command.job, tuple(measured), given_up, _changes(command, now, blocks))


class _Segments:
    """Segments on the whole grid of a volume, of which shared blocks hold a box."""

    def __init__(self, shared: SharedSegments, blocks: ArrayOf) -> None:
        self.grid = grid_of(shared.grid)
        self.box = shared.box
        self._blocks = blocks
        self._segments = {segment.id: segment for segment in shared.segments}

    @property
    def place(self) -> tuple[slice, ...]:
        return tuple(slice(*self.box[axis : axis + 2]) for axis in (0, 2, 4))

    def whole(self, block: str, dtype: str) -> NDArray[Any]:
        """Return the array of the whole volume; beyond the box, of which nothing is read, 0."""
        array = np.zeros(self.grid.shape, dtype)
        if self.box:
            shape = tuple(part.stop - part.start for part in self.place)
            array[self.place] = self._blocks(block, shape, dtype)
        return array

    def own(self, name: str) -> NDArray[np.bool_]:
        return self.whole(self._segments[name].mask, "bool")

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Return a segment's mask with those of its parts."""
        mask = self.own(name)
        for part in self._segments[name].includes:
            mask |= self.own(part)
        return mask


def _absent(
    given_up: tuple[GivenUp, ...],
    mask: NDArray[np.bool_],
    voxels: NDArray[Any] | None,
    now: _Segments,
) -> list[tuple[int, dict[str, Any]]]:
    """Return place and figures of what was given up and is not back.

    They were components of one label, which do not touch: all are measured at once.
    """
    absent, drawn = [], np.zeros_like(mask)
    for place, item in enumerate(given_up):
        box = item.box
        if not box:
            continue
        z, y, x = (slice(*box[axis : axis + 2]) for axis in (0, 2, 4))
        own = np.zeros(mask[z, y, x].shape, np.bool_)
        item.draw(own, (z.start, y.start, x.start))
        if mask[z, y, x][own].mean() <= PRESENT:
            absent.append((place, item))
            item.draw(drawn)
    if not absent:
        return []
    figures, numbers_of = measure_numbered(drawn, now.grid, voxels=voxels)
    numbers = numbers_of()
    return [
        (place, plain(figures.parts[numbers[item.runs[0], item.runs[1], item.runs[2]] - 1]))
        for place, item in absent
    ]


def _changes(command: Measure, now: _Segments, blocks: ArrayOf) -> dict[str, dict[str, Any]]:
    if command.earlier is None:
        return {}
    before = _Segments(command.earlier, blocks)
    transform = np.reshape(command.transform, (4, 4)) if command.transform else None
    changes = {}
    present = {segment.id for segment in command.now.segments}
    for segment in command.earlier.segments:
        if segment.id not in present:  # a part of one that is compared
            continue
        earlier = Lesions.of(before.mask(segment.id), before.grid)
        later = Lesions.of(now.mask(segment.id), now.grid)
        changes[segment.id] = plain(follow_up(earlier, later, transform))
    return changes
