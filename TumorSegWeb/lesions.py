"""The table of lesions and totals, measured anew after each edit; a click goes to a lesion."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import slicer
from trame_server import Server

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.nodes import is_case
from TumorSegLib.support.steps import finished
from TumorSegModule.logic import lesion_table
from TumorSegModule.logic.findings import Absent, Findings, with_certainties
from TumorSegModule.logic.lesion_edits import add_back, remove_lesion
from TumorSegModule.logic.lesion_mark import LesionMark
from TumorSegModule.logic.lesion_rows import Row, headings, note, rows, totals
from TumorSegModule.logic.measuring import Measuring, request_for
from TumorSegModule.logic.observers import Observers
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.worker_client import WorkerClient, python_command
from TumorSegWeb.clock import Poller, Rest
from TumorSegWeb.editor import Editor
from TumorSegWeb.faults import Faults

REST_SECONDS = 0.3
"""Rest after an edit before the segments are measured."""


class Lesions:
    """Shows the figures of one segmentation at a time.

    Attributes:
        findings: its figures, None while there are none.
    """

    def __init__(
        self,
        server: Server,
        selection: Selection,
        session: Session,
        editor: Editor,
        faults: Faults,
    ) -> None:
        """Measure with a worker of its own.

        Args:
            server: of the page.
            selection: has the models.
            session: has the last run's probabilities.
            editor: has Undo.
            faults: told of errors.
        """
        self._state, self._selection = server.state, selection
        self._session, self._editor = session, editor
        self.findings: Findings | None = None
        self._target: Any = None
        self._rows: list[Row] = []
        self._mark = LesionMark()
        self._observers = Observers()
        self._measuring = Measuring(WorkerClient(python_command()), self)
        self._poller = Poller(
            self._state,
            self._measuring.poll,
            lambda: self._measuring.busy,
            lambda: self._measuring.working,
            faults,
        )
        faults.recover_by(self._measuring.stop)
        self._rest = Rest(REST_SECONDS, self._measure, faults)
        self._show("")

    def edit(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Measure a segmentation, None for none."""
        self._observers.clear()
        self._mark.clear()
        self._measuring.leave()
        self._target, self.findings = target, None
        self._show("")
        if target is not None:
            self._observers.add_edits(target, self._edited)
            self._rest.start()

    def go_to(self, place: int) -> None:
        """Have all views show the lesion in a row, and mark it."""
        if 0 <= place < len(self._rows):
            row = self._rows[place]
            self._mark.show(row.what.part, row.name)
            self._state.ts_lesion = place

    def change(self, place: int) -> None:
        """Remove the lesion in a row, or add it back if the filter gave it up."""
        if self.findings is None or not 0 <= place < len(self._rows):
            return
        what = self._rows[place].what
        self._mark.clear()
        try:
            if isinstance(what, Absent):
                finished(add_back(self.findings, what, self._editor))
            else:
                finished(remove_lesion(self.findings, what, self._editor))
        except InputError as error:
            self._show(str(error))

    def release(self) -> None:
        """End the worker; the next measurement starts a new one."""
        self._measuring.stop()
        self._measuring.poll()  # which learns of the worker's end

    def resume(self) -> None:
        """Measure what `release` has left unmeasured."""
        if self._target is not None and self.findings is None:
            self._rest.start()

    def close(self) -> None:
        """Let go of the nodes and end the worker."""
        self._observers.clear()
        self._rest.stop()
        self._measuring.stop()

    def measured(self, found: Findings) -> Generator[None, None, None]:
        """See `TumorSegModule.logic.measuring.Listener`."""
        if found.segmentation is not self._target:
            return
        found = with_certainties(found, lesion_table.known_certainties(self._target))
        yield
        lesion_table.write_table(found)
        yield
        self.findings = found
        self._show("")

    def measuring_failed(self, line: str) -> None:
        """See `TumorSegModule.logic.measuring.Listener`."""
        self.findings = None
        self._show(line)

    def _edited(self, *_event: Any) -> None:
        self._rest.start()

    def _measure(self) -> None:
        target = self._target
        if not slicer.mrmlScene.IsNodePresent(target):
            return
        if target.GetSegmentation().GetNumberOfSegments() == 0:
            self.findings = None
            with self._state:
                self._show("")
            return
        try:
            request, specification = request_for(
                target, self._session, self._selection.models.catalogue
            )
        except InputError as error:
            with self._state:
                self._show(str(error))
            return
        self._measuring.start(request, specification)
        self._poller.start()

    def _show(self, line: str) -> None:
        state, found = self._state, self.findings
        self._rows = rows(found) if found is not None else []
        state.ts_has_segments = self._target is not None and is_case(self._target)
        state.ts_lesion = None
        state.ts_lesion_line = line or (note(found) if found is not None else "")
        state.ts_totals = [] if found is None else [list(pair) for pair in totals(found)]
        unit = "" if found is None else self._unit(found)
        state.ts_lesion_heads = (
            []
            if found is None
            else [{"text": one.text, "meaning": one.meaning} for one in headings(found, unit)]
        )
        state.ts_lesions = [
            {
                "texts": list(row.texts),
                "absent": isinstance(row.what, Absent),
                "meaning": row.meaning,
            }
            for row in self._rows
        ]

    def _unit(self, found: Findings) -> str:
        """Return the unit of the volume's voxels: HU where it is a CT."""
        try:
            volume = found.lattice.volume
            return "HU" if volume and self._selection.models.modality(volume) == "CT" else ""
        except InputError:
            return ""
