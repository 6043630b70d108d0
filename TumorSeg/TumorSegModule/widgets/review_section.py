"""The section Review: which slices to look at, what was corrected, and the model's mask back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.nodes import is_reviewed, set_correction, set_reviewed
from TumorSegModule.logic import model_baseline, uncertainty_map
from TumorSegModule.logic.correction import Comparison, compare
from TumorSegModule.logic.listeners import SegmentationListener
from TumorSegModule.logic.observers import Observers
from TumorSegModule.logic.review_texts import correction_text, review_text
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.slice_figures import (
    FIGURES_TAKEN,
    SliceFigures,
    figures_of,
    write_figures,
)
from TumorSegModule.logic.slice_views import show_slice, shown_slice
from TumorSegModule.widgets.editor import Editor
from TumorSegModule.widgets.idle_work import IdleWork
from TumorSegModule.widgets.slice_overview import SliceStrip, Strip
from TumorSegModule.widgets.uncertainty_layer import UncertaintyLayer

SEEN_MILLISECONDS = 500
"""A slice that stays in the views for so long has been looked at."""

COMPARE_MILLISECONDS = 300
"""Rest after an edit before it is compared with the model's mask."""

NEXT_KEY, PREVIOUS_KEY = "N", "P"
"""Neither Slicer's views nor its Segment Editor and its effects use these."""


