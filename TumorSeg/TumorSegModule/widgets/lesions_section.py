"""The section Lesions: totals, a row for each lesion, one click to go there or to remove it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.measurement.table import as_clipboard, lesion_table, value_table, write_csv
from TumorSegModule.logic.area_plot import AreaPlot
from TumorSegModule.logic.findings import Absent, Findings, Lesion, lesion_key
from TumorSegModule.logic.lesion_edits import add_back, remove_lesion
from TumorSegModule.logic.lesion_mark import LesionMark
from TumorSegModule.logic.lesion_rows import Row, headings, note, rows, totals
from TumorSegModule.logic.selection import Selection
from TumorSegModule.widgets.dialogs import choose_new_file
from TumorSegModule.widgets.editor import Editor
from TumorSegModule.widgets.figure_table import FigureTable
from TumorSegModule.widgets.idle_work import IdleWork
from TumorSegModule.widgets.measured_segments import MeasuredSegments

NEXT_KEY, PREVIOUS_KEY = "Shift+N", "Shift+P"
"""Neither Slicer's views nor its Segment Editor and its effects use these."""


class LesionsSection:
    """Drives the section's widgets.

    Attributes:
        mark: of the lesion that is shown.
    """

    def __init__(
        self, ui: Any, selection: Selection, measured: MeasuredSegments, editor: Editor
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            selection: has the volume and its modality.
            measured: has the figures.
            editor: has Undo.
        """
        self._ui, self._selection = ui, selection
        self._measured, self._editor = measured, editor
        self.mark = LesionMark()
        self._editing = IdleWork()
        self._rows: list[Row] = []
        self._place: int | None = None
        self._line = ""
        self._totals = FigureTable(ui.lesionTotals, header=False)
        self._totals.set_headings(("", ""))
        self._table = FigureTable(ui.lesionsTable, words=())
        ui.lesionsTable.currentCellChanged.connect(self._cell_changed)
        ui.lesionsTable.cellClicked.connect(self._cell_clicked)
        for button, key, step in (
            (ui.previousLesionButton, PREVIOUS_KEY, self._previous),
            (ui.nextLesionButton, NEXT_KEY, self._next),
        ):
            button.clicked.connect(step)
            button.setShortcut(qt.QKeySequence(key))
        ui.removeLesionButton.clicked.connect(self._remove)
        ui.addBackButton.clicked.connect(self._add_back)
        ui.copyLesionsButton.clicked.connect(self._copy)
        ui.saveLesionsButton.clicked.connect(self._save)
        ui.plotAreasButton.clicked.connect(self._plot)
        ui.lesionsSection.contentsCollapsed.connect(self._collapsed)
        measured.tell(self)
        measured.want(self, not ui.lesionsSection.collapsed)
        self.findings_changed(None)

    @property
    def busy(self) -> bool:
        """Whether a lesion is being removed or added back."""
        return self._editing.busy

    def findings_changed(self, found: Findings | None) -> None:
        """See `TumorSegModule.logic.listeners.FindingsListener`."""
        if found is None:  # of another segmentation, perhaps
            self._editing.stop()
        ui, before = self._ui, self._shown_row
        ui.lesionsSection.visible = self._measured.target is not None
        self._rows = rows(found) if found is not None else []
        ui.lesionTotals.visible = found is not None
        ui.lesionsTable.visible = bool(self._rows)
        if found is not None:
            self._totals.fill(totals(found))
            titles = headings(found, self._unit)
            words = [n for n, title in enumerate(titles) if title.text == _("Segment")]
            self._table.set_words(words)
            self._table.set_headings(
                [title.text for title in titles], [title.meaning for title in titles]
            )
        grey = [n for n, row in enumerate(self._rows) if isinstance(row.what, Absent)]
        self._table.fill(
            [row.texts for row in self._rows],
            grey=grey,
            meanings=[row.meaning for row in self._rows],
        )
        self._place = self._place_of(before)
        self._table.select(self._place)
        if self._place is None:
            self.mark.clear()
        self._line = ""
        self._show()

    def go_to(self, place: int) -> None:
        """Have all views show the lesion in a row of the table, and mark it."""
        row = self._rows[place]
        self._place = place
        self._table.select(place)
        self.mark.show(row.what.part, row.name)
        self._show()

    def close(self) -> None:
        """Show no lesion any more, as before the scene is closed."""
        self._editing.stop()
        self.mark.clear()

    @property
    def _shown_row(self) -> Row | None:
        return self._rows[self._place] if self._place is not None else None

    @property
    def _unit(self) -> str:
        """Of the volume's voxels: HU where it is a CT."""
        try:
            volume = self._measured.findings and self._measured.findings.lattice.volume
            return "HU" if volume and self._selection.models.modality(volume) == "CT" else ""
        except InputError:
            return ""

    def _place_of(self, row: Row | None) -> int | None:
        """Return where a lesion stands now, None if it is not there any more."""
        if row is None:
            return None
        key = type(row.what), *lesion_key(row.what.role.id, row.what.part)
        for place, other in enumerate(self._rows):
            if key == (type(other.what), *lesion_key(other.what.role.id, other.what.part)):
                return place
        return None

    def _show(self) -> None:
        ui, row = self._ui, self._shown_row
        found, measured = self._measured.findings, self._measured
        ui.removeLesionButton.enabled = row is not None and isinstance(row.what, Lesion)
        ui.addBackButton.enabled = row is not None and isinstance(row.what, Absent)
        ui.addBackButton.visible = any(isinstance(one.what, Absent) for one in self._rows)
        ui.nextLesionButton.enabled = ui.previousLesionButton.enabled = bool(self._rows)
        for button in (ui.copyLesionsButton, ui.saveLesionsButton, ui.plotAreasButton):
            button.enabled = found is not None
        line = self._line or measured.problem
        if not line and found is not None:
            line = note(found)
        elif not line and measured.target is not None:
            line = _("Measuring…") if measured.busy else ""
        ui.lesionsNote.text = line
        ui.lesionsNote.visible = bool(line)

    def _say(self, line: str) -> None:
        self._line = line
        self._show()

    def _collapsed(self, *_event: Any) -> None:
        self._measured.want(self, not self._ui.lesionsSection.collapsed)

    def _cell_changed(self, row: int, *_others: int) -> None:
        if 0 <= row < len(self._rows):
            self.go_to(row)

    def _cell_clicked(self, row: int, *_others: int) -> None:
        if row == self._place:  # the views may have moved on since
            self.go_to(row)

    def _next(self, *_clicked: Any) -> None:
        self._step(1)

    def _previous(self, *_clicked: Any) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        if self._rows:
            first = 0 if step > 0 else len(self._rows) - 1
            place = first if self._place is None else (self._place + step) % len(self._rows)
            self.go_to(place)

    def _remove(self, *_clicked: Any) -> None:
        row, found = self._shown_row, self._measured.findings
        if row is not None and found is not None and isinstance(row.what, Lesion):
            self._edit(remove_lesion(found, row.what, self._editor))

    def _add_back(self, *_clicked: Any) -> None:
        row, found = self._shown_row, self._measured.findings
        if row is not None and found is not None and isinstance(row.what, Absent):
            self._edit(add_back(found, row.what, self._editor))

    def _edit(self, steps: Generator[None, None, None]) -> None:
        """Edit the segments bit by bit, what is under way first."""
        if self.busy:
            self._say(_("The segments are being edited; try again in a moment."))
        else:
            self._editing.start(_problem_of(steps), self._edited)

    def _edited(self, problem: str) -> None:
        if problem:
            self._say(problem)

    def _copy(self, *_clicked: Any) -> None:
        found = self._present()
        if found is not None:
            qt.QApplication.clipboard().setText(clipboard_text(found))
            self._say(_("Copied: paste it into a report or a spreadsheet."))

    def _save(self, *_clicked: Any) -> None:
        found = self._present()
        if found is None:
            return
        name = _("{name} lesions").format(name=found.segmentation.GetName())
        path = choose_new_file(_("Save the table of lesions"), _("Table"), "csv", name)
        if not path:
            return
        try:
            write_csv(lesion_table(found.lesion_segments), Path(path))
            self._say(_("Saved as {path}.").format(path=path))
        except TumorSegError as error:
            self._say(str(error))

    def _present(self) -> Findings | None:
        """Return the figures, None if there are none of the segments as they are now."""
        found = self._measured.findings
        if found is None or found.current:
            return found
        self._measured.measure_soon()
        self._say(_("The segments have changed and are measured anew; try again in a moment."))
        return None

    def _plot(self, *_clicked: Any) -> None:
        if self._measured.findings is not None:
            AreaPlot().show(self._measured.findings)


def _problem_of(steps: Generator[None, None, None]) -> Generator[None, None, str]:
    """Take steps, and return why they cannot be gone through, "" if they could."""
    try:
        yield from steps
    except InputError as error:
        return str(error)
    return ""


def clipboard_text(found: Findings) -> str:
    """Return totals and lesions as lines of cells between tabs."""
    parts = [value_table(found.derived)] if found.derived else []
    parts.append(lesion_table(found.lesion_segments))
    return "\n".join(as_clipboard(part) for part in parts)
