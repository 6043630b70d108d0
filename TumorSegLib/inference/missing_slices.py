"""Slices of a volume that hold nothing: lost, or blanked, where the volume goes on beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView, runs_within
from TumorSegLib.image.volume import Volume

PLANES = ("axial", "coronal", "sagittal")
"""Across the axes of an axial view."""

LOOK_AT_PIXELS = 32
"""Slices in which so many pixels a side differ are not looked at closer."""

MOST_RUNS = 6
"""So many runs of slices are listed in a line."""

Shown = NDArray[np.bool_]


def missing_slices(volumes: Mapping[str, Volume]) -> list[str]:
    """Return a line for each volume with slices of one value where others are to be seen.

    Axial slices, which models run on, and those in which the volume is stored. Slices before the
    first and behind the last that show anything are margins, but not where the first volume, if
    it lies on the same grid, shows something.

    Args:
        volumes: by channel name, the volume to segment first.
    """
    (_, reference), *others = volumes.items()
    lines = [f"{reference.name}: {line}" for line in _gaps(reference, None)]
    for name, volume in others:
        same = volume.grid.geometry_equal(reference.grid)
        lines += [f"channel {name}: {line}" for line in _gaps(volume, reference if same else None)]
    return lines


def _gaps(volume: Volume, beside: Volume | None) -> list[str]:
    view = AxialView.of(volume.grid)
    lines = []
    for axis in sorted({0, view.axes.index(0)}):
        shown = _shown(view, volume, axis)
        expected = np.zeros_like(shown) if beside is None else _shown(view, beside, axis)
        if seen := np.flatnonzero(shown).tolist():
            expected[seen[0] : seen[-1] + 1] = True
        empty = np.flatnonzero(expected & ~shown)
        if empty.size and seen:
            lines.append(
                f"{empty.size} of {shown.size} {PLANES[axis]} slices ({_listed(empty)}) hold one"
                " value only; what they should show is missing"
            )
    return lines


def _shown(view: AxialView, volume: Volume, axis: int) -> Shown:
    """Return which slices across an axis of the axial view hold more than one value."""
    slices = np.moveaxis(view.apply(volume.voxels), axis, 0)
    rows, columns = (max(1, count // LOOK_AT_PIXELS) for count in slices.shape[1:])
    shown = _differ(slices[:, ::rows, ::columns])
    for index in np.flatnonzero(~shown):
        shown[index] = _differ(slices[index : index + 1])[0]
    return shown


def _differ(slices: NDArray[np.generic]) -> Shown:
    differ: Shown = (slices != slices[:, :1, :1]).any(axis=(1, 2))
    return differ


def _listed(slices: Sequence[int] | NDArray[np.intp]) -> str:
    """Return slices, counted from 1, as in "4, 11 to 13"."""
    runs = runs_within(np.asarray(slices))
    words = [
        f"{start + 1}" if stop - start == 1 else f"{start + 1} to {stop}" for start, stop in runs
    ]
    return ", ".join(words if len(words) <= MOST_RUNS else [*words[:MOST_RUNS], "..."])
