"""How far a person changed what a model drew."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Correction:
    """How far a person changed what a model drew.

    Attributes:
        slices: that were changed.
        millilitres: that were added or removed.
        dice: overlap of the model's segments with the corrected ones.
    """

    slices: int | None = None
    millilitres: float | None = None
    dice: float | None = None


@dataclass(frozen=True)
class SegmentChange:
    """How far a person changed a segment: slices, millilitres, and Dice with what it was."""

    name: str
    slices: int
    millilitres: float
    dice: float


@dataclass(frozen=True)
class Changes:
    """What a person corrected since the model drew it.

    Attributes:
        segments: one by one.
        whole: all together; a voxel that went from one to another counts once.
        slices: indices in the axial view of the slices that were changed.
    """

    segments: tuple[SegmentChange, ...]
    whole: SegmentChange
    slices: tuple[int, ...] = ()
