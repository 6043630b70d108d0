"""Which model segments a series: the first rule that fits what its images say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from TumorSegLib.cohort.models import MODALITIES
from TumorSegLib.cohort.settings import Settings
from TumorSegLib.errors import InputError, ModelError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.checksum import digest, model_checksum

NOT_FOR_US = "nothing"
"""Stands for the work on a series that no rule gives to a model."""


@dataclass(frozen=True)
class Rule:
    """For which series which model is.

    Attributes:
        model: id of it, or a folder with it; None: the series is passed over.
        ignore: says that there is no model on purpose.
        modality: "CT" or "MR"; None: that of the model.
        body_part: values of BodyPartExamined, one of which it has to be, in either case.
        description: patterns with * and ?, one of which SeriesDescription has to fit, in either
            case.
    """

    model: str | None = None
    ignore: bool = False
    modality: str | None = None
    body_part: tuple[str, ...] = ()
    description: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.model is None) != self.ignore:
            raise ValueError("expected either model or ignore = true")
        if self.modality is not None and self.modality not in MODALITIES:
            expected = " or ".join(MODALITIES)
            raise ValueError(f"modality: found {self.modality!r}, expected {expected}")


@dataclass(frozen=True)
class Said:
    """What rules look at in the header of an image.

    Attributes:
        modality: Modality.
        body_part: BodyPartExamined.
        description: SeriesDescription.
    """

    modality: str
    body_part: str
    description: str


@dataclass(frozen=True)
class Assignment:
    """What is done with a series.

    Attributes:
        rule: number of the rule, from 1; 0: none fits.
        bundle: the model; None: nothing is done.
        key: hash of model and settings; another one makes another result.
    """

    rule: int
    bundle: Bundle | None
    key: str


class Rules:
    """The rules of a node with their models."""

    def __init__(self, rules: Sequence[Rule], catalogue: Catalogue, settings: Settings) -> None:
        """Look the models up.

        Raises:
            InputError: a rule names a model that cannot be used, or another modality than its.
        """
        self.rules = tuple(rules)
        self.catalogue = catalogue
        self._assignments = [
            _assignment(number, rule, catalogue, settings)
            for number, rule in enumerate(rules, start=1)
        ]

    def assignment_for(self, said: Said) -> Assignment:
        """Return what is done with a series whose images say this."""
        for rule, assignment in zip(self.rules, self._assignments, strict=True):
            if _fits(rule, assignment, said):
                return assignment
        return Assignment(0, None, NOT_FOR_US)

    @property
    def modalities(self) -> set[str]:
        """Of all series that a rule may take."""
        return {
            assignment.bundle.specification.modality
            for assignment in self._assignments
            if assignment.bundle
        }

    @property
    def of_several(self) -> set[str]:
        """Modalities of models that look at several sequences of a study."""
        return {
            assignment.bundle.specification.modality
            for assignment in self._assignments
            if assignment.bundle and len(assignment.bundle.specification.input.channels) > 1
        }

    def described(self) -> Iterator[str]:
        """Yield a line a rule: what it takes and what becomes of it."""
        for number, (rule, assignment) in enumerate(
            zip(self.rules, self._assignments, strict=True), start=1
        ):
            does = "is passed over"
            if assignment.bundle is not None:
                model = assignment.bundle.specification
                does = f"is segmented by {model.id} {model.version} ({model.title})"
            line = f"rule {number}: {_condition(rule, assignment)} {does}"
            for earlier, (other, its) in enumerate(
                zip(self.rules[: number - 1], self._assignments, strict=False), start=1
            ):
                if _takes_all(other, its, _modality(rule, assignment)):
                    line += f"; never reached, since rule {earlier} takes all of them"
                    break
            yield line
        yield "what no rule fits is accepted and passed over"


def _assignment(number: int, rule: Rule, catalogue: Catalogue, settings: Settings) -> Assignment:
    if rule.model is None:
        return Assignment(number, None, NOT_FOR_US)
    try:
        bundle = catalogue.find(rule.model)
        key = digest([model_checksum(bundle, catalogue), settings.plain])
    except ModelError as error:
        raise InputError(f"rule {number}: {error}") from None
    model = bundle.specification
    if model.task != "segmentation":
        raise InputError(f"rule {number}: {model.id} segments nothing; name another model")
    if rule.modality not in (None, model.modality):
        raise InputError(
            f"rule {number}: {model.id} is for {model.modality}, the rule for {rule.modality}"
        )
    return Assignment(number, bundle, key)


def _modality(rule: Rule, assignment: Assignment) -> str | None:
    return assignment.bundle.specification.modality if assignment.bundle else rule.modality


def _fits(rule: Rule, assignment: Assignment, said: Said) -> bool:
    if _modality(rule, assignment) not in (None, said.modality):
        return False
    if rule.body_part and said.body_part.upper() not in {one.upper() for one in rule.body_part}:
        return False
    text = said.description.casefold()
    patterns = [pattern.casefold().replace("[", "[[]") for pattern in rule.description]
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def _takes_all(rule: Rule, assignment: Assignment, modality: str | None) -> bool:
    if rule.body_part or rule.description:
        return False
    return _modality(rule, assignment) in (None, modality)


def _condition(rule: Rule, assignment: Assignment) -> str:
    parts = [_modality(rule, assignment) or "every series"]
    if rule.body_part:
        parts.append(f"of body part {' or '.join(rule.body_part)}")
    if rule.description:
        parts.append(f"with a description like {' or '.join(rule.description)}")
    return " ".join(parts)
