"""What the figures are called, their units, and DICOM's codes for both.

Volume, surface, mean and standard deviation have the codes of Slicer's module Segment Statistics,
the diameters those of DICOM's CID 7470 (Linear Measurement), units those of CID 7460 to 7462, in
which a millilitre is a cubic centimetre. DICOM structured reports are written with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from TumorSegLib.model.code import CodedConcept

MILLILITRE = CodedConcept("UCUM", "cm3", "cubic centimeter")
MILLIMETRE = CodedConcept("UCUM", "mm", "millimeter")
SQUARE_MILLIMETRE = CodedConcept("UCUM", "mm2", "square millimeter")


@dataclass(frozen=True)
class Quantity:
    """A figure of a segment or component.

    Attributes:
        title: for people.
        unit: for people; empty if it has none or the volume's own.
        code: of the concept.
        unit_code: of the unit; None where it is that of the volume's voxels.
    """

    title: str
    unit: str
    code: CodedConcept
    unit_code: CodedConcept | None


QUANTITIES = {
    "volume_ml": Quantity("Volume", "ml", CodedConcept("SCT", "118565006", "Volume"), MILLILITRE),
    "surface_mm2": Quantity(
        "Surface area",
        "mm²",
        CodedConcept("99CHEMINF", "000247", "Surface area"),
        SQUARE_MILLIMETRE,
    ),
    "longest_axial_diameter_mm": Quantity(
        "Longest axial diameter", "mm", CodedConcept("SCT", "103339001", "Long Axis"), MILLIMETRE
    ),
    "perpendicular_diameter_mm": Quantity(
        "Perpendicular diameter", "mm", CodedConcept("SCT", "103340004", "Short Axis"), MILLIMETRE
    ),
    "longest_diameter_mm": Quantity(
        "Longest 3-D diameter",
        "mm",
        CodedConcept("IBSI", "L0JK", "Maximum 3D Diameter of a Mesh"),
        MILLIMETRE,
    ),
    "mean": Quantity("Mean", "", CodedConcept("SCT", "373098007", "Mean"), None),
    "standard_deviation": Quantity(
        "Standard deviation", "", CodedConcept("SCT", "386136009", "Standard Deviation"), None
    ),
}
"""By the name of the figure in `Measurement` and `Component`."""


def shown(value: float) -> str:
    """Return a figure with as many digits as it is worth: 1534, 12.3, 0.35, 0.0017.

    Whole numbers are shown alone. What is small but there is not shown as 0.
    """
    if isinstance(value, int):
        return str(value)
    size = abs(value)
    if 0 < size < 0.00995:
        return f"{value:.2g}"
    return f"{value:.{0 if size >= 99.95 else 1 if size >= 9.995 else 2}f}"


def shown_mean(mean: float, deviation: float | None) -> str:
    """Return a mean with its standard deviation: 105 ± 20 of CT, 0.35 ± 0.02 of small numbers."""
    both = [mean] if deviation is None else [mean, deviation]
    whole = max(map(abs, both)) >= 9.5
    return " ± ".join(f"{value:.0f}" if whole else shown(value) for value in both)
