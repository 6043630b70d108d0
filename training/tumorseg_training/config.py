"""A training run, as its TOML file describes it. Unknown keys and impossible values are errors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from tumorseg_training.case import Reading, reading_for
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Vector
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.records import RecordError, build

Config = TypeVar("Config")
Loss = Literal["bce", "ce", "dice", "bce+dice", "ce+dice", "tversky", "focal_tversky"]


@dataclass(frozen=True)
class Data:
    """Where the cases are and which of them are kept for validation.

    Attributes:
        folder: of the data set.
        layout: one of `tumorseg_training.readers.READERS`.
        labels: from the data set's structures (name, pattern or number) to the model's values;
            empty: they are the same.
        spacing: mm along (x, y, z), for layouts that do not say.
        window: intensities that black and white stand for, for pictures of CT slices.
        mask_suffix: what the name of a picture's mask has after the picture's.
        patients: JSON file {case: patient}, for layouts that do not say whom a case shows.
        folds: how many folds of patients to draw, or a JSON file of folds.
        validate: name of the fold to validate on, or several joined by "+"; none: train on
            everybody.
        foreground_share: share of drawn slices that show a structure; none: as they come.
        balanced: draw slices that show a structure such that no structure and no case crowds out
            the others.
        cache: folder for decoded slices.
        licence: of the data, for the model card.
    """

    folder: str
    layout: str
    labels: Mapping[str, int] = field(default_factory=dict)
    spacing: Vector | None = None
    window: tuple[float, float] | None = None
    mask_suffix: str = "_mask"
    patients: str | None = None
    folds: str | int | None = None
    validate: str | None = None
    foreground_share: float | None = None
    balanced: bool = False
    cache: str = "~/.cache/tumorseg"
    licence: str = ""

    def __post_init__(self) -> None:
        if self.spacing is not None and min(self.spacing) <= 0:
            raise ValueError(f"spacing {self.spacing} is not three positive numbers")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError(f"window {self.window} does not rise")
        if self.foreground_share is not None and not 0 <= self.foreground_share <= 1:
            raise ValueError(f"foreground_share {self.foreground_share:g} is not within 0 and 1")
        if self.validate is not None and self.folds is None:
            raise ValueError("validate names a fold, but there are no folds")


@dataclass(frozen=True)
class Further:
    """A further data set, trained on besides the main one and never validated on.

    Attributes:
        folder: where it is.
        layout: one of `tumorseg_training.readers.READERS`.
        labels: from its structures to the model's values, as in `Data`.
    """

    folder: str
    layout: str
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Synthesis:
    """Images made from label volumes; see `tumorseg_training.synthesis`.

    Attributes:
        folder: of the label volumes (`.npz`).
        labels: from structures (name or pattern) to the model's values; later ones lie on top.
        share: of the slices drawn, those that are synthetic.
        variants: images a label volume.
        patients: of label volumes that show a patient of the data set: {volume: patient}; they are
            left out while that patient is kept for validation.
    """

    folder: str
    labels: Mapping[str, int]
    share: float = 0.3
    variants: int = 3
    patients: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share {self.share:g} is not between 0 and 1")
        if not 1 <= self.variants <= 100:
            raise ValueError(f"variants {self.variants} is not within 1 and 100")


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; 0 switches one off.

    Attributes:
        rotate: degrees to either side.
        scale: part of the size by which it grows or shrinks.
        shear: ratio.
        shift: part of the slice's height.
        elastic: largest displacement, part of the slice's height.
        crop: rows and columns of the part, anywhere, that is shown of a slice; smaller slices are
            padded with air. 0: the whole slice, which asks for cases of one size.
        flip: mirror left and right.
        gain: part of the intensity.
        bias: added to intensities in [0, 1].
        gamma: how far the exponent is from 1.
        noise: standard deviation, intensities being in [0, 1].
        blur: standard deviation in pixels.
        bias_field: largest coefficient of its polynomial.
        drop_channels: probability that a sequence is missing.
        lesions: probability that lesions are painted into the organ of a CT slice.
        mimics: probability that what looks like a lesion (gallbladder, bowel) is painted beside
            the organ of a CT slice, as background.
        organ_shift: Hounsfield units by which a CT slice's organ gets brighter or darker, in a
            third of the slices.
        oblique: degrees by which a plane is turned out of the axial one.
        oblique_share: of the slices drawn, those along oblique planes.
        context_step: slices by which neighbours lie apart at most, in half of the axial slices; 0
            of them shows the slice itself as its neighbours, as if nothing went on in the next.
    """

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    crop: int = 0
    flip: bool = False
    gain: float = 0.0
    bias: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    bias_field: float = 0.0
    drop_channels: float = 0.0
    lesions: float = 0.0
    mimics: float = 0.0
    organ_shift: float = 0.0
    oblique: float = 0.0
    oblique_share: float = 0.2
    context_step: int = 0

    def __post_init__(self) -> None:
        if self.crop < 0 or self.crop % 32:
            raise ValueError(f"crop {self.crop} is not 0 or a multiple of 32 pixels")
        for name, largest in LARGEST_CHANGES.items():
            value = getattr(self, name)
            if not 0 <= value <= largest:
                raise ValueError(f"{name} {value:g} is not within 0 and {largest:g}")


