"""Labels' codes in the text that 3D Slicer keeps with a segment."""

from __future__ import annotations

from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.specification import Label

CATEGORY_CONTEXT = "Segmentation category and type - TumorSeg"
DICOM_MASTER_LIST = "Segmentation category and type - DICOM master list"
"""The context that every 3D Slicer knows, with TumorSeg or without."""
REGION_CONTEXT = "Anatomic codes - DICOM master list"


def terminology_entry(label: Label, *, context: str = CATEGORY_CONTEXT) -> str:
    """Return the value of a segment's tag `TerminologyEntry`.

    Its parts, set apart by `~`: context, category, type, type's modifier, context of the region,
    region, region's modifier; a code is `scheme^value^meaning`.
    """
    codes = (label.category, label.type, None)
    regions = (label.region, None)
    return "~".join([context, *map(_code, codes), REGION_CONTEXT, *map(_code, regions)])


def _code(code: CodedConcept | None) -> str:
    return f"{code.scheme}^{code.value}^{code.meaning}" if code else "^^"
