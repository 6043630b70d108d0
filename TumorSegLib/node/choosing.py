"""What is done with a series that is complete, and of which images its case is made."""

from __future__ import annotations

import time
from dataclasses import dataclass

from TumorSegLib.cohort.case import FIRST, Case, Source
from TumorSegLib.cohort.dicom_cases import source_of
from TumorSegLib.cohort.series_choice import Series, choose, fault_of
from TumorSegLib.errors import InputError
from TumorSegLib.node.image_store import ImageStore
from TumorSegLib.node.queue import Queue
from TumorSegLib.node.queue_tables import ENDED, RECEIVING, SeriesRow
from TumorSegLib.node.rules import Assignment, Rules, Said
from TumorSegLib.reading.dicom_files import list_dicom


@dataclass(frozen=True)
class Passed:
    """That a series is not segmented, and why in a line."""

    reason: str
    key: str


class Chooser:
    """Looks at the images of series that are complete."""

    def __init__(self, queue: Queue, store: ImageStore, rules: Rules, study_quiet: float) -> None:
        self._queue, self._store, self._rules = queue, store, rules
        self._study_quiet = study_quiet

    def assignment_for(self, row: SeriesRow) -> Assignment | Passed | None:
        """Return what is done with a series; None: others of its study are waited for.

        Raises:
            InputError: its images are damaged.
        """
        series = self._series(row)
        assignment = self._assignment(series)
        if assignment.bundle is None:
            reason = (
                f"rule {assignment.rule} passes it over" if assignment.rule else "no rule fits it"
            )
            return Passed(reason, assignment.key)
        model = assignment.bundle.specification
        if fault := fault_of(series, model):
            return Passed(f"not for {model.id}: {fault}", assignment.key)
        if len(model.input.channels) == 1:
            return assignment
        if not self._is_whole(row.study):
            return None
        choice = choose(self._study(row), model)
        first = model.input.channels[0].name
        if not choice.series:
            return Passed(choice.reason, assignment.key)
        if choice.series[first].uid != row.uid:
            return Passed(
                "another series of its study is segmented, or a channel of it", assignment.key
            )
        return assignment

    def case_of(self, row: SeriesRow) -> Case:
        """Return the case of a series that waits for its model.

        Raises:
            InputError: its images are damaged, or its model is gone.
        """
        series = self._series(row)
        bundle = self._rules.catalogue.find(row.model)
        channels = bundle.specification.input.channels
        sources: dict[str, Source] = {FIRST: source_of(series)}
        chosen = ""
        if len(channels) > 1:
            choice = choose(self._study(row), bundle.specification)
            chosen = choice.reason
            if choice.series:
                sources = {name: source_of(one) for name, one in choice.series.items()}
        return Case(row.name, sources, row.modality, row.model, chosen, is_private=True)

    def _assignment(self, series: Series) -> Assignment:
        first = series.files[0]
        part = first.header.text("BodyPartExamined")
        return self._rules.assignment_for(Said(first.modality, part, first.description))

    def _series(self, row: SeriesRow) -> Series:
        folder = self._store.folder(row.uid)
        files, _ = list_dicom(folder)
        if not files:
            raise InputError("has no image")
        return Series(folder, row.uid, tuple(files))

    def _study(self, row: SeriesRow) -> list[Series]:
        rows = [one for one in self._queue.study(row.study) if one.modality == row.modality]
        return [self._series(one) for one in rows if self._queue.images(one.id)]

    def _is_whole(self, study: str) -> bool:
        """Tell whether nothing more of a study is expected."""
        series = self._queue.study(study)
        last = max(one.arrived for one in series)
        broken = any(one.state == RECEIVING and self._waits(one) for one in series)
        return last + self._study_quiet <= time.time() and not broken

    def _waits(self, row: SeriesRow) -> bool:
        return row.connection != ENDED or self._queue.missing(row.id)[0] > 0
