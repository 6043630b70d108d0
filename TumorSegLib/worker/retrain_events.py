"""What a retraining run tells whoever watches it: the file to which it adds lines of JSON.

    {"event": "planned", "id": ..., "version": ..., "base": ..., "patients": {"training": 5, ...}}
    {"event": "step", "epoch": 1, "epochs": 8, "step": 12, "steps": 40}
    {"event": "epoch", "epoch": 1, "epochs": 8, "loss": 0.31, "dice": 0.84, "seconds_left": 95.0}
    {"event": "measuring", "model": ..., "done": 2, "cases": 4}
    {"event": "done", "id": ..., "folder": ..., "better": true, "rows": [...], ...}
    {"event": "stopped", "resumable": true} or {"event": "failed", "message": ...}

A resumed run goes on in the same file. Importing this loads neither torch nor NumPy.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args

from TumorSegLib.support.schema import SchemaError, from_dict, parsed, to_dict

PROGRESS = "progress.jsonl"
"""The file, in the run's folder."""
STOP = "stop"
"""A file of this name beside it ends the run as Ctrl-C does, where signals do not reach it."""
PLAN, CHECKPOINT = "plan.json", "last.ckpt"
"""What a run needs to go on."""


@dataclass(frozen=True)
class Planned:
    """The cases are read: what the new model will be, and how many patients each part has."""

    kind: ClassVar[str] = "planned"
    id: str = ""
    version: str = ""
    base: str = ""
    patients: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A step of an epoch is done; both are counted from 1."""

    kind: ClassVar[str] = "step"
    epoch: int
    epochs: int
    step: int
    steps: int


@dataclass(frozen=True)
class Epoch:
    """An epoch is done; epoch 0 has the base's figures.

    Attributes:
        epoch: counted from 1.
        epochs: planned.
        seconds_left: that the others will take, where that is known.
        figures: loss, Dice, ... by name; in the file they stand beside the other keys.
    """

    kind: ClassVar[str] = "epoch"
    epoch: int
    epochs: int
    seconds_left: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measuring:
    """Base and retrained model are measured on cases that were held out: `done` of `cases` are."""

    kind: ClassVar[str] = "measuring"
    model: str
    done: int
    cases: int


@dataclass(frozen=True)
class Finished:
    """The new model is there.

    Attributes:
        id: of the model.
        version: of the model.
        folder: of its bundle.
        better: than the base.
        reason: in words.
        default: it is used by default now.
        rows: of the comparison, one a structure and group of cases.
        page: the comparison, HTML.
    """

    kind: ClassVar[str] = "done"
    id: str
    version: str = ""
    folder: str = ""
    better: bool = False
    reason: str = ""
    default: bool = False
    rows: tuple[Mapping[str, Any], ...] = ()
    page: str = ""


@dataclass(frozen=True)
class Stopped:
    """The run was stopped; it can go on if there is a checkpoint."""

    kind: ClassVar[str] = "stopped"
    resumable: bool = False


@dataclass(frozen=True)
class Failed:
    """The run failed; `message` is for the user."""

    kind: ClassVar[str] = "failed"
    message: str


RetrainEvent = Planned | Step | Epoch | Measuring | Finished | Stopped | Failed

_KINDS: dict[str, type[RetrainEvent]] = {event.kind: event for event in get_args(RetrainEvent)}


def to_line(event: RetrainEvent) -> str:
    """Return an event as a line of the file."""
    content = to_dict(event)
    figures = content.pop("figures", {})
    return json.dumps({"event": content.pop("kind"), **content, **figures}, ensure_ascii=False)


def from_line(line: str | bytes) -> RetrainEvent | None:
    """Return the event on a line; None: a line of another version, or one that is cut short."""
    try:
        content = parsed(line)
    except ValueError:
        return None
    kind = _KINDS.get(str(content.get("event"))) if isinstance(content, dict) else None
    if kind is None:
        return None
    names = {field.name for field in dataclasses.fields(kind)}
    known = {name: value for name, value in content.items() if name in names}
    if kind is Epoch:
        known["figures"] = {
            name: value
            for name, value in content.items()
            if name not in names and type(value) in (int, float)
        }
    try:
        return from_dict(kind, known)
    except SchemaError:
        return None
