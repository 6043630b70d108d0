"""The section Review: which slices to look at, what was corrected, and the model's mask back."""

from __future__ import annotations

from functools import partial
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegModule.logic.listeners import SegmentationListener
from TumorSegModule.logic.review import Review
from TumorSegModule.logic.session import Session
from TumorSegModule.widgets.editor import Editor
from TumorSegModule.widgets.idle_work import QtLater
from TumorSegModule.widgets.slice_overview import SliceStrip

NEXT_KEY, PREVIOUS_KEY = "N", "P"
"""Neither Slicer's views nor its Segment Editor and its effects use these."""


class ReviewSection:
    """Drives the section's widgets for one segmentation at a time.

    Attributes:
        review: what they show.
        strip: the plot of all slices.
    """

    def __init__(
        self, ui: Any, session: Session, editor: Editor, listener: SegmentationListener
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            session: has the last run.
            editor: has Undo.
            listener: told when the segmentation was written to.
        """
        self._ui, self._listener = ui, listener
        self.review = Review(session, editor, QtLater(), self)
        self.strip = SliceStrip(self)
        ui.reviewSection.layout().insertWidget(0, self.strip)
        ui.nextUnsureButton.clicked.connect(self._next)
        ui.previousUnsureButton.clicked.connect(self._previous)
        ui.nextUnsureButton.setShortcut(qt.QKeySequence(NEXT_KEY))
        ui.previousUnsureButton.setShortcut(qt.QKeySequence(PREVIOUS_KEY))
        ui.reviewedBox.clicked.connect(self._mark_reviewed)
        ui.uncertaintyBox.toggled.connect(self._uncertainty_toggled)
        self._restore_menu = qt.QMenu()
        ui.restoreButton.setMenu(self._restore_menu)
        self.show_review()

    @property
    def target(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation under review, None if there is none."""
        return self.review.target

    @property
    def current(self) -> int | None:
        """The axial slice that the views show, None if they show none."""
        return self.review.current

    @property
    def seen(self) -> frozenset[int]:
        """The axial slices that were looked at."""
        return self.review.seen

    @property
    def busy(self) -> bool:
        """Whether segments are being compared, or the map is being made."""
        return self.review.busy

    def edit(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Review a segmentation, None for none; nothing happens if it is under review already."""
        self.review.edit(target)

    def refresh(self) -> None:
        """Read anew what is kept with the segmentation, as after a run."""
        self.review.refresh()

    def close(self) -> None:
        """Let go of the nodes, as before the scene is closed."""
        self.review.close()

    def go_to(self, index: int) -> None:
        """Have the views show a slice."""
        self.review.go_to(index)

    def show_review(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        ui, review = self._ui, self.review
        ui.reviewSection.visible = review.figures is not None
        ui.nextUnsureButton.enabled = ui.previousUnsureButton.enabled = review.unsure
        ui.reviewedBox.checked = review.reviewed
        self.show_strip()
        self.show_correction()

    def show_strip(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        self.strip.show_strip(self.review.strip)
        self._show_note()

    def show_place(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        self.strip.show_current(self.review.current)
        self._show_note()

    def show_correction(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        review, menu = self.review, self._restore_menu
        self.strip.show_strip(review.strip)
        restorable = review.restorable
        self._ui.restoreButton.enabled = bool(restorable)
        menu.clear()
        self._ui.correctionNote.text = review.correction_note
        if restorable:
            menu.addAction(_("On the slice shown")).triggered.connect(self._restore_slice)
            for name, title in restorable.items():
                text = _("{segment}, on all slices").format(segment=title)
                menu.addAction(text).triggered.connect(partial(self._restore_segment, name))

    def show_layer(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        layer, box = self.review.layer, self._ui.uncertaintyBox
        box.enabled, box.toolTip = layer.possible, layer.meaning

    def segmentation_edited(self) -> None:
        """See `TumorSegModule.logic.review.ReviewView`."""
        self._listener.segmentation_edited()

    def _show_note(self) -> None:
        if self.review.figures is not None:
            self._ui.reviewNote.text = self.review.note

    def _next(self, *_clicked: Any) -> None:
        self.review.step(1)

    def _previous(self, *_clicked: Any) -> None:
        self.review.step(-1)

    def _mark_reviewed(self, *_clicked: Any) -> None:
        self.review.mark_reviewed(self._ui.reviewedBox.checked)
        self._show_note()

    def _uncertainty_toggled(self, *_checked: Any) -> None:
        self.review.layer.want(self._ui.uncertaintyBox.checked)

    def _restore_slice(self, *_triggered: Any) -> None:
        self.review.restore_slice()

    def _restore_segment(self, name: str, *_triggered: Any) -> None:
        self.review.restore_segment(name)
