"""One annotated case of a data set, whatever its layout on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from TumorSegLib.volume import Volume


@dataclass(frozen=True)
class Annotated:
    """The decoded content of a case.

    Attributes:
        volumes: by channel name, all on one grid.
        labelmap: uint8 array (z, y, x) on that grid, with the data set's label values.
    """

    volumes: Mapping[str, Volume]
    labelmap: NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A case that can be decoded when needed.

    Attributes:
        name: unique within the data set.
        patient: whom the case shows; a patient's cases never part in a split.
        files: what the case is read from; their sizes and times tell whether a cache is stale.
        decode: reads the files.
    """

    name: str
    patient: str
    files: tuple[Path, ...]
    decode: Callable[[], Annotated]


@dataclass(frozen=True)
class Unusable:
    """Something in a data set's folder that is not a case, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class CaseList:
    """What a reader found in a folder."""

    cases: tuple[Case, ...]
    unusable: tuple[Unusable, ...]
