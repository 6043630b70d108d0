"""Which channels of a data set are which of a model's, by what they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tumorseg_training.case import ReaderOptions
from TumorSegLib.errors import InputError
from TumorSegLib.image.sequence_names import sequence_of
from TumorSegLib.model.specification import Channel

SHORT_NAMES = {"t2f": "flair"}
"""Of BraTS since 2023, where `sequence_of` is not to be asked: it would say T2."""


def channels_of(
    names: Mapping[int, str], reading: ReaderOptions, path: Path
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return the model's channel for each of the data set's that it takes, and what to note.

    A name or title of the model's counts first, then what a well-known name means (T1ce, T2F);
    where no name tells anything, the order does.

    Args:
        names: of the data set's channels, by their number.
        reading: has the model's channels.
        path: of the file with the names, for messages.

    Raises:
        InputError: two channels are the same one of the model's, or none can be told.
    """
    exact = {
        spelling.lower(): channel.name
        for channel in reading.channels
        for spelling in (channel.title, channel.name)
    }
    taken = {number: exact[name.lower()] for number, name in names.items() if name.lower() in exact}
    own = {_meaning_of(channel.name): channel.name for channel in reading.channels}
    meant = {
        number: own[meaning]
        for number, name in names.items()
        if (meaning := _meaning_among(name, own)) is not None and own[meaning] not in taken.values()
    }
    found = dict(sorted((taken | meant).items()))
    if not found:
        if len(names) > len(reading.channels):
            raise InputError(
                f"{path}: channels {', '.join(names.values())}: none has a name of the model's"
                f" ({', '.join(channel.name for channel in reading.channels)})"
            )
        in_order = zip(sorted(names), reading.channels, strict=False)
        found = {number: channel.name for number, channel in in_order}
    for channel in reading.channels:
        alike = [names[number] for number, name in found.items() if name == channel.name]
        if len(alike) > 1:
            raise InputError(
                f"{path}: channels {' and '.join(alike)} are both {channel.name}; give the one to"
                " use this name, and the other one another"
            )
    return found, _notes(names, found, taken, reading.channels)


def _meaning_of(name: str) -> str:
    """Return the sequence that a channel's name means; the name itself, if it means none."""
    lowered = name.lower()
    return SHORT_NAMES.get(lowered) or sequence_of(name) or lowered


def _meaning_among(name: str, known: Mapping[str, str]) -> str | None:
    """Return which of `known` a name means, or has among its words (CT in "CT, venous")."""
    meaning = _meaning_of(name)
    words = [meaning, *re.split(r"[^a-z0-9]+", meaning)]
    return next((word for word in words if word in known), None)


def _notes(
    names: Mapping[int, str],
    found: Mapping[int, str],
    exact: Mapping[int, str],
    channels: Sequence[Channel],
) -> tuple[str, ...]:
    """Return a line if other names than the model's decided, or one is left over or missing."""
    told = [
        f"{names[number]} is taken for {channel}"
        for number, channel in found.items()
        if number not in exact
    ]
    if unused := [name for number, name in names.items() if number not in found]:
        told.append(f"not used: {', '.join(unused)}")
    told += [
        f"{channel.name} is missing"
        + (f", {channel.replaced_by} stands in" if channel.replaced_by else "")
        for channel in channels
        if channel.name not in found.values()
    ]
    return (f"channels: {'; '.join(told)}",) if told else ()