LARGEST_CHANGES = {
    "rotate": 180.0,
    "scale": 0.9,
    "shear": 1.0,
    "shift": 0.5,
    "elastic": 0.2,
    "gain": 1.0,
    "bias": 1.0,
    "gamma": 0.95,
    "noise": 1.0,
    "blur": 20.0,
    "bias_field": 5.0,
    "drop_channels": 1.0,
    "lesions": 1.0,
    "mimics": 1.0,
    "organ_shift": 200.0,
    "oblique": 60.0,
    "oblique_share": 1.0,
    "context_step": 20,
}


@dataclass(frozen=True)
class Tversky:
    """What errors cost in the Tversky losses (Abraham & Khan 2018, arXiv 1810.07842)."""

    false_positives: float = 0.3
    false_negatives: float = 0.7
    gamma: float = 4 / 3

    def __post_init__(self) -> None:
        if self.false_positives < 0 or self.false_negatives < 0:
            raise ValueError("false_positives and false_negatives must not be negative")
        if not 1 <= self.gamma <= 3:
            raise ValueError(f"gamma {self.gamma:g} is not within 1 and 3")


@dataclass(frozen=True)
class Optimisation:
    """How the weights are found.

    Attributes:
        epochs: at most.
        start_from: what the weights start from: a model's folder or id, an ImageNet encoder in
            torchvision's file format (.pth), or a checkpoint of an earlier run (.ckpt).
        freeze_encoder: epochs at the start during which the encoder does not change.
        batch_size: slices a step in each process.
        slices_per_epoch: drawn by all processes together; none: as many as there are.
        loss: by name.
        class_weights: of the network's output channels (softmax: background first); none: alike.
        tversky: parameters of the Tversky losses.
        optimiser: by name.
        learning_rate: the largest.
        momentum: of SGD.
        weight_decay: decoupled for AdamW.
        schedule: how the learning rate falls.
        warm_up: share of all steps in which the learning rate rises.
        average_decay: of the moving average of the weights, which is what is validated and
            published; 0: no average.
        gradient_clip: largest norm; 0: none.
        precision: of the arithmetic; auto: bf16 where the processor has it.
        patience: epochs without a better validation score after which training stops; none: never.
        validate_every: epochs.
        workers: processes that load slices.
        seed: of everything random.
    """

    epochs: int
    start_from: str | None = None
    freeze_encoder: int = 0
    batch_size: int = 8
    slices_per_epoch: int | None = None
    loss: Loss = "bce+dice"
    class_weights: tuple[float, ...] | None = None
    tversky: Tversky = field(default_factory=Tversky)
    optimiser: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["onecycle", "cosine", "poly", "constant"] = "onecycle"
    warm_up: float = 0.1
    average_decay: float = 0.999
    gradient_clip: float = 1.0
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    patience: int | None = None
    validate_every: int = 2
    workers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "slices_per_epoch", "patience", "validate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} is not 1 or more")
        for name in ("freeze_encoder", "weight_decay", "gradient_clip", "workers", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name):g} is negative")
        for name in ("warm_up", "average_decay", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name):g} is not from 0 to below 1")
        if not 0 < self.learning_rate <= 10:
            raise ValueError(f"learning_rate {self.learning_rate:g} is not above 0 and at most 10")
        if self.class_weights is not None and min(self.class_weights, default=0) < 0:
            raise ValueError(f"class_weights {self.class_weights} are not positive numbers")


