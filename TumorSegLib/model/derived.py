"""What a model's measurements are combined to: the `derived` list of `model.json`.

    {"kind": "ratio", "key": "tumour_burden", "name": "Tumour burden",
     "numerator": ["Liver tumour"], "denominator": ["Liver"], "unit": "%"}

Labels are named as in `labels` and count with the parts that they include: a liver with its
tumours. Areas are means over the axial slices that show one of the labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from TumorSegLib.model.code import CodedConcept

Quantity = Literal["volume", "mean_area"]
UNITS: Mapping[Quantity, Mapping[str, float]] = {
    "volume": {"ml": 1.0, "l": 0.001},
    "mean_area": {"mm2": 1.0, "cm2": 0.01},
}
"""Units of each quantity, with the factor from the first of them."""

RATIO_UNITS = {"1": 1.0, "%": 100.0}


@dataclass(frozen=True)
class Sum:
    """The labels together.

    Attributes:
        key: in `--json`; lower-case letters, digits and _.
        name: for people.
        labels: names of labels, none of which includes another.
        quantity: that is summed.
        unit: of the sum.
        code: DICOM's, where there is one.
    """

    kind: ClassVar[str] = "sum"
    key: str
    name: str
    labels: tuple[str, ...]
    quantity: Quantity = "volume"
    unit: str = "ml"
    code: CodedConcept | None = None

    def __post_init__(self) -> None:
        _check_unit(self.key, self.unit, UNITS[self.quantity])


@dataclass(frozen=True)
class Difference:
    """A label without parts that it includes; attributes as of `Sum`.

    Attributes:
        label: the whole.
        less: its parts that are taken off.
    """

    kind: ClassVar[str] = "difference"
    key: str
    name: str
    label: str
    less: tuple[str, ...]
    quantity: Quantity = "volume"
    unit: str = "ml"
    code: CodedConcept | None = None

    def __post_init__(self) -> None:
        _check_unit(self.key, self.unit, UNITS[self.quantity])


@dataclass(frozen=True)
class Ratio:
    """Some labels together by others together; attributes as of `Sum`."""

    kind: ClassVar[str] = "ratio"
    key: str
    name: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...]
    quantity: Quantity = "volume"
    unit: str = "1"
    code: CodedConcept | None = None

    def __post_init__(self) -> None:
        _check_unit(self.key, self.unit, RATIO_UNITS)


@dataclass(frozen=True)
class Count:
    """The number of a label's components; attributes as of `Sum`."""

    kind: ClassVar[str] = "count"
    key: str
    name: str
    label: str
    code: CodedConcept | None = None

    @property
    def unit(self) -> str:
        """Of a number: 1."""
        return "1"


Derived = Sum | Difference | Ratio | Count


def check_derived(derived: Sequence[Derived], includes: Mapping[str, Sequence[str]]) -> None:
    """Refuse what cannot be derived from a model's labels.

    Args:
        derived: of the model.
        includes: names of the model's labels, each with those of the labels that it includes.

    Raises:
        ValueError: a key stands twice or is none, or labels are unknown, count twice, or are no
            parts of what they are taken off.
    """
    keys = [item.key for item in derived]
    for key in keys:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", key):
            raise ValueError(
                f"derived: key {key[:80]!r} is not lower-case letters, digits and '_', a letter"
                " first"
            )
        if keys.count(key) > 1:
            raise ValueError(f"derived: key {key} stands twice")
    for item in derived:
        for names in _summed(item):
            _check_names(item.key, names, includes)
        if isinstance(item, Difference):
            for name in item.less:
                if name not in includes[item.label]:
                    raise ValueError(
                        f"derived {item.key}: {name} is no part of {item.label}, which includes"
                        f" {', '.join(includes[item.label]) or 'nothing'}"
                    )


def _summed(item: Derived) -> tuple[tuple[str, ...], ...]:
    """Return the names of labels that are summed, each sum by itself."""
    if isinstance(item, Sum):
        return (item.labels,)
    if isinstance(item, Ratio):
        return item.numerator, item.denominator
    if isinstance(item, Difference):
        return (item.label,), item.less
    return ((item.label,),)


def _check_names(key: str, names: Sequence[str], includes: Mapping[str, Sequence[str]]) -> None:
    if not names:
        raise ValueError(f"derived {key}: expected one label or more")
    for name in names:
        if name not in includes:
            raise ValueError(f"derived {key}: no label {name!r}, labels are {', '.join(includes)}")
        twice = [other for other in names if other == name or other in includes[name]]
        if len(twice) > 1 or twice[0] != name:
            raise ValueError(f"derived {key}: {twice[-1]} would count twice")


def _check_unit(key: str, unit: str, units: Mapping[str, float]) -> None:
    if unit not in units:
        raise ValueError(f"derived {key}: unit {unit!r}, expected one of {', '.join(units)}")
