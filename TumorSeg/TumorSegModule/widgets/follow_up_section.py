"""The section Follow-up: how the lesions have changed since an earlier segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import TumorSegError
from TumorSegLib.measurement.table import Table, as_clipboard, write_csv
from TumorSegModule.logic.findings import Findings
from TumorSegModule.logic.follow_up_pairs import choose_earlier, chosen_earlier
from TumorSegModule.logic.follow_up_rows import (
    HEADINGS,
    changes_table,
    comparison_text,
    follow_up_note,
    follow_up_rows,
)
from TumorSegModule.logic.lesion_mark import show_place
from TumorSegModule.widgets.dialogs import choose_new_file
from TumorSegModule.widgets.figure_table import FigureTable
from TumorSegModule.widgets.measured_segments import MeasuredSegments
from TumorSegModule.widgets.node_choice import NodeChoices


@dataclass
class EarlierNode:
    """Keeps the earlier segmentation with the one that it is compared with.

    Attributes:
        measured: has the present segmentation.
    """

    measured: MeasuredSegments

    @property
    def node(self) -> slicer.vtkMRMLNode | None:
        """The node that is kept, None if none is."""
        return chosen_earlier(self.measured.target)

    def keep(self, node: slicer.vtkMRMLNode | None) -> None:
        """Keep a node, or None."""
        if self.measured.target is not None:
            choose_earlier(self.measured.target, node)
            self.measured.observe_earlier()


class FollowUpSection:
    """Drives the section's widgets."""

    def __init__(self, ui: Any, measured: MeasuredSegments, choices: NodeChoices) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            measured: has the figures.
            choices: of nodes in the panel's selectors.
        """
        self._ui, self._measured = ui, measured
        self._line = ""
        self._choice = choices.add(ui.earlierSelector, EarlierNode(measured))
        self._table = FigureTable(ui.followUpTable, words=(2,))
        ui.copyFollowUpButton.clicked.connect(self._copy)
        ui.saveFollowUpButton.clicked.connect(self._save)
        ui.followUpTable.cellClicked.connect(self._cell_clicked)
        ui.followUpSection.contentsCollapsed.connect(self._collapsed)
        measured.tell(self)
        measured.want(self, not ui.followUpSection.collapsed)
        self.findings_changed(None)

    def findings_changed(self, found: Findings | None) -> None:
        """See `TumorSegModule.logic.listeners.FindingsListener`."""
        ui, self._line = self._ui, ""
        ui.followUpSection.visible = self._measured.target is not None
        self._choice.show()
        changes = bool(found is not None and found.changes)
        ui.followUpTable.visible = changes
        ui.recistText.visible = changes
        if found is not None and changes:
            self._table.set_headings(
                [title.text for title in HEADINGS], [title.meaning for title in HEADINGS]
            )
            lines = follow_up_rows(found)
            self._table.fill([row.texts for row in lines], meanings=[row.texts[2] for row in lines])
            ui.recistText.text = found.assessment.text if found.assessment is not None else ""
        self._show()

    def _show(self) -> None:
        ui, found = self._ui, self._measured.findings
        line = self._line or self._measured.problem
        if not line and chosen_earlier(self._measured.target) is None:
            line = _(
                "Choose an earlier segmentation of the same patient. If the images are not"
                " aligned, put it under the transform that registers them."
            )
        elif not line and found is not None:
            line = follow_up_note(found)
        ui.followUpNote.text = line
        ui.followUpNote.visible = bool(line)
        there = bool(found is not None and found.changes)
        ui.copyFollowUpButton.enabled = ui.saveFollowUpButton.enabled = there

    def _collapsed(self, *_event: Any) -> None:
        self._measured.want(self, not self._ui.followUpSection.collapsed)

    def _cell_clicked(self, row: int, *_others: int) -> None:
        found = self._measured.findings
        place = follow_up_rows(found)[row].place if found is not None else None
        if place is not None:
            show_place(place)

    def _say(self, line: str) -> None:
        self._line = line
        self._show()

    @property
    def _content(self) -> Table | None:
        found = self._measured.findings
        return changes_table(found) if found is not None and found.changes else None

    def _copy(self, *_clicked: Any) -> None:
        found, content = self._measured.findings, self._content
        if found is None or content is None:
            return
        text = as_clipboard(content)
        text += f"\n{comparison_text(found)}\n"
        qt.QApplication.clipboard().setText(text)
        self._say(_("Copied: paste it into a report or a spreadsheet."))

    def _save(self, *_clicked: Any) -> None:
        found, content = self._measured.findings, self._content
        if found is None or content is None:
            return
        name = _("{name} follow-up").format(name=found.segmentation.GetName())
        path = choose_new_file(_("Save the table of changes"), _("Table"), "csv", name)
        if not path:
            return
        try:
            write_csv(content, Path(path))
            self._say(_("Saved as {path}.").format(path=path))
        except TumorSegError as error:
            self._say(str(error))
