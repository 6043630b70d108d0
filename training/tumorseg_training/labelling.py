"""From the structures of a data set to the label values of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.case import ReaderOptions
from TumorSegLib.errors import InputError
from TumorSegLib.model.specification import Label

LARGEST_VALUE = 65535


class LabelError(InputError):
    """The annotation holds values that the config does not account for; training must not start."""


def value_of(
    structure: str | None, labels: Mapping[str, int], number: int | None = None
) -> int | None:
    """Return the model's value of a structure, by the last pattern that fits; none: no fit.

    Args:
        structure: its name, if it has one.
        labels: from names, patterns or numbers to values.
        number: its value in the data set, if it has one.
    """
    words = [str(word) for word in (structure, number) if word is not None]
    fitting = [
        value
        for pattern, value in labels.items()
        if any(fnmatchcase(word.lower(), pattern.lower()) for word in words)
    ]
    return fitting[-1] if fitting else None


def values_by_name(
    structures: Mapping[int, str], labels: Sequence[Label], folder: Path
) -> dict[str, int]:
    """Return the model's value for each value of a data set that names its structures.

    Empty where none of the names is one of the model's, or all stand at the model's own values: the
    values are the model's then.

    Args:
        structures: names by value.
        labels: of the model.
        folder: of the data set, for messages.

    Raises:
        LabelError: some names are the model's and others are not.
    """
    own = {_plain(label.name): label.value for label in labels}
    named = {value: own.get(_plain(name)) for value, name in structures.items() if value}
    found = {value: target for value, target in named.items() if target is not None}
    if not found:
        return {}
    if unknown := [f"{structures[value]} ({value})" for value in named if value not in found]:
        known = ", ".join(f"{label.name} ({label.value})" for label in labels)
        raise LabelError(
            f"{folder / 'dataset.json'}: {', '.join(unknown)} are no labels of the model ({known})"
            " though others are; say what each structure is by --label STRUCTURE=VALUE (data.labels"
            " in a config), 0 for background"
        )
    if all(value == target for value, target in found.items()):
        return {}
    return {str(value): target for value, target in found.items()}


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def model_values(
    annotation: NDArray[Any],
    reading: ReaderOptions,
    case: str,
    names: Mapping[int, str] | None = None,
) -> NDArray[np.uint8]:
    """Return a data set's label map with the model's values.

    Args:
        annotation: whole numbers or truth values, any shape; 0 is background.
        reading: has the mapping.
        case: for messages.
        names: of the data set's values, where it names them.

    Raises:
        LabelError: a value has no counterpart among the model's labels.
        InputError: the array does not hold whole numbers from 0 to 65535.
    """
    whole = annotation.astype(np.int64) if annotation.dtype.kind in "bf" else annotation
    if whole is not annotation and not np.array_equal(whole, annotation):
        raise InputError(f"{case}: the annotation holds fractions, expected label values")
    if whole.size and not 0 <= int(whole.min()) <= int(whole.max()) <= LARGEST_VALUE:
        raise InputError(f"{case}: label values are not within 0 and {LARGEST_VALUE}")
    present = np.flatnonzero(np.bincount(whole.ravel(), minlength=1))
    table = np.zeros(int(present.max(initial=0)) + 1, np.uint8)
    unknown = []
    for value in present[present > 0].tolist():
        target: int | None = value
        if reading.labels:
            target = value_of((names or {}).get(value), reading.labels, value)
        if target is None or target not in (0, *reading.values):
            name = f" ({names[value]})" if names and value in names else ""
            unknown.append(f"{value}{name}")
        else:
            table[value] = target
    if unknown:
        known = ", ".join(map(str, reading.values))
        raise LabelError(
            f"{case}: label values {', '.join(unknown)} are not among the model's ({known});"
            " say in data.labels what they are, 0 for background"
        )
    values: NDArray[np.uint8] = table[whole]
    return values
