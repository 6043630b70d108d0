"""Fits the classifier, chooses its threshold and measures both on patients that took no part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.image_kinds.examples import Example
from TumorSegLib.inference.image_features import FEATURES
from TumorSegLib.model.image_kinds import ImageKinds, KindsSpecification

KINDS = ("flair", "t1", "t1c", "t2", "ct")
STRENGTH = 0.05
"""Inverse of the penalty on coefficients."""
THRESHOLDS = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
FALSE_ALARMS = 0.01
"""At most this part of the FLAIR images may be taken for something else where thresholds are
chosen."""

GroupOf = Callable[[str], str]


@dataclass(frozen=True)
class Measured:
    """An example and what a classifier that never saw its group says of it.

    Attributes:
        example: that was measured.
        group: kept aside.
        probabilities: by kind.
        threshold: chosen without the group.
    """

    example: Example
    group: str
    probabilities: Mapping[str, float]
    threshold: float


def fit(examples: Sequence[Example], specification: KindsSpecification) -> ImageKinds:
    """Fit the classifier to all examples but those that are kept for measuring ("stripped")."""
    from sklearn.linear_model import LogisticRegression

    chosen = [one for one in examples if one.how != "stripped"]
    features = np.stack([one.features for one in chosen])
    kinds = np.array([KINDS.index(one.kind) for one in chosen])
    mean, deviation = features.mean(0), np.maximum(features.std(0), 1e-6)
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=2000)
    model.fit((features - mean) / deviation, kinds)
    parts = (mean, deviation, model.coef_, model.intercept_)
    return ImageKinds(specification, *(np.asarray(part, np.float32) for part in parts))


def choose_threshold(examples: Sequence[Example], group_of: GroupOf) -> float:
    """Return the highest threshold with few false alarms in groups kept aside, one after another.

    Args:
        examples: to choose on.
        group_of: a patient; whole hospitals, as a new user's is none of those learnt from.
    """
    found = [
        probabilities["flair"]
        for probabilities, one in _aside(examples, group_of)
        if one.kind == "flair" and one.how != "changed"
    ]
    alarms = [np.mean(np.array(found) < threshold) for threshold in THRESHOLDS]
    fitting = [
        threshold
        for threshold, part in zip(THRESHOLDS, alarms, strict=True)
        if part <= FALSE_ALARMS
    ]
    return max(fitting, default=THRESHOLDS[0])


def measure(examples: Sequence[Example], group_of: GroupOf, hospital_of: GroupOf) -> list[Measured]:
    """Keep each group of heads aside once; fit and choose the threshold on the others."""
    measured = []
    for group in sorted({group_of(one.patient) for one in examples if one.kind != "ct"}):
        others = [one for one in examples if group_of(one.patient) != group]
        own = [one for one in examples if group_of(one.patient) == group]
        model, threshold = fit(others, blank()), choose_threshold(others, hospital_of)
        measured += [
            Measured(one, group, model.probabilities(one.features), threshold) for one in own
        ]
    return measured


def blank(threshold: float = 0.0) -> KindsSpecification:
    """Return a specification whose words are still to be written."""
    return KindsSpecification("", KINDS, FEATURES, threshold, "", "", "")


def _aside(
    examples: Sequence[Example], group_of: GroupOf
) -> list[tuple[Mapping[str, float], Example]]:
    found: list[tuple[Mapping[str, float], Example]] = []
    for group in sorted({group_of(one.patient) for one in examples if one.kind != "ct"}):
        model = fit([one for one in examples if group_of(one.patient) != group], blank())
        own = [one for one in examples if group_of(one.patient) == group]
        found += [(without_ct(model.probabilities(one.features)), one) for one in own]
    return found


def without_ct(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Return the probabilities of an image that is MRI for certain."""
    kept = {kind: part for kind, part in probabilities.items() if kind != "ct"}
    whole = sum(kept.values())
    return {kind: part / whole for kind, part in kept.items()}


def stacked(examples: Sequence[Example]) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """Return examples as arrays to be written: words (n, 3), numbers (n, features)."""
    words = np.array([(one.patient, one.kind, one.how) for one in examples])
    return words, np.stack([one.features for one in examples])


def unstacked(words: NDArray[np.str_], features: NDArray[np.float32]) -> list[Example]:
    """Return the examples of `stacked`."""
    return [
        Example(str(patient), str(kind), str(how), row)
        for (patient, kind, how), row in zip(words, features, strict=True)
    ]
