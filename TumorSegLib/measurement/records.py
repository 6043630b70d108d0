"""Figures as plain values and back, for what travels between processes or is kept in a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.follow_up import FollowUp, LesionChange
from TumorSegLib.measurement.segment import Measurement


def plain(record: Measurement | Component | FollowUp) -> dict[str, Any]:
    """Return a record as dictionaries, lists and numbers, which JSON has, too."""
    return asdict(record)


def measurement_of(values: Mapping[str, Any]) -> Measurement:
    """Return the measurement that `plain` made these values of.

    Raises:
        TypeError: they are of another version.
    """
    parts = tuple(component_of(part) for part in values["parts"])
    return Measurement(**{**_frozen(values), "parts": parts})


def component_of(values: Mapping[str, Any]) -> Component:
    """Return the component that `plain` made these values of.

    Raises:
        TypeError: they are of another version.
    """
    return Component(**_frozen(values))


def follow_up_of(values: Mapping[str, Any]) -> FollowUp:
    """Return the changes that `plain` made these values of.

    Raises:
        TypeError: they are of another version.
    """
    return FollowUp(
        tuple(component_of(part) for part in values["earlier"]),
        tuple(component_of(part) for part in values["later"]),
        tuple(LesionChange(**_frozen(change)) for change in values["changes"]),
    )


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _tuples(value) for name, value in values.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
