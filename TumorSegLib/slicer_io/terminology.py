"""Labels' codes in the text that 3D Slicer keeps with a segment."""

from __future__ import annotations

from dataclasses import dataclass

from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.specification import Label

CATEGORY_CONTEXT = "Segmentation category and type - TumorSeg"
DICOM_MASTER_LIST = "Segmentation category and type - DICOM master list"
"""The context that every 3D Slicer knows, with TumorSeg or without."""
REGION_CONTEXT = "Anatomic codes - DICOM master list"


TISSUE = CodedConcept("SCT", "85756007", "Tissue")
"""What a segment is of which nothing is known; 3D Slicer has the same default."""


@dataclass(frozen=True)
class Terminology:
    """What a segment is, in codes."""

    category: CodedConcept = TISSUE
    type: CodedConcept = TISSUE
    type_modifier: CodedConcept | None = None
    region: CodedConcept | None = None
    region_modifier: CodedConcept | None = None

    @property
    def given(self) -> tuple[CodedConcept, ...]:
        """All codes that there are."""
        further = (self.type_modifier, self.region, self.region_modifier)
        return (self.category, self.type, *(code for code in further if code is not None))


def terminology_of(entry: str) -> Terminology:
    """Return the codes in the value of a segment's tag `TerminologyEntry`; none is tissue."""
    parts = [*entry.split("~"), *[""] * 7]
    category, type_, modifier = (_parsed(part) for part in parts[1:4])
    if category is None or type_ is None:
        return Terminology()
    region = _parsed(parts[5])
    return Terminology(category, type_, modifier, region, _parsed(parts[6]) if region else None)


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


def _parsed(part: str) -> CodedConcept | None:
    code = [text.strip() for text in part.split("^")]
    return CodedConcept(code[0], code[1], code[2]) if len(code) == 3 and all(code) else None
