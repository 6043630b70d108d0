"""A training run, and an ensemble that is only measured, as their TOML files describe them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tumorseg_training.case import ReaderOptions, reader_options_for
from tumorseg_training.config.augmentation import Augmentation
from tumorseg_training.config.data import Data, ExtraDataset, Synthesis
from tumorseg_training.config.optimisation import Loss, Optimisation
from TumorSegLib.image.normalisation import Window
from TumorSegLib.model.specification import ModelSpecification


@dataclass(frozen=True)
class Card:
    """What the model card says beside what is measured.

    Attributes:
        intended_use: for what and by whom; none: a sentence from the labels.
        data: where the data come from.
        also_measured: in words, on whom and how.
        known_failures: one sentence each.
    """

    intended_use: str = ""
    data: str = ""
    also_measured: str = ""
    known_failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingConfig:
    """The whole file."""

    model: ModelSpecification
    data: Data
    optimisation: Optimisation
    augmentation: Augmentation = field(default_factory=Augmentation)
    synthesis: Synthesis | None = None
    further: tuple[ExtraDataset, ...] = ()
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
        if settings.within_intensities and not _has_intensities(model):
            raise ValueError(
                "optimisation.within_intensities needs model.activation 'softmax', intensities of"
                " every label, and model.input.normalisation of the kind window"
            )
        for further in self.further:
            _check_annotated(model, further)

    @property
    def reading(self) -> ReaderOptions:
        """What the reader of the data set must know."""
        return reader_options_of(self.model, self.data)


@dataclass(frozen=True)
class EnsembleConfig:
    """The file of a model with members: nothing is trained, and `data` is to measure on."""

    model: ModelSpecification
    data: Data
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        if not self.model.members:
            raise ValueError("model.members is missing")


def reader_options_of(model: ModelSpecification, data: Data | ExtraDataset) -> ReaderOptions:
    """Return what the reader of a data set must know."""
    if isinstance(data, ExtraDataset):
        return reader_options_for(model, labels=data.labels)
    return reader_options_for(
        model,
        labels=data.labels,
        spacing=data.spacing,
        window=data.window,
        mask_suffix=data.mask_suffix,
    )


def _check_annotated(model: ModelSpecification, further: ExtraDataset) -> None:
    """Raise ValueError where a data set cannot have been annotated for some of the labels alone."""
    if further.annotated is None:
        return
    if model.activation != "sigmoid" or model.task != "segmentation":
        raise ValueError(
            "further.annotated needs model.task 'segmentation' and model.activation 'sigmoid'"
        )
    known = [label.value for label in model.labels]
    if not further.annotated or (others := set(further.annotated) - set(known)):
        found = ", ".join(map(str, sorted(others))) if further.annotated else "nothing"
        raise ValueError(
            f"further.annotated of {further.folder} has {found}; expected some of the model's"
            f" values {', '.join(map(str, known))}"
        )
    if mapped := set(further.labels.values()) - {0, *further.annotated}:
        raise ValueError(
            f"further.labels of {further.folder} has {', '.join(map(str, sorted(mapped)))}, which"
            " further.annotated lacks; add it there, or map its structure to 0"
        )


def _has_intensities(model: ModelSpecification) -> bool:
    limited = all(label.intensities is not None for label in model.labels)
    segments = model.task == "segmentation" and model.activation == "softmax"
    return limited and segments and isinstance(model.input.normalisation, Window)


def losses_for(model: ModelSpecification) -> tuple[Loss, ...]:
    """Return the losses that a model can be trained with."""
    if model.task == "detection":
        return ("bce",)
    entropy: tuple[Loss, ...] = ("bce", "bce+dice")
    if model.activation == "softmax":
        entropy = ("ce", "ce+dice")
    return (*entropy, "dice", "tversky", "focal_tversky")
