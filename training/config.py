"""A training run, as its TOML file describes it. Unknown keys are errors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from TumorSegLib.errors import InputError
from TumorSegLib.records import RecordError, build
from TumorSegLib.specification import FillHoles, Input, KeepLargest, Label, Network, RemoveSmall


@dataclass(frozen=True)
class Model:
    """What the published bundle will say; see `TumorSegLib.specification`."""

    id: str
    title: str
    description: str
    modality: Literal["MR", "CT"]
    network: Network
    input: Input
    labels: tuple[Label, ...]
    anatomy: str = ""
    licence: str = ""
    version: str = "1.0.0"
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    flips: bool = False
    default: bool = False
    postprocessing: tuple[KeepLargest | RemoveSmall | FillHoles, ...] = ()


@dataclass(frozen=True)
class Data:
    """Where the cases are and which of them are kept for validation.

    Attributes:
        folder: of the data set.
        layout: one of `training.readers.READERS`.
        folds: JSON file that maps fold names to lists of patients.
        validate: name of the fold to validate on; none: train on everybody.
        foreground_share: share of drawn slices that hold a structure; none: as they come.
        cache: folder for decoded slices.
    """

    folder: str
    layout: str
    folds: str | None = None
    validate: str | None = None
    foreground_share: float | None = None
    cache: str = "~/.cache/tumorseg"


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; 0 switches one off. Angles in degrees, shifts in fractions."""

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    flip: bool = False
    gain: float = 0.0
    bias: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    bias_field: float = 0.0
    drop_channels: float = 0.0


@dataclass(frozen=True)
class Optimisation:
    """How the weights are found.

    Attributes:
        start_from: a checkpoint of an earlier run whose weights this one starts from.
    """

    epochs: int
    start_from: str | None = None
    batch_size: int = 8
    slices_per_epoch: int | None = None
    loss: Literal["bce", "dice", "bce+dice"] = "bce+dice"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.1
    average_decay: float = 0.999
    gradient_clip: float = 1.0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed"
    workers: int = 2
    seed: int = 0


@dataclass(frozen=True)
class TrainingConfig:
    """The whole file."""

    model: Model
    data: Data
    optimisation: Optimisation
    augmentation: Augmentation = field(default_factory=Augmentation)


def read_config(path: Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a TOML file; each override is "section.key=value", the value in TOML's own syntax.

    Raises:
        InputError: the file cannot be read, or a key is unknown or impossible.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    for override in overrides:
        _override(content, override)
    try:
        return build(TrainingConfig, content)
    except RecordError as error:
        raise InputError(f"{path}: {error}") from None


def _override(content: dict[str, Any], override: str) -> None:
    keys, separator, text = override.partition("=")
    if not separator:
        raise InputError(f"--set {override}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, key = keys.strip().split(".")
    inner: Mapping[str, Any] = content
    for section in sections:
        inner = inner.setdefault(section, {}) if isinstance(inner, dict) else {}
    if not isinstance(inner, dict):
        raise InputError(f"--set {override}: {keys} is not a key of a section")
    inner[key] = value
