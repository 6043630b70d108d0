"""The figures of an evaluation over all patients, with intervals, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.case_figures import LEVELS, CaseFigures
from tumorseg_training.evaluation import Evaluation
from tumorseg_training.metrics import LESION_ML, LesionCounts, roc_auc
from tumorseg_training.statistics import THIRDS, between, compare, estimate, interval
from TumorSegLib.model.evaluation import Evaluation as ModelEvaluation
from TumorSegLib.support.schema import from_dict

MEASURES = (
    "iou",
    "sensitivity",
    "precision",
    "hd95_mm",
    "surface_dice",
    "volume_error_ml",
    "volume_error",
)
DERIVED = ("volume_error_ml", "volume_error", "lesions", "lesions_found", "false_lesions")
LOW_DICE = 0.6
"""Cards say how many patients are under it."""
CALIBRATION_BINS = 10
LEAST_IN_THIRDS = 9
"""Cases with a structure, of which thirds by its volume say something."""
SLICE_MM = (2.0, 4.0)
"""Between thin, usual and thick slices."""
SLICE_RESAMPLES = 500


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures over all patients, with intervals; `nan` becomes null."""
    labels = evaluation.structures
    result: dict[str, Any] = {
        "model": evaluation.name,
        "version": evaluation.model.version,
        "cases": len(evaluation.cases),
        "patients": len({case.patient for case in evaluation.cases}),
        "structures": {},
    }
    if evaluation.model.task == "segmentation":
        for label in labels:
            result["structures"][label] = _structure(evaluation, label)
        accuracy = estimate([case.pixel_accuracy for case in evaluation.cases])
        result["pixel_accuracy"] = asdict(accuracy)
        result["strata"] = [row for label in labels for row in _strata(evaluation, label)]
    result["slices"] = slice_figures(evaluation.cases)
    alone = tuple(case.first_channel_alone for case in evaluation.cases if case.first_channel_alone)
    if alone:
        measured = replace(evaluation, cases=alone)
        result["first_channel_alone"] = {
            name: _structure(measured, name) for name in result["structures"]
        }
        result["slices_first_channel_alone"] = slice_figures(alone)
    result["calibration"] = calibration(evaluation.cases)
    result["seconds_per_case"] = asdict(estimate([case.seconds for case in evaluation.cases]))
    return _without_nan(result)  # type: ignore[no-any-return]


def evaluation_record(figures: Mapping[str, Any], measured_on: str, **more: Any) -> ModelEvaluation:
    """Return figures as a model records them.

    Args:
        figures: of `summary`.
        measured_on: whom, in words.
        **more: further fields of the record.

    Raises:
        SchemaError: the figures are not those of `summary`.
    """
    return from_dict(ModelEvaluation, {**figures, "measured_on": measured_on, **more})


