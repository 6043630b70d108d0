"""The section Export for retraining: corrected cases into a data set in nnU-Net's raw layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic.export_choice import (
    bundle_to_export,
    case_to_export,
    dataset_folder,
    segmentations_to_export,
    unknown_names,
)
from TumorSegModule.logic.exporter import Case, Exporter, Order
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.worker_client import WorkerClient
from TumorSegModule.widgets.dialogs import Question, confirm
from TumorSegModule.widgets.installation import ensure_installed
from TumorSegModule.widgets.label_table import LabelTable
from TumorSegModule.widgets.status_section import PROBLEM_STYLE

POLL_MILLISECONDS = 25
FOLDER_SETTING = "TumorSeg/ExportFolder"
THIS, ALL = "this", "all"
SHOWN_LINES = 6
"""Lines on problems that the result shows; the others are counted."""


class ExportSection:
    """Drives the section's widgets.

    Attributes:
        exporter: that takes the cases through its worker.
    """

    def __init__(
        self, ui: Any, selection: Selection, client: WorkerClient, *, ask: Question = confirm
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            selection: has segmentation, volume, further sequences and model.
            client: of a worker of its own.
            ask: asks a question.
        """
        self._ui = ui
        self._selection = selection
        self._ask = ask
        self._labels = LabelTable(ui.exportTable, self)
        self._lines: list[str] = []
        self._overlapping: list[Case] = []
        self._done = self._count = 0
        self.exporter = Exporter(client, self)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self._poll)
        ui.exportScopeSelector.addItem(_("The segmentation above"), THIS)
        ui.exportScopeSelector.addItem(_("All segmentations of the scene"), ALL)
        ui.exportScopeSelector.currentIndexChanged.connect(self._changed)
        ui.exportFolder.text = slicer.app.userSettings().value(FOLDER_SETTING) or ""
        ui.exportFolder.textChanged.connect(self._changed)
        ui.exportBrowseButton.clicked.connect(self._browse)
        ui.exportButton.clicked.connect(self._export_or_stop)
        ui.exportSection.contentsCollapsed.connect(self._changed)
        self._show_result("")
        self.show()

    def close(self) -> None:
        """End an export, as when the scene is closed."""
        if self.exporter.busy:
            done = self._done + len(self.exporter.outcome.done)
            line = _("The scene was closed; cases exported before: {done}.")
            self._show_result(line.format(done=done))
        self.exporter.stop()
        self._timer.stop()
        self.show()

    def show(self) -> None:
        """Show what would be exported; does nothing while the section is folded."""
        ui, busy = self._ui, self.exporter.busy
        ui.exportProgress.visible = busy
        ui.exportButton.text = _("Stop") if busy else _("Export")
        if busy:
            ui.exportButton.enabled = True
            order, outcome = self.exporter.order, self.exporter.outcome
            over = len(outcome.done) + len(outcome.existing)
            over += len(outcome.overlapping) + len(outcome.problems)
            ui.exportProgress.setRange(0, len(order.cases))
            ui.exportProgress.value = over
            ui.exportProgress.format = _("case {number} of {total}").format(
                number=over + 1, total=len(order.cases)
            )
            return
        if ui.exportSection.collapsed:
            return
        segmentations, bundle = self._segmentations(), self._chosen_bundle()
        specification = bundle.specification if bundle else None
        unknown = unknown_names(segmentations, specification) if specification else []
        self._labels.show(unknown, specification)
        chosen = all(name in self._labels.mapping for name in unknown)
        ui.exportNote.text = self._note(segmentations, bundle, chosen)
        ui.exportNote.visible = bool(ui.exportNote.text)
        ui.exportButton.enabled = bool(
            segmentations and bundle and chosen and ui.exportFolder.text.strip()
        )

    def export(self) -> None:
        """Export what the section shows; problems are shown, not raised."""
        bundle = self._chosen_bundle()
        if bundle is None:  # its volume was removed while the user was asked something
            self.show()
            return
        self._lines, self._done, self._overlapping = [], 0, []
        cases = []
        for segmentation in self._segmentations():
            try:
                cases.append(
                    case_to_export(self._selection, segmentation, bundle, whole_scene=self._all)
                )
            except InputError as error:
                self._lines.append(f"{segmentation.GetName()}: {error}")
        text = self._ui.exportFolder.text.strip()
        slicer.app.userSettings().setValue(FOLDER_SETTING, text)
        folder = dataset_folder(text, bundle.specification)
        self._start(
            Order(tuple(cases), str(folder), str(bundle.folder), dict(self._labels.mapping))
        )

    def labels_chosen(self) -> None:
        """See `TumorSegModule.widgets.label_table.LabelListener`."""
        self.show()

    def case_exported(self) -> None:
        """See `TumorSegModule.logic.exporter.Listener`."""
        self.show()

    def export_ended(self) -> None:
        """See `TumorSegModule.logic.exporter.Listener`."""
        self._timer.stop()
        outcome, order = self.exporter.outcome, self.exporter.order
        name = Path(order.dataset).name
        self._done += len(outcome.done)
        self._lines += outcome.problems + [
            f"{line} ({len(names)})" if len(names) > 1 else line
            for line, names in outcome.warnings.items()
        ]
        self._overlapping += outcome.overlapping
        if outcome.done:
            self._count = outcome.count
        self._show_outcome(name)
        self.show()
        if outcome.existing:
            if self._ask(
                _("In {name} already: {cases}.").format(name=name, cases=_names(outcome.existing)),
                _("Replace the earlier exports by the segments as they are now?"),
                _("Replace"),
            ):
                self._start(replace(order, cases=tuple(outcome.existing), replace=True))
                return
            self._lines.append(
                _("{cases}: in {name} already, left as they were").format(
                    cases=_names(outcome.existing), name=name
                )
            )
        overlapping, self._overlapping = tuple(self._overlapping), []
        if overlapping:
            if self._ask(
                _("Segments overlap in {cases}.").format(cases=_names(overlapping)),
                _(
                    "One label map cannot hold them. Write one file a segment instead? Such a case"
                    " is kept in the folder “segments” of the data set, and is not trained on."
                ),
                _("One file a segment"),
            ):
                self._start(replace(order, cases=overlapping, one_file_a_segment=True))
                return
            self._lines.append(
                _("{cases}: segments overlap, not exported").format(cases=_names(overlapping))
            )
        self._show_outcome(name)

    def _start(self, order: Order) -> None:
        self._show_result("")
        self.exporter.start(order)
        if self.exporter.busy:
            self._timer.setInterval(0)
            self._timer.start()
            self.show()

    def _show_outcome(self, name: str) -> None:
        line = _("Nothing was exported.")
        if self._done == 1:
            line = _("1 case exported to {name}, which has {count} now.")
        elif self._done:
            line = _("{done} cases exported to {name}, which has {count} now.")
        text = line.format(done=self._done, name=name, count=self._count)
        self._show_result(text, failed=not self._done)

    def _poll(self) -> None:
        self.exporter.poll()
        self._timer.setInterval(0 if self.exporter.working else POLL_MILLISECONDS)

    def _changed(self, *_overloaded: Any) -> None:
        self.show()

    def _export_or_stop(self, *_checked: Any) -> None:
        if self.exporter.busy:
            self._done += len(self.exporter.outcome.done)
            self.close()
            self._show_result(_("Stopped; cases exported before: {done}.").format(done=self._done))
            return
        self.show()
        # a segment may have been added or renamed meanwhile
        if self._ui.exportButton.enabled and ensure_installed(self.export):
            self.export()

    def _browse(self, *_checked: Any) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(),
            _("Folder of the data set, or in which to begin one"),
            self._ui.exportFolder.text,
        )
        if folder:
            self._ui.exportFolder.text = folder

    @property
    def _all(self) -> bool:
        scope = self._ui.exportScopeSelector
        return scope.itemData(scope.currentIndex) == ALL

    def _segmentations(self) -> list[slicer.vtkMRMLSegmentationNode]:
        """Return the nodes to export."""
        return segmentations_to_export(self._selection, whole_scene=self._all)

    def _chosen_bundle(self) -> Bundle | None:
        """Return the model whose labels the data set has."""
        return bundle_to_export(self._selection, self._segmentations())

    def _note(
        self,
        segmentations: Sequence[slicer.vtkMRMLSegmentationNode],
        bundle: Bundle | None,
        chosen: bool,
    ) -> str:
        """Return what is missing before an export, or what it will be."""
        if not segmentations:
            return (
                _("No segmentation of the scene has segments and a volume.")
                if self._all
                else _("Choose a segmentation with segments under Result.")
            )
        if bundle is None:
            return _("Choose a model whose labels the data set shall have.")
        labels = ", ".join(label.name for label in bundle.specification.labels)
        if not chosen:
            return _("Say which of the model's labels ({labels}) each segment is.").format(
                labels=labels
            )
        count, text = len(segmentations), self._ui.exportFolder.text.strip()
        cases = _("1 case") if count == 1 else _("{count} cases").format(count=count)
        if not text:
            return _("{cases} ({labels}); choose a folder.").format(cases=cases, labels=labels)
        return _("{cases} ({labels}) for {folder}.").format(
            cases=cases, labels=labels, folder=dataset_folder(text, bundle.specification).name
        )

    def _show_result(self, line: str, *, failed: bool = False) -> None:
        lines = [line, *self._lines[:SHOWN_LINES]] if line else []
        if line and len(self._lines) > SHOWN_LINES:
            lines.append(_("and {count} more").format(count=len(self._lines) - SHOWN_LINES))
        self._ui.exportResult.text = "\n".join(lines)
        self._ui.exportResult.visible = bool(lines)
        self._ui.exportResult.styleSheet = PROBLEM_STYLE if failed else ""


def _names(cases: Iterable[Case]) -> str:
    return ", ".join(case.name for case in cases)
