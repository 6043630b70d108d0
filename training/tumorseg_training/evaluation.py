"""A model measured on annotated cases, by the pipeline that users run, on the original grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.case import Case, LabelledCase, SkippedCase
from tumorseg_training.labelling import LabelError
from tumorseg_training.metrics import Agreement, agreement
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, Vector
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.specification import Label, ModelSpecification

Report = Callable[[str], None]

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


@dataclass(frozen=True)
class Evaluation:
    """A model's figures on a data set.

    Attributes:
        name: what to call the model beside others.
        model: its specification.
        cases: in the order of the data set.
        failed: cases that could not be measured, and why.
    """

    name: str
    model: ModelSpecification
    cases: tuple[CaseFigures, ...]
    failed: tuple[SkippedCase, ...] = ()

    def by_patient(self, label: str, measure: str) -> dict[str, float]:
        """Return a figure of each patient, the mean over the patient's cases."""
        values: dict[str, list[float]] = {}
        for case in self.cases:
            value = float(getattr(case.structures[label], measure))
            values.setdefault(case.patient, []).append(value)
        return {patient: _mean(found) for patient, found in values.items()}


def evaluate(
    bundle: Bundle,
    cases: Iterable[Case],
    *,
    device: str = "auto",
    precision: str = "auto",
    catalogue: Catalogue | None = None,
    report: Report | None = None,
) -> Evaluation:
    """Run a model on every case and compare; cases that cannot be measured are listed.

    Args:
        bundle: the model.
        cases: annotated ones.
        device: see `Segmenter`.
        precision: see `Segmenter`.
        catalogue: where an ensemble's members are found; the default one if not given.
        report: takes lines for the user.

    Raises:
        ModelError: the model cannot be used.
        LabelError: a case has label values that the model does not know.
        InputError: no case could be measured.
    """
    segmenter = Segmenter(bundle, device=device, precision=precision, catalogue=catalogue)
    measured = detected if bundle.specification.task == "detection" else segmented
    figures: list[CaseFigures] = []
    failed: list[SkippedCase] = []
    for case in cases:
        try:
            found = measured(segmenter, case, case.decode())
        except LabelError:
            raise
        except (InputError, RuntimeError, ValueError) as error:
            failed.append(SkippedCase(case.name, " ".join(str(error).split())))
            if report is not None:
                report(f"left out: {case.name}: {failed[-1].reason}")
            continue
        figures.append(found)
        if report is not None:
            report(_line(found))
    if not figures:
        reason = f"; {failed[0].name}: {failed[0].reason}" if failed else ""
        raise InputError(f"model {bundle.id}: no case could be measured{reason}")
    return Evaluation(bundle.id, bundle.specification, tuple(figures), tuple(failed))


def segmented(segmenter: Segmenter, case: Case, content: LabelledCase) -> CaseFigures:
    """Segment a case and compare it with its reference."""
    result = segmenter.segment(content.volumes)
    view = AxialView.of(result.volume.grid)
    found, truth = view.apply(result.labelmap), view.apply(content.labelmap)
    model = segmenter.specification
    figures = compared(
        case,
        model,
        found=found,
        truth=truth,
        probabilities=[view.apply(part) for part in result.probabilities],
        spacing_zyx=view.spacing_zyx,
    )
    return replace(
        figures,
        seconds=sum(result.seconds.values()) - result.seconds.get("loading", 0.0),
        snapshot=_snapshot(model, view, view.apply(result.volume.voxels), found, truth),
    )


def compared(
    case: Case,
    model: ModelSpecification,
    *,
    found: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    probabilities: Sequence[NDArray[np.uint8]],
    spacing_zyx: Vector,
) -> CaseFigures:
    """Return a segmentation's figures, without the seconds it took or a snapshot.

    Args:
        case: that was segmented.
        model: whose labels are compared.
        found: label values (z, y, x) of the axial view.
        truth: likewise.
        probabilities: 0 to 255, an array a label.
        spacing_zyx: mm.
    """
    structures = {}
    histogram = np.zeros((2, LEVELS), np.int64)
    for label, probability in zip(model.labels, probabilities, strict=True):
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


def worst_cases(evaluation: Evaluation, count: int = 5) -> list[CaseFigures]:
    """Return the cases with the lowest mean Dice, the worst first."""
    return sorted(evaluation.cases, key=mean_dice)[:count]


def mean_dice(case: CaseFigures) -> float:
    """Return a case's mean Dice over structures."""
    return _mean([found.dice for found in case.structures.values()])


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


def _line(case: CaseFigures) -> str:
    shown = [f"{name} Dice {found.dice:.3f}" for name, found in case.structures.items()]
    if not shown:
        shown = [f"slices right {(case.slice_calls == case.slice_truth).mean():.0%}"]
    return f"{case.case}: {', '.join(shown)}; {case.seconds:.1f} s"


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