def details(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return every case's figures."""
    rows: list[dict[str, Any]] = []
    for case in evaluation.cases:
        structures = {
            name: asdict(found) | {figure: getattr(found, figure) for figure in DERIVED}
            for name, found in case.structures.items()
        }
        rows.append(
            {
                "case": case.case,
                "patient": case.patient,
                "structures": structures,
                "pixel_accuracy": case.pixel_accuracy,
                "seconds": case.seconds,
            }
        )
        if case.first_channel_alone:
            alone = case.first_channel_alone.structures
            rows[-1]["first_channel_alone"] = {name: alone[name].dice for name in alone}
    return _without_nan(rows)  # type: ignore[no-any-return]


def dice_figures(dice: Mapping[str, float]) -> dict[str, Any]:
    """Return the figures of the patients' Dice, and how many are low."""
    low = sum(value < LOW_DICE for value in dice.values())
    return asdict(estimate(list(dice.values()))) | {"under_0_6": low}


def slice_figures(cases: Sequence[CaseFigures]) -> dict[str, Any]:
    """Return how well slices with a structure are told from those without, with intervals.

    Intervals come from drawing patients, not slices: slices of one patient are alike.
    """

    def pooled(measure: Callable[[Sequence[CaseFigures]], float]) -> dict[str, float]:
        groups: dict[str, list[CaseFigures]] = {}
        for case in cases:
            groups.setdefault(case.patient, []).append(case)
        patients = list(groups.values())

        def of_drawn(picked: NDArray[np.intp]) -> float:
            return measure([case for index in picked for case in patients[index]])

        low, high = interval(np.arange(len(patients)), of_drawn, SLICE_RESAMPLES)
        return {"value": measure(cases), "low": low, "high": high}

    return {
        "slices": int(sum(len(case.slice_truth) for case in cases)),
        "with_structure": int(sum(case.slice_truth.sum() for case in cases)),
        "accuracy": pooled(_slice_accuracy),
        "roc_auc": pooled(_slice_auc),
        "sensitivity": pooled(partial(_slice_rate, present=True)),
        "specificity": pooled(partial(_slice_rate, present=False)),
    }


def calibration(cases: Sequence[CaseFigures]) -> dict[str, Any]:
    """Return how often the structure is there, by the probability that the model gave.

    Voxels whose probability rounds to 0 are left out: they are almost all, and would make any
    model look calibrated.
    """
    voxels, true = np.sum([case.histogram for case in cases], axis=0)
    probability = np.arange(LEVELS) / (LEVELS - 1)
    bins = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    rows = []
    for number in range(CALIBRATION_BINS):
        here = (bins == number) & (np.arange(LEVELS) > 0)
        count = int(voxels[here].sum())
        rows.append(
            {
                "voxels": count,
                "probability": float((voxels * probability)[here].sum() / max(1, count)),
                "frequency": float(true[here].sum() / max(1, count)),
            }
        )
    everything = max(1, sum(row["voxels"] for row in rows))
    error = sum(row["voxels"] * abs(row["probability"] - row["frequency"]) for row in rows)
    return {"expected_calibration_error": error / everything, "bins": rows}


def comparisons(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Compare each pair of models by the patients' Dice, structure by structure."""
    rows = []
    for place, first in enumerate(evaluations):
        for second in evaluations[place + 1 :]:
            for name in first.structures:
                if name not in second.structures:
                    continue
                one, two = (item.by_patient(name, "dice") for item in (first, second))
                patients = sorted(one.keys() & two.keys())
                if not patients:
                    continue
                found = compare([one[p] for p in patients], [two[p] for p in patients])
                rows.append(
                    {"structure": name, "first": first.name, "second": second.name} | asdict(found)
                )
    return _without_nan(rows)  # type: ignore[no-any-return]


def _structure(evaluation: Evaluation, label: str) -> dict[str, Any]:
    """Return a structure's figures over all patients."""
    figures: dict[str, Any] = {"dice": dice_figures(evaluation.by_patient(label, "dice"))}
    for measure in MEASURES:
        figures[measure] = asdict(estimate(list(evaluation.by_patient(label, measure).values())))
    return figures | {"lesions": _lesions(evaluation, label)}


def _lesions(evaluation: Evaluation, label: str) -> dict[str, Any]:
    """Return how many lesions were found and marked falsely: of all, and by their own volume."""
    cases = [case.structures[label].lesions_by_volume for case in evaluation.cases]
    limits = zip(LESION_ML, (*LESION_ML[1:], None), strict=True)
    by_volume = [
        {"from_ml": least, "below_ml": below} | _detection(counts, len(cases))
        for (least, below), counts in zip(limits, zip(*cases, strict=True), strict=True)
    ]
    everything = [counts for case in cases for counts in case]
    return _detection(everything, len(cases)) | {"by_volume": by_volume}


def _strata(evaluation: Evaluation, label: str) -> list[dict[str, Any]]:
    """Return a structure's Dice by its own volume, in thirds, and by the distance of slices."""
    cases = [case for case in evaluation.cases if case.structures[label].reference_ml > 0]
    volumes = [case.structures[label].reference_ml for case in cases]
    divided = []
    if len(cases) >= LEAST_IN_THIRDS:
        divided.append(("ml", between(np.quantile(volumes, THIRDS), volumes)))
    divided.append(("mm between slices", between(SLICE_MM, [case.slice_mm for case in cases])))
    rows = []
    for unit, groups in divided:
        taken = [(text, places) for text, places in groups if places]
        for text, places in taken if len(taken) > 1 else ():
            group = replace(evaluation, cases=tuple(cases[place] for place in places))
            dice = dice_figures(group.by_patient(label, "dice"))
            rows.append({"by": f"{label}, {unit}", "group": text, "dice": dice})
    return rows


def _detection(counts: Sequence[LesionCounts], cases: int) -> dict[str, Any]:
    reference = sum(count.reference for count in counts)
    found = sum(count.found for count in counts)
    return {
        "reference": reference,
        "found": found,
        "detection_rate": found / reference if reference else None,
        "false_per_case": sum(count.false for count in counts) / cases,
    }


def _slice_accuracy(cases: Sequence[CaseFigures]) -> float:
    right = np.concatenate([case.slice_calls == case.slice_truth for case in cases])
    return float(right.mean())


def _slice_auc(cases: Sequence[CaseFigures]) -> float:
    scores = np.concatenate([case.slice_scores for case in cases])
    return roc_auc(scores, np.concatenate([case.slice_truth for case in cases]))


def _slice_rate(cases: Sequence[CaseFigures], *, present: bool) -> float:
    calls = np.concatenate([case.slice_calls[case.slice_truth == present] for case in cases])
    return float((calls == present).mean()) if calls.size else math.nan


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value