@dataclass(frozen=True)
class Card:
    """What the model card says beside what is measured.

    Attributes:
        intended_use: for what and by whom; none: a sentence from the labels.
        data: where the data come from.
        known_failures: one sentence each.
    """

    intended_use: str = ""
    data: str = ""
    known_failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingConfig:
    """The whole file."""

    model: ModelSpecification
    data: Data
    optimisation: Optimisation
    augmentation: Augmentation = field(default_factory=Augmentation)
    synthesis: Synthesis | None = None
    further: tuple[Further, ...] = ()
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        model, settings = self.model, self.optimisation
        if model.network is None:
            raise ValueError("model.network is missing; only single networks are trained")
        fitting = losses_for(model)
        if settings.loss not in fitting:
            raise ValueError(
                f"optimisation.loss {settings.loss!r} does not go with model.task"
                f" {model.task!r} and model.activation {model.activation!r}; expected one of"
                f" {', '.join(fitting)}"
            )
        weights = settings.class_weights
        if weights is not None and len(weights) != model.output_channels:
            raise ValueError(
                f"optimisation.class_weights has {len(weights)} numbers, the network"
                f" {model.output_channels} output channels"
            )

    @property
    def reading(self) -> Reading:
        """What the reader of the data set must know."""
        return reading_of(self.model, self.data)


@dataclass(frozen=True)
class EnsembleConfig:
    """The file of a model with members: nothing is trained, and `data` is to measure on."""

    model: ModelSpecification
    data: Data
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        if not self.model.members:
            raise ValueError("model.members is missing")


def reading_of(model: ModelSpecification, data: Data | Further) -> Reading:
    """Return what the reader of a data set must know."""
    if isinstance(data, Further):
        return reading_for(model, labels=data.labels)
    return reading_for(
        model,
        labels=data.labels,
        spacing=data.spacing,
        window=data.window,
        mask_suffix=data.mask_suffix,
    )


def losses_for(model: ModelSpecification) -> tuple[Loss, ...]:
    """Return the losses that a model can be trained with."""
    if model.task == "detection":
        return ("bce",)
    entropy: tuple[Loss, ...] = ("bce", "bce+dice")
    if model.activation == "softmax":
        entropy = ("ce", "ce+dice")
    return (*entropy, "dice", "tversky", "focal_tversky")


def read_config(path: Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a TOML file; each override is "section.key=value", the value in TOML's own syntax.

    "section.key=" takes a key out, so that its default counts.

    Raises:
        InputError: the file cannot be read, or a key is unknown or impossible.
    """
    return _built(TrainingConfig, path, overrides)


def read_ensemble(path: Path, overrides: Sequence[str] = ()) -> EnsembleConfig | None:
    """Read the file of an ensemble as `read_config` does; none if it is of a single network.

    Raises:
        InputError: the file cannot be read, or a key is unknown or impossible.
    """
    model = _content(path, overrides).get("model")
    if not isinstance(model, dict) or "members" not in model:
        return None
    return _built(EnsembleConfig, path, overrides)


def _built(kind: type[Config], path: Path, overrides: Sequence[str]) -> Config:
    try:
        return build(kind, _content(path, overrides))
    except RecordError as error:
        raise InputError(f"{path}: {error}") from None


def _content(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    for override in overrides:
        _override(content, override)
    return content


def _override(content: dict[str, Any], override: str) -> None:
    keys, separator, text = override.partition("=")
    if not separator:
        raise InputError(f"--set {override}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, key = keys.strip().split(".")
    inner: Any = content
    for section in sections:
        inner = inner.setdefault(section, {}) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        raise InputError(f"--set {override}: {keys} is not a key of a section")
    if not text.strip():
        inner.pop(key, None)
        return
    inner[key] = value
