"""A model measured on annotated cases, by the pipeline that users run, on the original grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tumorseg_training.case import Case, LabelledCase, SkippedCase
from tumorseg_training.case_figures import CaseFigures, detected, segmented
from tumorseg_training.labelling import LabelError
from TumorSegLib.cohort.settings import WorkSharing
from TumorSegLib.errors import InputError
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue, default_catalogue
from TumorSegLib.model.specification import ModelSpecification

Report = Callable[[str], None]


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

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the model's labels that were measured: all, or as far as cases are annotated."""
        return tuple(self.cases[0].structures)

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
    work: WorkSharing | None = None,
    first_channel_alone: bool = False,
) -> Evaluation:
    """Run a model on every case and compare; cases that cannot be measured are listed.

    Args:
        bundle: the model.
        cases: annotated ones.
        device: see `Segmenter`.
        precision: see `Segmenter`.
        catalogue: where an ensemble's members are found; the default one if not given.
        report: takes lines for the user.
        work: shared out among workers on Ray; None: all is done in this process.
        first_channel_alone: also measure with the first sequence alone, where the model looks at
            several, can do without the others, and a case has them.

    Raises:
        ModelError: the model cannot be used.
        TumorSegError: there is no Ray, or no worker comes up.
        LabelError: a case has label values that the model does not know.
        InputError: no case could be measured.
    """
    found: dict[int, CaseFigures | SkippedCase] = {}
    measurer = Measurer(bundle, catalogue, device, precision, first_channel_alone)
    with closing(_answers(measurer, list(enumerate(cases)), work)) as answers:
        for number, answer in answers:
            if isinstance(answer, LabelError):
                raise answer
            found[number] = answer
            if report is not None:
                report(_line(answer))
    ordered = [found[number] for number in sorted(found)]
    figures = tuple(one for one in ordered if isinstance(one, CaseFigures))
    failed = tuple(one for one in ordered if isinstance(one, SkippedCase))
    if not figures:
        reason = f"; {failed[0].name}: {failed[0].reason}" if failed else ""
        raise InputError(f"model {bundle.id}: no case could be measured{reason}")
    if report is not None and (line := _never_shown(figures)):
        report(f"warning: {bundle.id}: {line}")
    return Evaluation(bundle.id, bundle.specification, figures, failed)


Numbered = tuple[int, Case]
"""A case and its place in the data set."""
Answer = tuple[int, CaseFigures | SkippedCase | LabelError]


@dataclass(frozen=True)
class Measurer:
    """Measures a model on case after case, in this process or in a worker's."""

    bundle: Bundle
    catalogue: Catalogue | None
    device: str
    precision: str
    first_channel_alone: bool = False

    def __call__(self, threads: int) -> Measurer:
        """Get a worker ready."""
        import torch

        from TumorSegLib.support.allocator import keep_large_blocks

        keep_large_blocks()
        torch.set_num_threads(threads)
        _ = self._segmenter
        return self

    def run(self, task: Numbered) -> Answer:
        """Measure the model on a case."""
        number, case = task
        segmenter = self._segmenter
        measured = detected if segmenter.specification.task == "detection" else segmented
        try:
            content = case.decode()
            figures = measured(segmenter, case, content)
            if self.first_channel_alone and (first := _first_channel(self.bundle, content)):
                alone = replace(measured(segmenter, case, first), snapshot=None)
                figures = replace(figures, first_channel_alone=alone)
            return number, figures
        except LabelError as error:
            return number, error
        except (InputError, RuntimeError, ValueError) as error:
            return number, SkippedCase(case.name, " ".join(str(error).split()))
        except Exception as error:  # a fault of ours, which must not stop the others
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return number, SkippedCase(case.name, f"unexpected fault, please report it: {reason}")

    @cached_property
    def _segmenter(self) -> Segmenter:
        return Segmenter(
            self.bundle, device=self.device, precision=self.precision, catalogue=self.catalogue
        )


def _first_channel(bundle: Bundle, content: LabelledCase) -> LabelledCase | None:
    """Return the case with the model's first sequence alone.

    None if it has no other that the model looks at, or the model cannot do without.
    """
    given = bundle.specification.input
    first, *others = (channel.name for channel in given.channels)
    if content.volumes.keys().isdisjoint(others):
        return None
    if any(given.stand_in(name, {first}) is None for name in others):
        return None
    return replace(content, volumes={first: content.volumes[first]})


def _answers(
    measurer: Measurer, tasks: Sequence[Numbered], work: WorkSharing | None
) -> Generator[Answer, None, None]:
    if work is None:
        yield from map(measurer.run, tasks)
        return
    from TumorSegLib.cohort.ray_pool import answers

    catalogue = (measurer.catalogue or default_catalogue()).absolute()
    measurer = replace(measurer, bundle=measurer.bundle.absolute(), catalogue=catalogue)
    yield from answers(tasks, measurer, _gone, work)


def _gone(task: Numbered, reason: str) -> Answer:
    number, case = task
    return number, SkippedCase(case.name, reason)


def _never_shown(figures: Sequence[CaseFigures]) -> str:
    """Return what to say of structures that no reference shows; "" where each shows somewhere."""
    if not any(one.slice_truth.any() for one in figures):
        return (
            "no annotation shows a structure of the model's, so the figures tell of false alarms"
            " alone; look at the mapping of labels if that is not meant"
        )
    never = [
        name
        for name in figures[0].structures
        if not any(one.structures[name].reference_ml for one in figures)
    ]
    if not never:
        return ""
    return (
        f"no annotation shows {', '.join(never)}, so those figures tell of false alarms alone;"
        " `tumorseg evaluate --annotated` leaves out what a data set was not looked through for"
    )


def worst_cases(evaluation: Evaluation) -> list[CaseFigures]:
    """Return the five cases with the lowest mean Dice, the worst first."""
    return sorted(evaluation.cases, key=mean_dice)[:5]


def mean_dice(case: CaseFigures) -> float:
    """Return a case's mean Dice over structures."""
    return _mean([found.dice for found in case.structures.values()])


def _line(case: CaseFigures | SkippedCase) -> str:
    if isinstance(case, SkippedCase):
        return f"left out: {case.name}: {case.reason}"
    shown = [f"{name} Dice {found.dice:.3f}" for name, found in case.structures.items()]
    if not shown:
        shown = [f"slices right {(case.slice_calls == case.slice_truth).mean():.0%}"]
    return f"{case.case}: {', '.join(shown)}; {case.seconds:.1f} s"


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
