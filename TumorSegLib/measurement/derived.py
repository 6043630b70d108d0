"""What a model's measurements are combined to: volumes with and without parts, burdens, ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from TumorSegLib.measurement.quantities import shown
from TumorSegLib.measurement.segment import Measurement
from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.derived import (
    RATIO_UNITS,
    UNITS,
    Count,
    Derived,
    Difference,
    Quantity,
    Ratio,
    Sum,
)

SYMBOLS = {"1": "", "mm2": "mm²", "cm2": "cm²"}
"""How units are shown that are written otherwise in `model.json`, which has UCUM's."""


@dataclass(frozen=True)
class DerivedValue:
    """A value that follows from several measurements.

    Attributes:
        key: for programs ("tumour_burden").
        name: for people.
        value: None where it would be divided by nothing, or a segment is missing.
        unit: UCUM's ("ml", "cm2", "%", "1").
        code: DICOM's, where there is one.
    """

    key: str
    name: str
    value: float | None
    unit: str
    code: CodedConcept | None = None

    @property
    def text(self) -> str:
        """The value as people read it, with its unit."""
        if self.value is None:
            return "-"
        return f"{shown(self.value)} {SYMBOLS.get(self.unit, self.unit)}".rstrip()


def derive(derived: Sequence[Derived], measured: Sequence[Measurement]) -> list[DerivedValue]:
    """Return the values that a model derives.

    Args:
        derived: of the model's specification.
        measured: of every label of the model, as `measure` returns them. Segments that a user has
            drawn may stand in for labels of the same name, each with the parts that its label
            includes; what needs one that is missing has no value.
    """
    by_name = {measurement.name: measurement for measurement in measured}
    return [
        DerivedValue(item.key, item.name, _value(item, by_name), item.unit, item.code)
        for item in derived
    ]


def _value(item: Derived, by_name: Mapping[str, Measurement]) -> float | None:
    try:
        return _computed(item, by_name)
    except KeyError:
        return None


def _computed(item: Derived, by_name: Mapping[str, Measurement]) -> float | None:
    match item:
        case Count(label=label):
            return by_name[label].components
        case Sum(labels=labels, quantity=quantity, unit=unit):
            amount = _amount([by_name[name] for name in labels], (), quantity)
            return amount * UNITS[quantity][unit]
        case Difference(label=label, less=less, quantity=quantity, unit=unit):
            parts = [by_name[name] for name in less]
            return _amount([by_name[label]], parts, quantity) * UNITS[quantity][unit]
        case Ratio(numerator=numerator, denominator=denominator, quantity=quantity, unit=unit):
            below = _amount([by_name[name] for name in denominator], (), quantity)
            above = _amount([by_name[name] for name in numerator], (), quantity)
            return above / below * RATIO_UNITS[unit] if below else None


def _amount(whole: Sequence[Measurement], less: Sequence[Measurement], quantity: Quantity) -> float:
    """Return ml, or mm² as the mean over the slices that show something of the whole."""
    if quantity == "volume":
        return sum(one.volume_ml for one in whole) - sum(one.volume_ml for one in less)
    areas = np.sum([one.areas_mm2 for one in whole], axis=0)
    without = areas - np.sum([one.areas_mm2 for one in less], axis=0) if less else areas
    return float(without[areas > 0].mean()) if areas.any() else 0.0
