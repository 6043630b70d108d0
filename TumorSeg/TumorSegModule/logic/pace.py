"""How long a slice takes a model on this computer, kept from run to run in Slicer's settings."""

from __future__ import annotations

import slicer

from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic.ending import Ending

STAGES = ("preparation", "network", "labels")
"""Stages of a run whose time grows with the number of slices."""


def seconds_per_slice(bundle: Bundle) -> float | None:
    """Return how long a slice takes here, None before a model's first run."""
    stored = slicer.app.userSettings().value(_key(bundle))
    return float(stored) if stored else None


def keep_pace(ending: Ending) -> None:
    """Keep how long the slices of a run that is done took."""
    event = ending.event
    if event is not None and event.slices and not ending.options.server:
        seconds = sum(event.seconds.get(stage, 0.0) for stage in STAGES)
        bundle = ending.options.bundle
        slicer.app.userSettings().setValue(_key(bundle), seconds / len(event.slices))


def _key(bundle: Bundle) -> str:
    return f"TumorSeg/SecondsPerSlice/{bundle.id}"
