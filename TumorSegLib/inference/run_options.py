"""How a model is run, from the command line, the panel and Python down to the network.

Importing this loads neither torch nor NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from TumorSegLib.errors import InputError


@dataclass(frozen=True)
class RunOptions:
    """How to run a model; which one and on what is said apart.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: of the network's arithmetic: "auto", "fp32" (reproducible) or "bf16".
        mirror_tta: average with left-right mirrored slices (test-time augmentation); None: as the
            model says.
        keep_model: a worker keeps the model in memory for the next run.
        slice_detector: id or folder of a detection model; slices on which it finds nothing are left
            empty, not segmented. None: every slice is segmented.
        detector_threshold: its probability from which on a slice is segmented. Lower than a
            detector's own: a slice that is left out is lost, one too many costs a moment.
        slices: first and last + 1 of the axial slices to segment, 0 the most inferior; None: all.

    Raises:
        InputError: the threshold is no number between 0 and 1, or the slices are no two whole
            numbers.
    """

    device: str = "auto"
    precision: str = "auto"
    mirror_tta: bool | None = None
    keep_model: bool = True
    slice_detector: str | None = None
    detector_threshold: float = 0.2
    slices: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        threshold, slices = self.detector_threshold, self.slices
        if not isinstance(threshold, Real):
            raise InputError(f"threshold {threshold!r}: expected a number between 0 and 1")
        if not 0 < threshold < 1:
            raise InputError(f"threshold {threshold:g}: expected a number between 0 and 1")
        if slices is not None and not _are_two(slices):
            raise InputError(f"slices: found {slices!r}, expected first and last + 1, or None")

    @property
    def axial_slices(self) -> range | None:
        """The axial slices to segment; None: all."""
        return None if self.slices is None else range(*self.slices)

    @property
    def for_loading(self) -> RunOptions:
        """What a model in memory depends on: two runs with equal ones can share it."""
        return replace(self, keep_model=True, slices=None)


def _are_two(slices: Any) -> bool:
    return (
        isinstance(slices, Sequence)
        and len(slices) == 2
        and all(isinstance(index, Integral) for index in slices)
    )
