"""What is kept of a case for the tables: one row a segment, and what concerns the case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from TumorSegLib.cohort.case import Case
from TumorSegLib.cohort.case_folder import FORMAT, Record, sha256_of
from TumorSegLib.image.modality import modality_of
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.measurement.lesions import with_lesions
from TumorSegLib.measurement.segment import Measurement

FIGURES = (
    *("volume_ml", "components", "largest_component_ml"),
    *("longest_axial_diameter_mm", "longest_diameter_mm", "surface_mm2"),
    *("mean", "standard_deviation"),
)
"""Of a segment; docs/measurements.md says what they mean."""


def record_of(
    case: Case,
    fingerprint: str,
    result: SegmentationResult,
    measurements: Sequence[Measurement],
    warnings: Sequence[str],
    segmentation: Path,
) -> Record:
    """Return the record of a case that has been segmented.

    Args:
        case: that it is.
        fingerprint: of what it was made of.
        result: of the run.
        measurements: of every label.
        warnings: lines, without what tells of the patient.
        segmentation: file that was written.
    """
    specification = result.specification
    lesions = {one.label for one in with_lesions(specification, measurements)}
    return {
        "format": FORMAT,
        "case": case.name,
        "fingerprint": fingerprint,
        "segmentation": {"file": segmentation.name, "sha256": sha256_of(segmentation)},
        "chosen": case.chosen,
        "modality": modality_of(result.volume),
        "model": specification.id,
        "model_version": specification.version,
        "device": result.device,
        "precision": result.precision,
        "seconds": round(sum(result.seconds.values()) - result.seconds.get("loading", 0.0), 3),
        "slices": len(result.slices),
        "uncertainty": round(max((one.uncertainty for one in result.slices), default=0.0), 4),
        "correction_mm2": round(sum(one.correction_mm2 for one in result.slices), 2),
        "warnings": list(warnings),
        "segments": [_segment(one, is_lesion=one.label in lesions) for one in measurements],
    }


def _segment(measurement: Measurement, *, is_lesion: bool) -> dict[str, Any]:
    figures = {name: getattr(measurement, name) for name in FIGURES}
    about = {"segment": measurement.name, "label": measurement.label, "is_lesion": is_lesion}
    return about | figures
