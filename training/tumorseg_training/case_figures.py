"""A model's figures on one annotated case, on the original grid."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.case import Case, LabelledCase
from tumorseg_training.metrics import Agreement, agreement
from TumorSegLib.image.grid import AxialView, Vector
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.specification import Label, ModelSpecification

LEVELS = 256


@dataclass(frozen=True)
class Snapshot:
    """The axial slice on which finding and reference differ most.

    Attributes:
        index: of the slice, 0 is the most inferior.
        image: uint8 (h, w), the first channel as the network's normalisation shows it.
        found: uint8 (h, w), label values.
        reference: uint8 (h, w), label values.
        aspect: height of a pixel over its width.
    """

    index: int
    image: NDArray[np.uint8]
    found: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    aspect: float


@dataclass(frozen=True)
class CaseFigures:
    """A model's figures on one case.

    Attributes:
        case: its name.
        patient: whom it shows.
        structures: agreement by label name; empty for detectors.
        pixel_accuracy: part of all voxels with the right label; says little, see Dice.
        slice_scores: highest probability on each axial slice.
        slice_calls: whether the model marks anything on the slice.
        slice_truth: whether the reference does.
        histogram: (2, 256): voxels, and voxels of the structure, by quantised probability.
        seconds: of the run.
        snapshot: to look at; none for detectors.
        slice_mm: between slices; `nan` where it is not known.
        first_channel_alone: figures where only the model's first sequence was given, if measured.
    """

    case: str
    patient: str
    structures: Mapping[str, Agreement]
    pixel_accuracy: float
    slice_scores: NDArray[np.float64]
    slice_calls: NDArray[np.bool_]
    slice_truth: NDArray[np.bool_]
    histogram: NDArray[np.int64]
    seconds: float
    snapshot: Snapshot | None
    slice_mm: float = math.nan
    first_channel_alone: CaseFigures | None = None


def segmented(segmenter: Segmenter, case: Case, content: LabelledCase) -> CaseFigures:
    """Segment a case and compare it with its reference, as far as the case is annotated."""
    result = segmenter.segment(content.volumes)
    view = AxialView.of(result.volume.grid)
    model = segmenter.specification
    labels = annotated_labels(model, case.annotated)
    found, truth = (
        without_others(view.apply(values), labels) for values in (result.labelmap, content.labelmap)
    )
    figures = compared(
        case,
        labels,
        found=found,
        truth=truth,
        probabilities=[
            view.apply(part)
            for part, label in zip(result.probabilities, model.labels, strict=True)
            if label in labels
        ],
        spacing_zyx=view.spacing_zyx,
    )
    return replace(
        figures,
        seconds=sum(result.seconds.values()) - result.seconds.get("loading", 0.0),
        snapshot=_snapshot(model, view, view.apply(result.volume.voxels), found, truth),
    )


def annotated_labels(
    model: ModelSpecification, annotated: Collection[int] | None
) -> tuple[Label, ...]:
    """Return the labels of these values, in the model's order; None: all."""
    return tuple(label for label in model.labels if annotated is None or label.value in annotated)


def without_others(labelmap: NDArray[np.uint8], labels: Sequence[Label]) -> NDArray[np.uint8]:
    """Return a label map whose other values are those of the labels that include them, or 0."""
    kept = np.zeros(256, np.uint8)
    for label in sorted(labels, key=lambda label: -len(label.includes)):  # the smallest one counts
        kept[list(label.includes)] = label.value
    for label in labels:
        kept[label.value] = label.value
    return kept[labelmap]


def compared(
    case: Case,
    labels: Sequence[Label],
    *,
    found: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    probabilities: Sequence[NDArray[np.uint8]],
    spacing_zyx: Vector,
) -> CaseFigures:
    """Return a segmentation's figures, without the seconds it took or a snapshot.

    Args:
        case: that was segmented.
        labels: to compare.
        found: label values (z, y, x) of the axial view.
        truth: likewise.
        probabilities: 0 to 255, an array a label.
        spacing_zyx: mm.
    """
    structures = {}
    histogram = np.zeros((2, LEVELS), np.int64)
    for label, probability in zip(labels, probabilities, strict=True):
        reference = whole(truth, label)
        structures[label.name] = agreement(whole(found, label), reference, spacing_zyx)
        histogram[0] += np.bincount(probability.ravel(), minlength=LEVELS)
        histogram[1] += np.bincount(probability[reference], minlength=LEVELS)
    highest = np.max([part.max(axis=(1, 2)) for part in probabilities], axis=0)
    return CaseFigures(
        case=case.name,
        patient=case.patient,
        structures=structures,
        pixel_accuracy=float((found == truth).mean()),
        slice_scores=highest / (LEVELS - 1),
        slice_calls=_occupied(found),
        slice_truth=_occupied(truth),
        histogram=histogram,
        seconds=math.nan,
        snapshot=None,
        slice_mm=spacing_zyx[0],
    )


def detected(segmenter: Segmenter, case: Case, content: LabelledCase) -> CaseFigures:
    """Ask a detector about a case's slices and compare the answers with the reference."""
    result = segmenter.detect(content.volumes)
    truth = _occupied(AxialView.of(result.volume.grid).apply(content.labelmap))
    scores = np.array(result.probabilities)
    levels = np.round(scores * (LEVELS - 1)).astype(np.int64)
    histogram = np.stack(
        [np.bincount(levels, minlength=LEVELS), np.bincount(levels[truth], minlength=LEVELS)]
    )
    return CaseFigures(
        case=case.name,
        patient=case.patient,
        structures={},
        pixel_accuracy=math.nan,
        slice_scores=scores,
        slice_calls=scores >= segmenter.specification.labels[0].threshold,
        slice_truth=truth,
        histogram=histogram,
        seconds=sum(result.seconds.values()) - result.seconds.get("loading", 0.0),
        snapshot=None,
    )


def whole(labelmap: NDArray[np.uint8], label: Label) -> NDArray[np.bool_]:
    """Return where a structure or one of its parts is."""
    return np.isin(labelmap, (label.value, *label.includes))


def _occupied(labelmap: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which slices hold anything."""
    return np.asarray(labelmap.any(axis=(1, 2)))


def _snapshot(
    model: ModelSpecification,
    view: AxialView,
    voxels: NDArray[Any],
    found: NDArray[np.uint8],
    truth: NDArray[np.uint8],
) -> Snapshot:
    index = int(np.argmax((found != truth).sum(axis=(1, 2))))
    shown = model.input.normalisation.fit(voxels).apply(voxels[index])
    return Snapshot(
        index,
        (shown * 255).astype(np.uint8),
        found[index].copy(),
        truth[index].copy(),
        view.spacing_zyx[1] / view.spacing_zyx[2],
    )
