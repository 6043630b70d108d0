"""A run in plain values: what `--json` prints, and what a cohort keeps of each case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from TumorSegLib.image.modality import modality_known_by, modality_of
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.measurement.derived import derive
from TumorSegLib.measurement.lesions import with_lesions
from TumorSegLib.measurement.segment import Measurement
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.version import JSON_FORMAT


def summary(
    result: SegmentationResult,
    measurements: Sequence[Measurement],
    outputs: Sequence[Path],
    report: list[Path],
    structured: Path | None = None,
) -> dict[str, Any]:
    """Return a run as plain values, which `--json` prints; docs/json.md has the fields."""
    return {
        "format": JSON_FORMAT,
        "volume": result.volume.name,
        "modality": modality_of(result.volume),
        "modality_known_by": modality_known_by(result.volume),
        "model": result.specification.id,
        "model_version": result.specification.version,
        "device": result.device,
        "precision": result.precision,
        "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
        "segments": _segments(result.specification, measurements),
        "derived": [asdict(value) for value in derive(result.specification.derived, measurements)],
        "slices": [asdict(figure) for figure in result.slices],
        "warnings": list(result.warnings),
        "output": str(outputs[0]),
        "outputs": [str(output) for output in outputs],
        "structured_report": None if structured is None else str(structured),
        "report": [str(path) for path in report],
    }


def _segments(
    specification: ModelSpecification, measurements: Sequence[Measurement]
) -> list[dict[str, Any]]:
    """Return the segments, and one by one the components of those that are lesions."""
    lesions = {measurement.label for measurement in with_lesions(specification, measurements)}
    segments = []
    for measurement in measurements:
        segment = asdict(measurement)
        parts = segment.pop("parts")
        segments.append(segment | {"lesions": parts if measurement.label in lesions else []})
    return segments


def sequences_given(
    specification: ModelSpecification, volumes: Mapping[str, Volume]
) -> tuple[str, ...]:
    """Return the titles of the sequences that a model of several was given."""
    channels = specification.input.channels
    if len(channels) == 1:
        return ()
    return tuple(channel.title for channel in channels if channel.name in volumes)
