"""What `model.json` says: everything that inference needs to know about a model."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from TumorSegLib.image.in_plane import InPlane
from TumorSegLib.image.normalisation import Normalisation
from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.derived import Derived, check_derived
from TumorSegLib.model.evaluation import Evaluation
from TumorSegLib.model.postprocessing import (
    CANDIDATES_WINDOW,
    FalsePositiveFilter,
    FillHoles,
    KeepLargest,
    RemoveSmall,
)
from TumorSegLib.model.provenance import Provenance

FORMAT = 2
"""Version of the file's layout; a reader refuses a newer one, and `schema_1` reads the older."""


@dataclass(frozen=True)
class Label:
    """One structure that the model segments.

    Attributes:
        value: of its voxels in label maps, 1 to 255.
        name: of its segment.
        colour: red, green, blue, 0 to 255.
        category: SNOMED CT code of the segmented property's category.
        type: SNOMED CT code of the segmented property itself.
        region: SNOMED CT code of the anatomic region, where the type does not imply it.
        includes: values of labels that are parts of this structure (a liver's tumours): the
            network learns, and its probability means, the structure with its parts.
        threshold: probability from which on a voxel carries this label; where several labels
            reach theirs, the one listed last wins.
        intensities: lowest and highest value that the first channel can have in the structure (HU
            in CT, fat's for instance); voxels beyond get probability 0. None: any.
    """

    value: int
    name: str
    colour: tuple[int, int, int]
    category: CodedConcept
    type: CodedConcept
    region: CodedConcept | None = None
    includes: tuple[int, ...] = ()
    threshold: float = 0.5
    intensities: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.intensities is not None and self.intensities[0] >= self.intensities[1]:
            raise ValueError(f"intensities {self.intensities} do not rise")
        if not 1 <= self.value <= 255:
            raise ValueError(f"value {self.value} is not within 1 and 255")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold {self.threshold:g} is not between 0 and 1")
        if not all(0 <= part <= 255 for part in self.colour):
            raise ValueError(f"colour {self.colour} is not within 0 and 255")

    @property
    def whole(self) -> tuple[int, ...]:
        """Values of the structure and its parts."""
        return (self.value, *self.includes)


@dataclass(frozen=True)
class Channel:
    """One sequence that the network sees.

    Attributes:
        name: on the command line and in data sets ("flair"). The first is the volume itself.
        title: for people ("T1 after contrast").
        replaced_by: the channel that stands in for a missing one, or if that is missing, too, what
            stands in for that; none: it must be given.
    """

    name: str
    title: str
    replaced_by: str | None = None


@dataclass(frozen=True)
class Input:
    """How slices are prepared for the network.

    Attributes:
        channels: sequences, in the order of the network's input channels.
        in_plane: the grid on which the network sees a slice.
        normalisation: from scanner units to [0, 1], each channel by itself.
        context: neighbouring slices on each side that are further channels; the network's inputs
            are then (below..., slice, above...) for the first sequence, then for the second, ...
        body_box: run the network on the body's bounding box only, and not on slices of air.
    """

    channels: tuple[Channel, ...]
    in_plane: InPlane
    normalisation: Normalisation
    context: int = 0
    body_box: bool = False

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channels]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"channels {names} are not one or more different names")
        if self.channels[0].replaced_by:
            raise ValueError("the first channel is the volume itself and cannot be replaced")
        for channel in self.channels[1:]:
            if channel.replaced_by is not None and channel.replaced_by not in names:
                raise ValueError(f"channel {channel.name} is replaced by {channel.replaced_by!r}")
            self._check_circle(channel.name)
        if not 0 <= self.context <= 8:
            raise ValueError(f"context {self.context} is not within 0 and 8 slices")

    def stand_in(self, name: str, given: Container[str]) -> str | None:
        """Return the channel to use for `name` where some are given: itself, or what replaces it.

        Preparation, export and augmentation agree by asking here. None: it must be given.
        """
        replacements = {channel.name: channel.replaced_by for channel in self.channels}
        source: str | None = name
        while source is not None and source not in given:
            source = replacements[source]
        return source

    def _check_circle(self, name: str) -> None:
        replacements = {channel.name: channel.replaced_by for channel in self.channels}
        passed = [name]
        while (following := replacements[passed[-1]]) is not None:
            if following in passed:
                circle = " by ".join([*passed, following])
                raise ValueError(f"channels replace each other in a circle: {circle}")
            passed.append(following)

    @property
    def network_channels(self) -> int:
        """Input channels that the network must have."""
        return len(self.channels) * (2 * self.context + 1)


@dataclass(frozen=True)
class Network:
    """A network of `TumorSegLib.networks` and the arguments to build it with."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


StoredType = Literal["float32", "float16", "bfloat16", "int8"]
"""How a network's tensors are stored, see `TumorSegLib.model.stored_weights`."""


@dataclass(frozen=True)
class Weights:
    """The weights' file: SHA-256 of its bytes, how its tensors are stored, parameters in all."""

    sha256: str
    dtype: StoredType
    parameters: int


