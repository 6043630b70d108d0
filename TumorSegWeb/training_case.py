"""What the page would export for retraining: the panel's choice, its labels and its notes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from TumorSegLib.errors import InputError
from TumorSegLib.export.dataset_name import dataset_name
from TumorSegLib.export.labelling import LEAVE_OUT
from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic.export_choice import (
    bundle_to_export,
    case_to_export,
    segmentations_to_export,
    unknown_names,
)
from TumorSegModule.logic.exporter import Order
from TumorSegModule.logic.selection import Selection
from TumorSegWeb.faults import Faults

if TYPE_CHECKING:
    from trame_server.state import State


class TrainingCase:
    """Shows what would be exported, and asks which label each other segment is.

    Attributes:
        problems: a line for each case that the last order left out.
    """

    def __init__(self, state: State, selection: Selection, faults: Faults) -> None:
        """Choose among what `selection` has."""
        self._state, self._selection = state, selection
        self._mapping: dict[str, str] = {}
        self.problems: list[str] = []
        state.ts_training_open = state.ts_training_all = state.ts_training_ready = False
        state.ts_training_note, state.ts_training_count = "", 0
        state.ts_training_segments, state.ts_training_labels = [], []
        state.change("ts_training_all")(faults.guarded(lambda **_state: self._show()))

    def ask(self) -> None:
        """Ask."""
        with self._state as state:
            state.ts_training_open = True
            self._show()

    def choose_label(self, name: str, label: str | None) -> None:
        """Take which label a segment is, `LEAVE_OUT` for none of them, None for not chosen yet."""
        if label is None:
            self._mapping.pop(name, None)
        else:
            self._mapping[name] = label
        self._show()

    @property
    def file_name(self) -> str:
        """Of the archive."""
        bundle = self._bundle
        name = "cases" if bundle is None else dataset_name(bundle.specification)
        return f"{name}.zip"

    def order(self, folder: Path) -> Order:
        """Return what to export, as a new data set in `folder`.

        Raises:
            InputError: there is nothing to export.
        """
        bundle, cases = self._bundle, []
        self.problems = []
        if bundle is None:
            raise InputError("there is no model whose labels the data set could have; choose one")
        for segmentation in self._segmentations:
            try:
                cases.append(
                    case_to_export(self._selection, segmentation, bundle, whole_scene=self._all)
                )
            except InputError as error:
                self.problems.append(f"{segmentation.GetName()}: {error}")
        if not cases:
            raise InputError("; ".join(self.problems) or "there are no segments yet; segment first")
        dataset = folder / dataset_name(bundle.specification)
        return Order(tuple(cases), str(dataset), str(bundle.folder), dict(self._mapping))

    @property
    def _all(self) -> bool:
        return bool(self._state.ts_training_all)

    @property
    def _segmentations(self) -> list[Any]:
        return segmentations_to_export(self._selection, whole_scene=self._all)

    @property
    def _bundle(self) -> Bundle | None:
        return bundle_to_export(self._selection, self._segmentations)

    def _show(self) -> None:
        with self._state as state:
            segmentations, bundle = self._segmentations, self._bundle
            state.ts_training_count = len(
                segmentations_to_export(self._selection, whole_scene=True)
            )
            if bundle is None:
                state.ts_training_note = "Choose a model whose labels the data set shall have."
                state.ts_training_segments, state.ts_training_ready = [], False
                return
            specification = bundle.specification
            labels = [label.name for label in specification.labels]
            unknown = unknown_names(segmentations, specification)
            for name in unknown:
                if self._mapping.get(name, LEAVE_OUT) not in (LEAVE_OUT, *labels):
                    del self._mapping[name]  # of another model
            count = len(segmentations)
            cases = "1 case" if count == 1 else f"{count} cases"
            state.ts_training_note = f"{cases} with the labels of the model: {', '.join(labels)}."
            state.ts_training_labels = [
                {"title": "Leave out", "value": LEAVE_OUT},
                *({"title": name, "value": name} for name in labels),
            ]
            state.ts_training_segments = [
                {"name": name, "label": self._mapping.get(name)} for name in unknown
            ]
            state.ts_training_ready = bool(segmentations) and all(
                name in self._mapping for name in unknown
            )
