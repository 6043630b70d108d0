"""What the page shows of a review: strip, notes, corrections, what the model doubted."""

from __future__ import annotations

from typing import Any

from trame_server import Server

from TumorSegModule.logic.ending import Ending
from TumorSegModule.logic.review import Review, Strip
from TumorSegModule.logic.session import Session
from TumorSegWeb.clock import Clock, Paced
from TumorSegWeb.editor import Editor
from TumorSegWeb.faults import Faults


class PageReview:
    """Shows a review; see `TumorSegModule.logic.review.ReviewView`.

    Attributes:
        review: what it shows.
    """

    def __init__(self, server: Server, session: Session, editor: Editor, faults: Faults) -> None:
        """Review nothing yet.

        Args:
            server: of the page.
            session: has the last run.
            editor: has Undo.
            faults: told of errors.
        """
        self._state = server.state
        self._state.ts_uncertainty = False
        self.review = Review(session, editor, Clock(faults), self)
        self._place = Paced(self._state, faults.guarded(self._show_place))
        self._state.change("ts_uncertainty")(faults.guarded(self._uncertainty_switched))
        self._state.change("ts_reviewed")(faults.guarded(self._marked))
        self.show_review()
        self._show_place()
        self.show_layer()

    def run_ended(self, ending: Ending) -> None:
        """Show what a run has left."""
        if ending.done and self.review.target is ending.target:
            self.review.refresh()

    def move(self, by: int) -> None:
        """Have the views show another axial slice, or the first if they show none."""
        current = self.review.current
        self.review.go_to(0 if current is None else current + by)

    def restore(self, name: str) -> None:
        """Bring the model's mask back: of a segment, "" for all of them on the slice shown."""
        if name:
            self.review.restore_segment(name)
        else:
            self.review.restore_slice()

    def show_review(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        with self._state as state:
            state.ts_unsure = self.review.unsure
            state.ts_reviewed = self.review.reviewed
            self.show_correction()

    def show_strip(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        with self._state as state:
            state.ts_strip = bars_of(self.review.strip)
            state.ts_review = self.review.note

    def show_place(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`; soon, where the wheel turns."""
        self._place.start()

    def show_correction(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        with self._state as state:
            self.show_strip()
            state.ts_correction = self.review.correction_note
            restorable = self.review.restorable
            state.ts_restorable = [
                {"name": "", "title": "On the slice shown"},
                *(
                    {"name": name, "title": f"{title}, on all slices"}
                    for name, title in restorable.items()
                ),
            ]
            state.ts_corrected = bool(restorable)

    def show_layer(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        layer = self.review.layer
        with self._state as state:
            state.ts_doubts, state.ts_doubts_meaning = layer.possible, layer.meaning

    def segmentation_edited(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`; lesions see edits for themselves."""

    def _show_place(self) -> None:
        with self._state as state:
            state.ts_slice = self.review.current
            state.ts_review = self.review.note

    def _uncertainty_switched(self, ts_uncertainty: bool, **_state: Any) -> None:
        if bool(ts_uncertainty) != self.review.layer.wanted:
            self.review.layer.want(bool(ts_uncertainty))

    def _marked(self, ts_reviewed: bool, **_state: Any) -> None:
        if self.review.figures is not None and bool(ts_reviewed) != self.review.reviewed:
            self.review.mark_reviewed(bool(ts_reviewed))


def bars_of(strip: Strip) -> list[dict[str, Any]]:
    """Return the bars of all slices, the most inferior first, with heights in per cent."""
    highest = max(strip.areas, default=0.0) or 1.0
    most = max(strip.corrections, default=0.0) or 1.0
    return [
        {
            "area": round(100 * area / highest),
            "correction": round(100 * correction / most),
            "unsure": index in strip.unsure,
            "seen": index in strip.seen,
            "changed": index in strip.changed,
        }
        for index, (area, correction) in enumerate(zip(strip.areas, strip.corrections, strict=True))
    ]
