"""Which slices to look at: the strip of all slices, and the way to the unsure ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import slicer
from trame_server import Server

from TumorSegLib.errors import InputError
from TumorSegModule.logic.review_texts import review_text
from TumorSegModule.logic.slice_figures import SliceFigures, figures_of, write_figures
from TumorSegModule.logic.slice_views import show_slice, shown_slice
from TumorSegWeb.clock import Rest

SEEN_SECONDS = 0.5
"""A slice that stays in the views for so long has been looked at."""


class Review:
    """Shows the figures of one segmentation's slices."""

    def __init__(self, server: Server) -> None:
        """Have no segmentation yet."""
        self._state = server.state
        self._target: Any = None
        self._figures: SliceFigures | None = None
        self._place: list[float] | None = None
        self._rank = -1
        self._current: int | None = None
        self._views: dict[str, int] = {}
        self._seen = Rest(SEEN_SECONDS, self._note_seen)
        self._looking = Rest(0, self._look)
        self._show()

    def edit(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Review a segmentation as a run has left it; None for none."""
        self._target = target
        self._figures = figures_of(target) if target is not None else None
        self._rank, self._place, self._current = -1, None, None
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if view.GetID() not in self._views:
                self._views[view.GetID()] = view.AddObserver("ModifiedEvent", self._moved)
        self._look()
        self._show()

    def step(self, by: int) -> None:
        """Go to the slice that is most likely to need correction, then to the next."""
        unsure = self._figures.unsure if self._figures is not None else []
        if unsure:
            first = max(self._rank + by, 0)
            self.go_to(unsure[first if self._rank < 0 else (self._rank + by) % len(unsure)])

    def go_to(self, index: int) -> None:
        """Have the views show an axial slice, 0 the most inferior."""
        if self._figures is None or not 0 <= index < len(self._figures):
            return
        try:
            self._place = show_slice(self._target, self._figures, index)
        except InputError:
            return
        if index in self._figures.unsure:
            self._rank = self._figures.unsure.index(index)
        self._set_current(index)

    def close(self) -> None:
        """Do nothing later."""
        self._seen.stop()
        self._looking.stop()

    def _moved(self, *_event: Any) -> None:
        self._looking.start()

    def _look(self) -> None:
        index = None
        if self._figures is not None and slicer.mrmlScene.IsNodePresent(self._target):
            try:
                index = shown_slice(self._target, self._figures, self._place)
            except InputError:
                index = None
        if index != self._current:
            with self._state:
                self._set_current(index)

    def _set_current(self, index: int | None) -> None:
        self._current = index
        self._seen.start()
        self._show()

    def _note_seen(self) -> None:
        figures, current = self._figures, self._current
        if figures is None or current is None or current in figures.seen:
            return
        self._figures = replace(figures, seen=figures.seen | {current})
        write_figures(self._target, self._figures)
        with self._state:
            self._show()

    def _show(self) -> None:
        state, figures = self._state, self._figures
        state.ts_slice = self._current
        state.ts_unsure = bool(figures and figures.unsure)
        state.ts_review = review_text(figures, self._current) if figures is not None else ""
        state.ts_strip = [] if figures is None else strip_of(figures)


def strip_of(figures: SliceFigures) -> list[dict[str, Any]]:
    """Return the bars of all slices, the most inferior first, with heights in per cent."""
    unsure = set(figures.unsure)
    highest = max(figures.areas, default=0.0) or 1.0
    most = max(figures.corrections, default=0.0) or 1.0
    return [
        {
            "area": round(100 * area / highest),
            "correction": round(100 * correction / most),
            "unsure": index in unsure,
            "seen": index in figures.seen,
        }
        for index, (area, correction) in enumerate(
            zip(figures.areas, figures.corrections, strict=True)
        )
    ]
