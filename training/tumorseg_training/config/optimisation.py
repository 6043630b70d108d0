"""How weights are found: `[optimisation]` of a config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Loss = Literal["bce", "ce", "dice", "bce+dice", "ce+dice", "tversky", "focal_tversky"]


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
        within_intensities: count only pixels whose value some label's `intensities` admit; those
            of the result have no other.
        optimiser: by name.
        learning_rate: the largest.
        momentum: of SGD.
        weight_decay: decoupled for AdamW.
        schedule: how the learning rate falls.
        warm_up: share of all steps in which the learning rate rises.
        average_decay: of the moving average of the weights, which is what is validated and
            published; 0: no average.
        keep: which epoch is published: the last, or that with the best validation score. What the
            patients kept aside have chosen is too good on them, and its card says so.
        gradient_clip: largest norm; 0: none.
        precision: of the arithmetic; auto: bf16 where the processor has it.
        patience: epochs without a better validation score after which training stops; none: never.
            Only where the best is kept.
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
    within_intensities: bool = False
    optimiser: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["onecycle", "cosine", "poly", "constant"] = "onecycle"
    warm_up: float = 0.1
    average_decay: float = 0.999
    keep: Literal["last", "best"] = "last"
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
        if self.patience is not None and self.keep != "best":
            raise ValueError(
                "patience: stops by the score on patients who are then measured; leave it out, or"
                ' say keep = "best"'
            )
        if not 0 < self.learning_rate <= 10:
            raise ValueError(f"learning_rate {self.learning_rate:g} is not above 0 and at most 10")
        if self.class_weights is not None and min(self.class_weights, default=0) < 0:
            raise ValueError(f"class_weights {self.class_weights} are not positive numbers")
