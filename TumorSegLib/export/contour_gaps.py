"""Slices that contours leave out, though the structure goes on behind them.

Parts of a structure that lie apart, two lesions for instance, have slices without contours between
them. In a list of slices, a part that was drawn on every second one or for which one was forgotten
looks the same; it shows where an outline comes back at the same place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ALIKE = 0.5
"""Dice of two outlines from which on they are taken for the same part's."""
MOST_TOLD = 5
"""Gaps that a message names."""


@dataclass(frozen=True)
class _Outline:
    """A connected part of a structure on one slice."""

    plane: int
    number: int


@dataclass(frozen=True, eq=False)
class Outlines:
    """A structure's outlines, slice by slice.

    Attributes:
        mask: the structure, bool (z, y, x), cut to its rows and columns.
    """

    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Outlines:
        """Return the outlines of a structure (z, y, x)."""
        found = ndimage.find_objects(mask.any(axis=0).view(np.uint8))
        rows, columns = found[0] if found else (slice(0), slice(0))
        return cls(mask[:, rows, columns])

    def apart(self) -> tuple[int, int] | None:
        """Return two slices between which a part was not drawn, by its pattern; none: no such.

        A part has three outlines alike at the same distance of more than one slice, or no others
        than two with one slice between them; or the structure has three and none on neighbouring
        slices.
        """
        for start, end in self._steps.items():
            distance = end.plane - start.plane
            after = self._steps.get(end)
            if distance > 1 and after is not None and after.plane - end.plane == distance:
                return start.plane, end.plane
            if distance == 2 and not self._goes_on(start, -1) and not self._goes_on(end, 1):
                return start.plane, end.plane
        steps = np.diff(self._planes)
        if len(steps) > 1 and steps.min() > 1 and (len(set(steps)) == 1 or any(self._covered())):
            nearest = int(np.argmin(steps))
            return self._planes[nearest], self._planes[nearest + 1]
        return None

    def left_out(self) -> list[tuple[int, int]]:
        """Return the pairs of slices between which some were left out, perhaps by mistake.

        Outlines on both lie over each other, and no outline between them does.
        """
        alike = {
            (start.plane, end.plane)
            for start, end in self._steps.items()
            if end.plane - start.plane > 1
        }
        return sorted(alike | set(self._covered()))

    @cached_property
    def _planes(self) -> list[int]:
        """The slices that have outlines, in their order."""
        found: list[int] = np.flatnonzero(self.mask.any(axis=(1, 2))).tolist()
        return found

    @cached_property
    def _numbered(self) -> dict[int, NDArray[np.int32]]:
        """The outlines of each slice, numbered from 1."""
        return {plane: ndimage.label(self.mask[plane])[0] for plane in self._planes}

    @cached_property
    def _steps(self) -> dict[_Outline, _Outline]:
        """From an outline to the next one over it, where they are alike."""
        steps = {}
        for index, plane in enumerate(self._planes):
            boxes = ndimage.find_objects(self._numbered[plane])
            for number, box in enumerate(boxes, start=1):
                inside = self._numbered[plane][box] == number
                for above in self._planes[index + 1 :]:
                    covered = np.bincount(self._numbered[above][box][inside])
                    if len(covered) == 1:
                        continue  # nothing of this slice lies over it
                    other = 1 + int(np.argmax(covered[1:]))
                    size = np.count_nonzero(self._numbered[above] == other)
                    if 2 * covered[other] >= ALIKE * (np.count_nonzero(inside) + size):
                        steps[_Outline(plane, number)] = _Outline(above, other)
                    break
        return steps

    def _goes_on(self, outline: _Outline, way: int) -> bool:
        """Tell whether anything lies over an outline on the next slice up (1) or down (-1)."""
        plane = outline.plane + way
        if not 0 <= plane < len(self.mask):
            return False
        return bool(self.mask[plane][self._numbered[outline.plane] == outline.number].any())

    def _covered(self) -> Iterator[tuple[int, int]]:
        """Yield successive slices with outlines that are not neighbours and lie over each other."""
        for below, above in zip(self._planes, self._planes[1:], strict=False):
            if above - below > 1 and (self.mask[below] & self.mask[above]).any():
                yield below, above


def slices_between(gaps: Sequence[tuple[int, int]]) -> str:
    """Return which slices lie between those of each pair, counted from 1: "slices 6, 9 to 11"."""
    told = [
        f"{below + 2}" if above - below == 2 else f"{below + 2} to {above}"
        for below, above in gaps[:MOST_TOLD]
    ]
    one = len(told) == 1 and told[0].isdecimal()
    more = ", ..." if len(gaps) > MOST_TOLD else ""
    return f"slice{'' if one else 's'} {', '.join(told)}{more}"