class ReviewSection:
    """Drives the section's widgets for one segmentation at a time.

    Attributes:
        strip: the plot of all slices.
        target: segmentation under review, None if there is none.
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
        self._ui = ui
        self._session = session
        self._editor = editor
        self.target: Any = None
        self._figures: SliceFigures | None = None
        self._reference: Any = None
        self._correction: Comparison | None = None
        self._place: list[float] | None = None
        self._rank = -1
        self._current: int | None = None
        self._observers = Observers()
        self._scene_tag: int | None = None
        self._views: dict[str, tuple[slicer.vtkMRMLSliceNode, int]] = {}
        self._comparing = IdleWork()
        self._layer = UncertaintyLayer(ui.uncertaintyBox, session)
        self.strip = SliceStrip(self)
        ui.reviewSection.layout().insertWidget(0, self.strip)
        ui.nextUnsureButton.clicked.connect(self._next)
        ui.previousUnsureButton.clicked.connect(self._previous)
        ui.nextUnsureButton.setShortcut(qt.QKeySequence(NEXT_KEY))
        ui.previousUnsureButton.setShortcut(qt.QKeySequence(PREVIOUS_KEY))
        ui.reviewedBox.clicked.connect(self._mark_reviewed)
        self._restore_menu = qt.QMenu()
        ui.restoreButton.setMenu(self._restore_menu)
        self._seen_timer = _timer(SEEN_MILLISECONDS, self._note_seen)
        self._told_timer = _timer(0, listener.segmentation_edited)
        self._figures_timer = _timer(0, self.refresh)
        self._edit_timer = _timer(COMPARE_MILLISECONDS, self._start_comparison)
        self._show()

    def edit(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Review a segmentation, None for none; nothing happens if it is under review already."""
        if target is not self.target:
            self._let_go()
            self.target = target
            if target is not None:
                self._observe()
            self.refresh()
        self._watch_views()

    def refresh(self) -> None:
        """Read anew what is kept with the segmentation, as after a run."""
        self._figures_timer.stop()
        self._rank, self._place = -1, None
        self._figures = figures_of(self.target) if self.target is not None else None
        self._correction = None
        self._show()
        self._look()
        if self._figures is not None:
            self._start_comparison()
        self._layer.show(self.target)

    def close(self) -> None:
        """Let go of the nodes, as before the scene is closed."""
        self._layer.show(None)
        self._let_go()
        self.target = self._figures = None
        for timer in (self._seen_timer, self._told_timer):
            timer.stop()
        for node, tag in self._views.values():
            node.RemoveObserver(tag)
        self._views = {}
        if self._scene_tag is not None:
            slicer.mrmlScene.RemoveObserver(self._scene_tag)
            self._scene_tag = None
        self._show()

    def go_to(self, index: int) -> None:
        """Have the views show a slice."""
        if self._figures is None:
            return
        try:
            self._place = show_slice(self.target, self._figures, index)
        except InputError:
            return
        unsure = self._figures.unsure
        if index in unsure:
            self._rank = unsure.index(index)
        self._set_current(index)

    @property
    def current(self) -> int | None:
        """The axial slice that the views show, None if they show none."""
        return self._current

    @property
    def seen(self) -> frozenset[int]:
        """The axial slices that were looked at."""
        return self._figures.seen if self._figures is not None else frozenset()

    @property
    def busy(self) -> bool:
        """Whether segments are being compared, or the map is being made."""
        waiting = self._edit_timer.active or self._figures_timer.active
        return bool(waiting or self._comparing.busy or self._layer.busy)

    def _next(self, *_clicked: Any) -> None:
        self._step(1)

    def _previous(self, *_clicked: Any) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        unsure = self._figures.unsure if self._figures is not None else []
        if not unsure:
            return
        rank = max(self._rank + step, 0) if self._rank < 0 else (self._rank + step) % len(unsure)
        self.go_to(unsure[rank])

    def _observe(self) -> None:
        self._observers.add_edits(self.target, self._edited)
        self._observers.add(self.target, FIGURES_TAKEN, self._figures_taken)
        if self._scene_tag is None:  # also of a target that is let go of before it is removed
            scene = slicer.mrmlScene
            self._scene_tag = scene.AddObserver(scene.NodeRemovedEvent, self._node_removed)

    def _let_go(self) -> None:
        self._observers.clear()
        self._comparing.stop()
        self._layer.stop()
        self._edit_timer.stop()
        self._figures_timer.stop()

    def _watch_views(self) -> None:
        """Follow the slice views, also those that a new layout brought."""
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if view.GetID() not in self._views:
                self._views[view.GetID()] = (view, view.AddObserver("ModifiedEvent", self._look))

    def _edited(self, *_event: Any) -> None:
        self._told_timer.start()
        if self._figures is not None:
            self._edit_timer.start()

    def _figures_taken(self, *_event: Any) -> None:
        self._figures_timer.start()  # the run that brings them is not over yet

    def _node_removed(self, scene: slicer.vtkMRMLScene, _event: Any) -> None:
        if not (scene.IsClosing() or scene.IsImporting()):
            model_baseline.remove_orphans()
            uncertainty_map.remove_orphans()

    def _look(self, *_event: Any) -> None:
        """Note which slice the views show."""
        index = None
        if self._figures is not None:
            try:
                index = shown_slice(self.target, self._figures, self._place)
            except InputError:
                index = None
        if index != self._current:
            self._set_current(index)

    def _set_current(self, index: int | None) -> None:
        self._current = index
        self.strip.show_current(index)
        self._seen_timer.start()
        self._show_note()

    def _note_seen(self) -> None:
        if self._figures is None or self._current is None or self._current in self._figures.seen:
            return
        self._figures = replace(self._figures, seen=self._figures.seen | {self._current})
        write_figures(self.target, self._figures)
        self._show_strip()
        self._show_note()

    def _mark_reviewed(self, *_clicked: Any) -> None:
        set_reviewed(self.target, self._ui.reviewedBox.checked)
        self._show_note()

    def _start_comparison(self) -> None:
        self._reference = model_baseline.reference_of(self.target)
        self._comparing.stop()
        if self._reference is not None and self._figures is not None:
            comparison = compare(self.target, self._reference, self._figures)
            self._comparing.start(comparison, self._take_correction)
        else:
            self._take_correction(None)

    def _take_correction(self, correction: Comparison | None) -> None:
        self._correction = correction
        set_correction(self.target, correction.summary if correction is not None else None)
        self._show_strip()
        self._show_correction()

    def _restore_slice(self, *_triggered: Any) -> None:
        if self._current is not None and self._figures is not None:
            self._editor.save_for_undo()
            model_baseline.restore_slice(self.target, self._reference, self._figures, self._current)

    def _restore_segment(self, name: str, *_triggered: Any) -> None:
        if self._figures is None:
            return
        self._editor.save_for_undo()
        model_baseline.restore_segment(self.target, self._reference, self._figures, name)

    def _show(self) -> None:
        """Show what is known of the segmentation."""
        ui, figures = self._ui, self._figures
        ui.reviewSection.visible = figures is not None
        unsure = bool(figures is not None and figures.unsure)
        ui.nextUnsureButton.enabled = ui.previousUnsureButton.enabled = unsure
        ui.reviewedBox.checked = figures is not None and is_reviewed(self.target)
        self._show_strip()
        self._show_note()
        self._show_correction()

    def _show_strip(self) -> None:
        figures, correction = self._figures, self._correction
        if figures is None:
            self.strip.show_strip(Strip())
            return
        changed = correction.changed if correction is not None else ()
        self.strip.show_strip(
            Strip(
                correction.areas if correction is not None else figures.areas,
                figures.corrections,
                frozenset(figures.unsure),
                figures.seen,
                frozenset(index for index, area in enumerate(changed) if area > 0),
            )
        )

    def _show_note(self) -> None:
        figures = self._figures
        if figures is None:
            return
        self._ui.reviewNote.text = review_text(figures, self._current)

    def _show_correction(self) -> None:
        correction, menu = self._correction, self._restore_menu
        changed = correction is not None and correction.whole.slices > 0
        self._ui.restoreButton.enabled = changed
        menu.clear()
        self._ui.correctionNote.text = correction_text(self._correction, self._name_of)
        if correction is not None and changed:
            menu.addAction(_("On the slice shown")).triggered.connect(self._restore_slice)
            for name, change in correction.segments.items():
                if change.slices:
                    text = _("{segment}, on all slices").format(segment=self._name_of(name))
                    action = menu.addAction(text)
                    action.triggered.connect(partial(self._restore_segment, name))

    def _name_of(self, name: str) -> str:
        return self._reference.GetSegmentation().GetSegment(name).GetName()


def _timer(milliseconds: int, call: Callable[[], object]) -> Any:
    """Return a timer that calls once, `milliseconds` after it was last started."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(call)
    return timer
