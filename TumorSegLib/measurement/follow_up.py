"""How lesions have changed between two images of a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.lesion_matching import NEAR_MM, Group, Lesions, matched
from TumorSegLib.measurement.table import Column, Table

Change = Literal["new", "vanished", "grown", "shrunk", "unchanged"]

GROWN_PERCENT, GROWN_MM = 20.0, 5.0
"""A lesion has grown if its longest axial diameter has by both at least, RECIST 1.1's margins: two
readings of one image differ by less."""

SHRUNK_PERCENT = 30.0
"""A lesion has shrunk if its longest axial diameter has by at least so much."""

ROUND_OFF = 1e-9


@dataclass(frozen=True)
class LesionChange:
    """What has become of a lesion.

    Attributes:
        earlier: its numbers in the earlier image; several that have merged; none if it is new.
        later: its numbers in the later image; several if it has split; none if it has vanished.
        change: in short.
        earlier_mm: longest axial diameter, the sum of these if it is several; 0 if it is new.
        later_mm: likewise; 0 if it has vanished.
        earlier_ml: volume.
        later_ml: volume.
        overlap_ml: volume that is the same in both.
        distance_mm: between the centroids; None of new and vanished ones.
    """

    earlier: tuple[int, ...]
    later: tuple[int, ...]
    change: Change
    earlier_mm: float
    later_mm: float
    earlier_ml: float
    later_ml: float
    overlap_ml: float
    distance_mm: float | None

    @property
    def change_mm(self) -> float:
        """Of the longest axial diameter."""
        return self.later_mm - self.earlier_mm

    @property
    def change_percent(self) -> float | None:
        """Of the longest axial diameter; None of a new lesion."""
        return percent(self.earlier_mm, self.later_mm)

    @property
    def volume_change_percent(self) -> float | None:
        """Of the volume; None of a new lesion."""
        return percent(self.earlier_ml, self.later_ml)

    @property
    def words(self) -> str:
        """What has become of it, with "split" and "merged"."""
        events = [self.change, "merged"][: 1 + (len(self.earlier) > 1)]
        return ", ".join([*events, *(["split"] if len(self.later) > 1 else [])])


@dataclass(frozen=True)
class FollowUp:
    """The lesions of two images, each in one change.

    Attributes:
        earlier: figures of the lesions of the earlier image.
        later: of the later one.
        changes: matched ones in the order of the later image, then new ones, then vanished ones.
    """

    earlier: tuple[Component, ...]
    later: tuple[Component, ...]
    changes: tuple[LesionChange, ...]

    @property
    def earlier_sum_mm(self) -> float:
        """Sum of all longest axial diameters."""
        return sum(part.longest_axial_diameter_mm for part in self.earlier)

    @property
    def later_sum_mm(self) -> float:
        """Sum of all longest axial diameters."""
        return sum(part.longest_axial_diameter_mm for part in self.later)

    @property
    def change_percent(self) -> float | None:
        """Of the sum of longest axial diameters; None if there were no lesions."""
        return percent(self.earlier_sum_mm, self.later_sum_mm)

    def count(self, change: Change) -> int:
        """Return how many lesions have changed like that."""
        return sum(item.change == change for item in self.changes)


def follow_up(
    earlier: Lesions,
    later: Lesions,
    transform: NDArray[np.float64] | None = None,
    *,
    near_mm: float = NEAR_MM,
) -> FollowUp:
    """Return how the lesions of an earlier image have changed; arguments as of `matched`.

    Raises:
        InputError: the transform is no invertible 4x4 matrix, or `near_mm` no distance.
    """
    groups = matched(earlier, later, transform, near_mm=near_mm)
    changes = tuple(_change(group, earlier.parts, later.parts) for group in groups)
    return FollowUp(earlier.parts, later.parts, changes)


def percent(earlier: float, later: float) -> float | None:
    """Return the change in per cent of `earlier`; None if that is 0."""
    return (later - earlier) / earlier * 100 if earlier else None


def change_table(found: FollowUp) -> Table:
    """Return a table with a row for each change."""
    columns = (
        Column("Earlier"),
        Column("Now"),
        Column("Change"),
        Column("Longest axial diameter, earlier", "mm"),
        Column("Longest axial diameter, now", "mm"),
        Column("Change", "mm"),
        Column("Change", "%"),
        Column("Volume, earlier", "ml", 3),
        Column("Volume, now", "ml", 3),
        Column("Change of volume", "%"),
    )
    rows = [
        (
            ", ".join(map(str, item.earlier)),
            ", ".join(map(str, item.later)),
            item.words,
            item.earlier_mm,
            item.later_mm,
            item.change_mm,
            item.change_percent,
            item.earlier_ml,
            item.later_ml,
            item.volume_change_percent,
        )
        for item in found.changes
    ]
    return Table(columns, tuple(rows))


def _change(group: Group, earlier: Sequence[Component], later: Sequence[Component]) -> LesionChange:
    before = [earlier[number - 1] for number in group.earlier]
    after = [later[number - 1] for number in group.later]
    earlier_mm = float(sum(part.longest_axial_diameter_mm for part in before))
    later_mm = float(sum(part.longest_axial_diameter_mm for part in after))
    return LesionChange(
        earlier=group.earlier,
        later=group.later,
        change=_called(earlier_mm, later_mm),
        earlier_mm=earlier_mm,
        later_mm=later_mm,
        earlier_ml=float(sum(part.volume_ml for part in before)),
        later_ml=float(sum(part.volume_ml for part in after)),
        overlap_ml=group.overlap_ml,
        distance_mm=group.distance_mm,
    )


def _called(earlier_mm: float, later_mm: float) -> Change:
    relative = percent(earlier_mm, later_mm)
    if relative is None:
        return "new"
    if later_mm == 0:
        return "vanished"
    if relative >= GROWN_PERCENT - ROUND_OFF and later_mm - earlier_mm >= GROWN_MM - ROUND_OFF:
        return "grown"
    return "shrunk" if relative <= -SHRUNK_PERCENT + ROUND_OFF else "unchanged"
