"""One annotated case of a data set, whatever its layout on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import Vector
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import Channel, Label, ModelSpecification
from TumorSegLib.support.words import counted


@dataclass(frozen=True)
class LabelledCase:
    """The decoded content of a case.

    Attributes:
        volumes: by channel name, all on one grid.
        labelmap: uint8 array (z, y, x) on that grid, with the model's label values.
    """

    volumes: Mapping[str, Volume]
    labelmap: NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A case that can be decoded when needed.

    Attributes:
        name: unique within the data set.
        patient: whom the case shows; a patient's cases never part in a split.
        files: what the case is read from; their sizes and times tell whether a cache is stale.
        decode: reads the files; raises `InputError`, or what SimpleITK and Pillow raise, where
            they cannot be read.
        recipe: what else than the files the decoded content depends on.
        notes: what had to be assumed, a line each.
        annotated: the model's values that were looked for; none: all.
    """

    name: str
    patient: str
    files: tuple[Path, ...]
    decode: Callable[[], LabelledCase]
    recipe: str = ""
    notes: tuple[str, ...] = ()
    annotated: tuple[int, ...] | None = None


def noted(cases: Iterable[Case]) -> list[str]:
    """Return what had to be assumed; the same of several cases is one line."""
    names: dict[str, list[str]] = {}
    for case in cases:
        for line in case.notes:
            names.setdefault(line, []).append(case.name)
    return [
        f"{found[0] if len(found) == 1 else counted(len(found), 'case')}: {line}"
        for line, found in names.items()
    ]


@dataclass(frozen=True)
class SkippedCase:
    """Something in a data set's folder that is not a case, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class CaseList:
    """What a reader found in a folder.

    Attributes:
        cases: that can be used.
        unusable: what else there is.
        notes: what is amiss with the files that say whom cases show and who is in which fold.
    """

    cases: tuple[Case, ...]
    unusable: tuple[SkippedCase, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReaderOptions:
    """What a reader must know beyond the folder.

    Attributes:
        channels: of the model; a data set's sequences are given their names.
        values: label values that the model knows.
        labels: from the data set's structures, by name, name pattern or number, to the model's
            label values (0: background); empty: the values are the model's already.
        modality: "MR" or "CT".
        spacing: mm along (x, y, z), for files that do not say.
        window: intensities that the darkest and the brightest storable value stand for, for 8- and
            16-bit pictures of CT slices.
        mask_suffix: what the name of a slice's mask has after the slice's name.
        known: the model's labels, as far as they are known.
        anatomy: of the model, "" for unknown.
    """

    channels: tuple[Channel, ...]
    values: tuple[int, ...]
    labels: Mapping[str, int] = field(default_factory=dict)
    modality: str | None = None
    spacing: Vector | None = None
    window: tuple[float, float] | None = None
    mask_suffix: str = "_mask"
    known: tuple[Label, ...] = ()
    anatomy: str = ""


def reader_options_for(model: ModelSpecification, **options: Any) -> ReaderOptions:
    """Return how to read a data set for a model that is there already."""
    values = tuple(label.value for label in model.labels)
    return ReaderOptions(
        model.input.channels,
        values,
        modality=model.modality,
        known=model.labels,
        anatomy=model.anatomy,
        **options,
    )
