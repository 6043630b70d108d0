"""Where a model's weights come from, as its `model.json` records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRAINED_ON = ("training", "old_training", "earlier")
"""Parts of a split that the model, or a model that it started from, was trained on."""


@dataclass(frozen=True)
class DatasetRecord:
    """A data set: the folder's last part (paths are private), its layout and licence."""

    name: str
    layout: str = ""
    licence: str = ""


@dataclass(frozen=True)
class MemberRecord:
    """The version of an ensemble's member, and the SHA-256 of its weights."""

    version: str
    sha256: str


@dataclass(frozen=True)
class BaseRecord:
    """The model that a retraining started from, and the one that that started from."""

    id: str
    version: str = ""
    weights_sha256: str = ""
    base: BaseRecord | None = None


@dataclass(frozen=True)
class Provenance:
    """Where weights come from.

    Attributes:
        date: of the training, ISO 8601.
        code_version: of TumorSeg, with the commit in brackets.
        datasets: that were trained on, the main one first.
        split: patients by part: "training", "validation", "old_training", "earlier", ...
        left_out: cases that were not used, and why.
        epochs: of the training.
        steps: of the training, where it was not counted in epochs.
        images: that were seen in these steps.
        seconds: that these steps took.
        averaged: the weights are the mean over steps.
        synthetic_share: part of the training slices that were synthesised from label volumes.
        members: of an ensemble, by id.
        base: that a retraining started from; None: it was trained from the beginning.
        cases: of a retraining, by part.
        label_maps_sha256: of a retraining's cases.
        old_cases: name of the folder of cases that were mixed in.
        old_held_out_seen_by_base: the base may have been trained on old cases that were measured.
        software: versions by name.
        config: settings of the training, as the training package writes and reads them.
        further: what else was noted.
    """

    date: str = ""
    code_version: str = ""
    datasets: tuple[DatasetRecord, ...] = ()
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    epochs: int | None = None
    steps: int | None = None
    images: int | None = None
    seconds: float | None = None
    averaged: bool = False
    synthetic_share: float | None = None
    members: Mapping[str, MemberRecord] = field(default_factory=dict)
    base: BaseRecord | None = None
    cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label_maps_sha256: str | None = None
    old_cases: str | None = None
    old_held_out_seen_by_base: bool | None = None
    software: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    further: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trained_on(self) -> frozenset[str]:
        """Patients that the model, or a model that it started from, was trained on."""
        return frozenset(name for part in TRAINED_ON for name in self.split.get(part, ()))
