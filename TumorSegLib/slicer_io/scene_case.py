"""A segmentation of a scene with its volumes, and how the process that reads scenes hands it over.

What is handed over lies in two files: JSON, and arrays by number. Nothing in them can run as code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.correction import Correction
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.support.schema import from_dict, to_dict

ANSWER, ARRAYS = "answer.json", "arrays.npz"


@dataclass(frozen=True, eq=False)
class SceneCase:
    """A segmentation of a scene.

    Attributes:
        name: of the segmentation.
        volume: that it was drawn on.
        others: the scene's further volumes.
        masks: its segments.
        patient: see `TumorSegLib.export.case.ExportCase`, as the two that follow.
        reviewed: by a person.
        correction: by a person.
    """

    name: str
    volume: Volume
    others: tuple[Volume, ...]
    masks: tuple[NamedMask, ...]
    patient: str | None
    reviewed: bool
    correction: Correction | None


class _Arrays:
    """Arrays that are written once, however often they are named."""

    def __init__(self) -> None:
        self.kept: list[NDArray[Any]] = []

    def number(self, array: NDArray[Any]) -> int:
        """Return the number under which an array is written."""
        for number, other in enumerate(self.kept):
            if other is array:
                return number
        self.kept.append(array)
        return len(self.kept) - 1


def write_cases(cases: Sequence[SceneCase], folder: Path) -> None:
    """Write cases to `folder`.

    Raises:
        OSError: the folder is full.
    """
    arrays = _Arrays()
    content = [
        {
            "name": case.name,
            "volumes": [_plain_volume(volume, arrays) for volume in (case.volume, *case.others)],
            "masks": [_plain_mask(mask, arrays) for mask in case.masks],
            "patient": case.patient,
            "reviewed": case.reviewed,
            "correction": to_dict(case.correction) if case.correction else None,
        }
        for case in cases
    ]
    np.savez(folder / ARRAYS, *arrays.kept)
    write_answer({"cases": content}, folder)


def write_answer(answer: dict[str, Any], folder: Path) -> None:
    """Write what there is to say to `folder`, whole or not at all."""
    new = folder / f"{ANSWER}.new"
    new.write_bytes(json.dumps(answer, default=_text).encode())
    new.replace(folder / ANSWER)


def _text(value: object) -> str:
    """Return a text that is no UTF-8, which VTK gives as bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(type(value).__name__)


def read_answer(folder: Path) -> dict[str, Any]:
    """Return what was said; nothing if the other process ended before."""
    path = folder / ANSWER
    return dict(json.loads(path.read_bytes())) if path.exists() else {}


def read_cases(content: Sequence[dict[str, Any]], folder: Path) -> list[SceneCase]:
    """Return the cases of an answer, whose arrays lie in `folder`."""
    with np.load(folder / ARRAYS, allow_pickle=False) as found:
        arrays = [found[f"arr_{number}"] for number in range(len(found.files))]
    volumes: dict[str, Volume] = {}
    cases = []
    for entry in content:
        volume, *others = (_volume(said, arrays, volumes) for said in entry["volumes"])
        cases.append(
            SceneCase(
                entry["name"],
                volume,
                tuple(others),
                tuple(_mask(said, arrays) for said in entry["masks"]),
                entry["patient"],
                entry["reviewed"],
                entry["correction"] and from_dict(Correction, entry["correction"]),
            )
        )
    return cases


def _plain_volume(volume: Volume, arrays: _Arrays) -> dict[str, Any]:
    return {
        "array": arrays.number(volume.voxels),
        "grid": to_dict(volume.grid),
        "name": volume.name,
    }


def _volume(
    said: dict[str, Any], arrays: Sequence[NDArray[Any]], volumes: dict[str, Volume]
) -> Volume:
    key = json.dumps(said)
    if key not in volumes:
        volumes[key] = Volume(
            arrays[said["array"]], from_dict(Grid, said["grid"]), name=said["name"]
        )
    return volumes[key]


def _plain_mask(mask: NamedMask, arrays: _Arrays) -> dict[str, Any]:
    return {
        "id": mask.id,
        "name": mask.name,
        "array": arrays.number(mask.labelmap),
        "value": mask.value,
        "affine": mask.affine.tolist(),
        "model": mask.model,
        "as_drawn": mask.as_drawn,
    }


def _mask(said: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> NamedMask:
    return NamedMask(
        said["id"],
        said["name"],
        arrays[said["array"]],
        said["value"],
        np.array(said["affine"]),
        said["model"],
        said["as_drawn"],
    )
