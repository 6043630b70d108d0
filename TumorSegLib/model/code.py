"""Coded concepts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CodedConcept:
    """A coded concept, DICOM PS3.3 section 8: scheme ("SCT" is SNOMED CT), value, meaning."""

    scheme: str
    value: str
    meaning: str