@dataclass(frozen=True)
class ModelSpecification:
    """The content of `model.json`.

    A model has either a `network` with `weights`, or `members`: ids of models whose probabilities
    are averaged, with `member_weights` if these are given. `smoothing`, of detectors, is the
    standard deviation in slices of a Gaussian over the slices' log-odds: what one slice shows, its
    neighbours seldom lack. `first_alone` is the part that probabilities from the first sequence,
    standing in for all others, have in the average with those from all. `candidates` are judged
    after the post-processing. `derived` is shown with the measurements. `provenance` says where the
    weights come from, `evaluation` how well the model did (None: not measured); inference reads
    neither.
    """

    id: str
    title: str
    version: str
    description: str
    modality: Literal["MR", "CT"]
    input: Input
    labels: tuple[Label, ...]
    task: Literal["segmentation", "detection"] = "segmentation"
    anatomy: str = ""
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    network: Network | None = None
    weights: Weights | None = None
    members: tuple[str, ...] = ()
    member_weights: tuple[float, ...] = ()
    flips: bool = False
    first_alone: float = 0.0
    smoothing: float = 0.0
    postprocessing: tuple[KeepLargest | RemoveSmall | FillHoles, ...] = ()
    candidates: FalsePositiveFilter | None = None
    derived: tuple[Derived, ...] = ()
    default: bool = False
    licence: str = ""
    provenance: Provenance = field(default_factory=Provenance)
    evaluation: Evaluation | None = None
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format > FORMAT:
            raise ValueError(f"format {self.format} is newer than {FORMAT}; update TumorSeg")
        _check_ids((self.id, *self.members))
        if bool(self.members) == bool(self.network):
            raise ValueError("expected either a network or members")
        if self.member_weights and not (
            len(self.member_weights) == len(self.members)
            and all(0 < weight < math.inf for weight in self.member_weights)
        ):
            raise ValueError(
                f"member_weights are {list(self.member_weights)}, expected a positive number for"
                f" each of {len(self.members)} members"
            )
        if self.network:
            _check_channels(self.network, "in_channels", self.input.network_channels)
            _check_channels(self.network, "out_channels", self.output_channels)
        if not 0 <= self.smoothing <= 10 or (self.smoothing and self.task != "detection"):
            raise ValueError(f"smoothing {self.smoothing:g} is not a detector's, within 0 and 10")
        _check_first_alone(self.first_alone, self.input)
        _check_labels(self.labels)
        names = {label.value: label.name for label in self.labels}
        check_derived(
            self.derived,
            {label.name: [names[part] for part in label.includes] for label in self.labels},
        )
        values = [label.value for label in self.labels]
        for step in self.postprocessing:
            if step.label not in values:
                raise ValueError(f"postprocessing names label {step.label}, labels are {values}")
            if isinstance(step, KeepLargest) and step.search_mm:
                _check_search(step, self.labels)
        if self.candidates is not None:
            _check_candidates(self.candidates, self.labels, self.input.normalisation)

    @property
    def output_channels(self) -> int:
        """Channels that the network's logits must have; softmax has one more for background."""
        return len(self.labels) + (self.activation == "softmax")

    @property
    def findings(self) -> tuple[Label, ...]:
        """What to look for on a slice: labels without parts; those with parts are organs."""
        return tuple(label for label in self.labels if not label.includes) or self.labels


def _check_ids(ids: tuple[str, ...]) -> None:
    """Refuse ids that could name a place elsewhere: folders have these names."""
    for name in ids:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
            raise ValueError(
                f"id {name[:80]!r} is not lower-case letters, digits, '.', '_' and '-'"
            )


def _check_first_alone(part: float, given: Input) -> None:
    if not 0 <= part < 1:
        raise ValueError(f"first_alone {part:g} is not within 0 and 1")
    first = given.channels[0].name
    for channel in given.channels[1:] if part else ():
        if given.stand_in(channel.name, (first,)) != first:
            raise ValueError(f"first_alone: {first} does not replace {channel.name}")


def _check_labels(labels: tuple[Label, ...]) -> None:
    values = [label.value for label in labels]
    if not values or len(set(values)) != len(values):
        raise ValueError(f"label values {values} are not one or more different numbers")
    for label in labels:
        if not set(label.includes) <= set(values) - {label.value}:
            raise ValueError(f"label {label.name} includes {label.includes}, labels are {values}")


def _check_search(step: KeepLargest, labels: tuple[Label, ...]) -> None:
    organ = next(label for label in labels if label.value == step.label)
    if others := {label.value for label in labels} - set(organ.whole):
        raise ValueError(
            f"search_mm {step.search_mm:g}: {organ.name} does not include label {min(others)},"
            " which may lie where it is not"
        )


def _check_candidates(
    wanted: FalsePositiveFilter, labels: tuple[Label, ...], normalisation: Normalisation
) -> None:
    if not any(label.value == wanted.organ and wanted.label in label.includes for label in labels):
        raise ValueError(f"candidates: no label {wanted.organ} includes label {wanted.label}")
    if normalisation != CANDIDATES_WINDOW:
        raise ValueError(
            f"candidates: input.normalisation is {normalisation}, but candidates are judged with"
            f" {CANDIDATES_WINDOW} only; use that, or leave candidates out"
        )


def _check_channels(network: Network, argument: str, expected: int) -> None:
    found = network.arguments.get(argument)
    if found != expected:
        raise ValueError(
            f"network.arguments.{argument} is {found}, input and labels ask for {expected}"
        )
