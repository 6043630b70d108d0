"""What sections that start runs one after the other have in common."""

from __future__ import annotations

from typing import Any

from TumorSegModule.logic.ending import Ending
from TumorSegModule.logic.listeners import RunStarter, Series
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session


class SeriesSection:
    """Drives the widgets of a section whose runs follow each other."""

    def __init__(
        self, ui: Any, selection: Selection, session: Session, starter: RunStarter
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            selection: has the volume and the models.
            session: that has the run under way.
            starter: of the runs.
        """
        self._ui = ui
        self._selection = selection
        self._session = session
        self._starter = starter
        self._series: Series | None = None
        self._number: int | None = None

    def run_ended(self, ending: Ending) -> None:
        """Go on after a run of the section's own; others are none of its."""
        if ending.number == self._number:
            self._number = None
            self._go_on(ending)

    def _go_on(self, ending: Ending) -> None:
        """Note how the section's own run ended, and start the next."""
        raise NotImplementedError
