"""Which components are lesions: those of labels that are no organ and no tissue."""

from __future__ import annotations

from collections.abc import Sequence

from TumorSegLib.measurement.segment import Measurement
from TumorSegLib.model.specification import Label, ModelSpecification

LESION_CATEGORIES = frozenset((("SCT", "49755003"), ("SRT", "M-01000")))
"""Morphologically Altered Structure, the category of tumours in DICOM's CID 7150, and what it is in
SNOMED RT, which older scenes of Slicer have."""


def is_lesion(label: Label) -> bool:
    """Tell whether each component of a label is a lesion."""
    return (label.category.scheme, label.category.value) in LESION_CATEGORIES


def with_lesions(
    specification: ModelSpecification, measured: Sequence[Measurement]
) -> list[Measurement]:
    """Return the measurements of labels whose components are lesions."""
    values = {label.value for label in specification.labels if is_lesion(label)}
    return [measurement for measurement in measured if measurement.label in values]
