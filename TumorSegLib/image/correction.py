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
