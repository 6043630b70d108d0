"""A recipe of several stages: `[[stages]]` of a config, each over what the config itself says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tumorseg_training.config.training import TrainingConfig

SECTIONS = ("model", "data", "synthesis", "further", "augmentation", "optimisation")
EACH, NOBODY = "each", "nobody"


@dataclass(frozen=True)
class Stage:
    """One stage, as the file describes it.

    Attributes:
        name: also of its folder in the run's.
        config: another config, a path from this one's folder, whose settings stand in place of
            this one's; its stages do not count.
        start_from: an earlier stage whose last averaged weights this one starts from; STAGE/FOLDS
            where that one ran for several groups of folds and this one runs once. Without it the
            stage starts as `optimisation.start_from` says.
        aside: "each": once for each of `cross_validation`, without its patients; "nobody": on
            everybody; by default on whom `data.validate` leaves.
        measured: an earlier stage whose figures the card has, and whose forest judges candidates,
            where this one keeps nobody aside.
        model: keys that differ from the config's, as are those of the other sections.
        data: the same.
        synthesis: the same.
        further: data sets in place of the config's; an empty list: none.
        augmentation: keys that differ.
        optimisation: keys that differ.
    """

    name: str
    config: str | None = None
    start_from: str | None = None
    aside: Literal["each", "nobody"] | None = None
    measured: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    synthesis: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[Mapping[str, Any], ...] | None = None
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    optimisation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name):
            raise ValueError(f"name {self.name!r} is not of a-z, 0-9, _ and -")
        if self.measured is not None and self.aside != NOBODY:
            raise ValueError('measured goes with aside = "nobody"')
        if "start_from" in self.optimisation and self.start_from is not None:
            raise ValueError("start_from stands twice, beside and within optimisation")

    @property
    def changes(self) -> dict[str, Any]:
        """What differs from the config, by section."""
        found = {name: getattr(self, name) for name in SECTIONS if getattr(self, name)}
        if self.further is not None:
            found["further"] = list(self.further)
        return found


@dataclass(frozen=True)
class Part:
    """One training of a recipe.

    Attributes:
        stage: that it is of.
        folds: those it keeps aside of `cross_validation`, "" if the stage runs once.
        config: its settings; `optimisation.start_from` is not set where it starts from a stage.
        start: stage and folds of the part whose weights it starts from.
    """

    stage: Stage
    folds: str
    config: TrainingConfig
    start: tuple[str, str] | None

    @property
    def key(self) -> tuple[str, str]:
        """Stage and folds, by which a part is found."""
        return self.stage.name, self.folds


@dataclass(frozen=True)
class Recipe:
    """What a config trains, in order.

    Attributes:
        parts: of all stages; those of a stage stand together.
    """

    parts: tuple[Part, ...]

    @property
    def names(self) -> list[str]:
        """The stages' names in order."""
        return list(dict.fromkeys(part.stage.name for part in self.parts))

    @property
    def crossed(self) -> frozenset[str]:
        """Stages whose parts are measured together: those that others name, or the last one."""
        each = {part.stage.name for part in self.parts if part.stage.aside == EACH}
        named = {part.stage.measured for part in self.parts} | {self.names[-1]}
        return frozenset(each & named)

    def of_stage(self, name: str | None) -> list[Part]:
        """Return the parts of a stage; nothing without a name."""
        return [part for part in self.parts if part.stage.name == name]

    def sources(self, part: Part) -> list[Part]:
        """Return those that a part's weights come from one after the other, the nearest first."""
        by_key = {other.key: other for other in self.parts}
        found = []
        while part.start is not None:
            part = by_key[part.start]
            found.append(part)
        return found


def parts_of(stage: Stage, config: TrainingConfig, groups: tuple[str, ...]) -> list[Part]:
    """Return the trainings of a stage; where they start is checked by `check_earlier`.

    Args:
        stage: as the file describes it.
        config: its settings.
        groups: of folds that are kept aside in turn.

    Raises:
        ValueError: there are no groups of folds though it is to run for each.
    """
    name, _, folds = (stage.start_from or "").partition("/")
    if stage.aside != EACH:
        return [Part(stage, "", config, (name, folds) if name else None)]
    if not groups:
        raise ValueError('aside = "each": cross_validation is missing, a list of folds')
    if folds:
        raise ValueError(f"start_from {stage.start_from!r}: expected {name!r}, as each starts anew")
    return [
        Part(
            stage,
            group,
            replace(config, data=replace(config.data, validate=group)),
            (name, group) if name else None,
        )
        for group in groups
    ]


def check_earlier(part: Part, earlier: Mapping[tuple[str, str], Part]) -> None:
    """Check that what a part takes is there: whom these have learnt from, only the data tell.

    Raises:
        ValueError: there is no such stage before it, or what is measured is no stage that keeps
            patients aside.
    """
    measured = part.stage.measured
    if measured is not None and not any(
        name == measured and other.config.data.validate for (name, _), other in earlier.items()
    ):
        raise ValueError(f"measured {measured!r}: no stage before it that keeps patients aside")
    if part.start is None:
        return
    if part.start not in earlier:
        known = ", ".join("/".join(filter(None, key)) for key in earlier) or "none"
        wanted = "/".join(filter(None, part.start))
        raise ValueError(f"start_from {wanted!r}: no such stage before it; expected one of {known}")
