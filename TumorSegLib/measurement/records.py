"""Figures as plain values and back, for what travels between processes or is kept in a scene."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.follow_up import FollowUp, LesionChange
from TumorSegLib.measurement.segment import Measurement


def plain(record: Measurement | Component | FollowUp) -> dict[str, Any]:
    """Return a record as dictionaries, lists and numbers, which JSON has, too."""
    return asdict(record)


def reading_measurement(values: Mapping[str, Any]) -> Generator[None, None, Measurement]:
    """Return the measurement that `plain` made these values of, making a component a step.

    Raises:
        TypeError: they are of another version.
    """
    others = {name: value for name, value in values.items() if name != "parts"}
    parts = yield from _components(values["parts"])
    return Measurement(**_frozen(others), parts=parts)


def component_of(values: Mapping[str, Any]) -> Component:
    """Return the component that `plain` made these values of.

    Raises:
        TypeError: they are of another version.
    """
    return Component(**_frozen(values))


def reading_follow_up(values: Mapping[str, Any]) -> Generator[None, None, FollowUp]:
    """Return the changes that `plain` made these values of, making a component or a change a step.

    Raises:
        TypeError: they are of another version.
    """
    earlier = yield from _components(values["earlier"])
    later = yield from _components(values["later"])
    changes = []
    for change in values["changes"]:
        changes.append(LesionChange(**_frozen(change)))
        yield
    return FollowUp(earlier, later, tuple(changes))


def _components(
    values: Sequence[Mapping[str, Any]],
) -> Generator[None, None, tuple[Component, ...]]:
    parts = []
    for part in values:
        parts.append(component_of(part))
        yield
    return tuple(parts)


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _tuples(value) for name, value in values.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
