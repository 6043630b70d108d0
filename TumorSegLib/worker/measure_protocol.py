"""The part of the protocol that is about measuring; see `protocol`. Loads no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.worker.shared_voxels import Numbers


@dataclass(frozen=True)
class SharedGrid:
    """Where voxels lie; see `TumorSegLib.image.grid.Grid`.

    Attributes:
        shape: voxels along (z, y, x).
        spacing: mm along (x, y, z).
        origin: LPS mm.
        direction: row by row.
    """

    shape: tuple[int, int, int]
    spacing: Numbers
    origin: Numbers
    direction: Numbers


@dataclass(frozen=True)
class SharedSegment:
    """A segment to be measured; its blocks hold a box of the grid.

    Attributes:
        id: of the segment.
        name: of the segment.
        mask: block of its mask, uint8, 0 or 1.
        includes: ids of the segments that count as parts of it.
        probabilities: block of its probabilities, uint8; "" if they are not known.
        numbers: block to which the numbers of its components are written, uint16; "" for none.
    """

    id: str
    name: str
    mask: str
    includes: tuple[str, ...] = ()
    probabilities: str = ""
    numbers: str = ""


@dataclass(frozen=True)
class SharedSegments:
    """Segments on a grid.

    Attributes:
        grid: of the whole volume.
        box: start and stop along (z, y, x) of what the blocks hold; () if no segment has a voxel.
        segments: on it.
    """

    grid: SharedGrid
    box: tuple[int, ...]
    segments: tuple[SharedSegment, ...]


@dataclass(frozen=True)
class Measure:
    """Measure segments, and how the lesions among them have changed.

    Attributes:
        job: number that the answer carries.
        now: segments.
        voxels: block of the volume's voxels in the box; "" if there is no volume.
        dtype: NumPy's name of their type.
        given_up: what a filter took out, by id of the segment that it would belong to.
        earlier: segments of an earlier image, with the ids of those that they are compared with.
        transform: 4x4 from the earlier image's LPS mm to the later's, row by row.
    """

    kind: ClassVar[str] = "measure"
    job: int
    now: SharedSegments
    voxels: str = ""
    dtype: str = ""
    given_up: Mapping[str, tuple[GivenUp, ...]] = field(default_factory=dict)
    earlier: SharedSegments | None = None
    transform: Numbers = ()


@dataclass(frozen=True)
class Measured:
    """Segments are measured.

    Attributes:
        job: of the command.
        segments: a `TumorSegLib.measurement.segment.Measurement` each, as its fields.
        given_up: what is not in the segments now, by their ids: place in the command's list, and
            the fields of a `TumorSegLib.measurement.component.Component`.
        changes: `TumorSegLib.measurement.follow_up.FollowUp`, as its fields, by segment id.
    """

    kind: ClassVar[str] = "measured"
    job: int
    segments: tuple[Mapping[str, Any], ...]
    given_up: Mapping[str, tuple[tuple[int, Mapping[str, Any]], ...]]
    changes: Mapping[str, Mapping[str, Any]]
