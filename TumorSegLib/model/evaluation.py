"""How well a model did, as its `model.json` records it: for cards, the panel and comparisons.

`None` is a figure that was not measured or is not defined, where no patient has a structure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PatientMean:
    """A mean over patients, with its 95 % interval by bootstrap over patients.

    Attributes:
        mean: over the patients for whom the figure is defined.
        low: lower end of the interval.
        high: its upper end.
        median: of the patients.
        patients: how many there are.
        under_0_6: how many of them are below 0.6.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    median: float | None = None
    patients: int = 0
    under_0_6: int | None = None


@dataclass(frozen=True)
class Rate:
    """A share over slices, with its 95 % interval by bootstrap over patients."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LesionsOfVolume:
    """Separate components from one volume on and below another, as `Lesions` counts them all.

    Found ones are counted by the volume of the reference's component, false ones by their own.
    """

    from_ml: float
    reference: int
    found: int
    false_per_case: float
    detection_rate: float | None = None
    below_ml: float | None = None


@dataclass(frozen=True)
class Lesions:
    """Separate components of a structure: in the reference, found, and marked falsely a case."""

    reference: int
    found: int
    false_per_case: float
    detection_rate: float | None = None
    by_volume: tuple[LesionsOfVolume, ...] = ()


def volume_range(from_ml: float, below_ml: float | None) -> str:
    """Return in words which volumes `LesionsOfVolume` are of."""
    if below_ml is None:
        return f"{from_ml:g} ml and more"
    return f"{from_ml:g} to {below_ml:g} ml" if from_ml else f"under {below_ml:g} ml"


@dataclass(frozen=True)
class StructureEvaluation:
    """One label's agreement with the reference.

    Attributes:
        dice: overlap, 0 to 1.
        iou: intersection over union, 0 to 1.
        sensitivity: part of the reference's voxels that the model marked.
        precision: part of the marked voxels that are the reference's.
        hd95_mm: 95th percentile of the surfaces' distances.
        surface_dice: part of the surfaces within the tolerance.
        volume_error_ml: of the marked volume, absolute.
        volume_error: the same as a part of the reference's volume.
        lesions: separate components.
    """

    dice: PatientMean = field(default_factory=PatientMean)
    iou: PatientMean | None = None
    sensitivity: PatientMean | None = None
    precision: PatientMean | None = None
    hd95_mm: PatientMean | None = None
    surface_dice: PatientMean | None = None
    volume_error_ml: PatientMean | None = None
    volume_error: PatientMean | None = None
    lesions: Lesions | None = None


@dataclass(frozen=True)
class SliceEvaluation:
    """How well slices with a structure are told from those without."""

    slices: int
    with_structure: int
    accuracy: Rate = field(default_factory=Rate)
    roc_auc: Rate = field(default_factory=Rate)
    sensitivity: Rate = field(default_factory=Rate)
    specificity: Rate = field(default_factory=Rate)


@dataclass(frozen=True)
class CalibrationBin:
    """Voxels whose probability lies in one tenth: their mean probability, and how often it held."""

    voxels: int
    probability: float
    frequency: float


@dataclass(frozen=True)
class Calibration:
    """What a probability is worth, over all voxels that got more than 0."""

    expected_calibration_error: float
    bins: tuple[CalibrationBin, ...] = ()


@dataclass(frozen=True)
class Stratum:
    """Patients of one group: by what they are grouped, which group, how well it went."""

    by: str
    group: str
    dice: PatientMean


@dataclass(frozen=True)
class Evaluation:
    """How well a model did on patients that it, or a model of the same recipe, never saw.

    Attributes:
        measured_on: whom, in words.
        patients: how many.
        cases: their volumes.
        model: id of the model that was measured.
        version: of that model.
        structures: by label name; empty for detectors.
        slices: whether slices show anything.
        calibration: of the probabilities.
        pixel_accuracy: part of all voxels that are right.
        seconds_per_case: on the machine that measured.
        first_channel_alone: by label name, where only the first sequence was given.
        slices_first_channel_alone: whether slices show anything, by the first sequence alone.
        strata: by groups of patients.
        by_patient: figures of each patient.
        settings_of_folds: what was chosen for each fold on the other folds.
        comparison: of a retrained model with its base.
        further: what else was noted.
    """

    measured_on: str = ""
    patients: int = 0
    cases: int = 0
    model: str = ""
    version: str = ""
    structures: Mapping[str, StructureEvaluation] = field(default_factory=dict)
    slices: SliceEvaluation | None = None
    calibration: Calibration | None = None
    pixel_accuracy: PatientMean | None = None
    seconds_per_case: PatientMean | None = None
    first_channel_alone: Mapping[str, StructureEvaluation] = field(default_factory=dict)
    slices_first_channel_alone: SliceEvaluation | None = None
    strata: tuple[Stratum, ...] = ()
    by_patient: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    settings_of_folds: tuple[Mapping[str, Any], ...] = ()
    comparison: Mapping[str, Any] = field(default_factory=dict)
    further: Mapping[str, Any] = field(default_factory=dict)
