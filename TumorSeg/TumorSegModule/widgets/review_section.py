"""The section Review: which slices to look at, what was corrected, and the model's mask back."""

import time
from dataclasses import replace
from functools import partial

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.nodes import is_reviewed, set_correction, set_reviewed
from TumorSegModule.logic import reference, uncertainty_map
from TumorSegModule.logic.correction import compare
from TumorSegModule.logic.slice_figures import figures_of, write_figures
from TumorSegModule.widgets.slice_strip import SliceStrip, Strip
from TumorSegModule.widgets.slice_views import show_slice, shown_slice

SEEN_MILLISECONDS = 500
"""A slice that stays in the views for so long has been looked at."""

COMPARE_MILLISECONDS = 300
"""Rest after an edit before it is compared with the model's mask."""

WORK_SECONDS = 0.01
"""Longest time that one turn of the event loop spends on comparing or on the map."""

NEXT_KEY, PREVIOUS_KEY = "N", "P"
"""Neither Slicer's views nor its Segment Editor and its effects use these."""


class ReviewSection:
    """Drives the section's widgets for one segmentation at a time.

    Attributes:
        strip: the plot of all slices.
        target: segmentation under review, None if there is none.
    """

    def __init__(self, ui, session, editor, edited):
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            session: has the last run.
            editor: has Undo.
            edited: called soon after the segmentation was written to, by whomever.
        """
        self._ui = ui
        self._session = session
        self._editor = editor
        self.target = None
        self._figures = self._reference = self._correction = None
        self._place = None
        self._rank = -1
        self._current = None
        self._observed = []
        self._scene_tag = None
        self._views = {}
        self._comparison = self._mapping = None
        self._mapped = None
        self._overlay = uncertainty_map.Overlay()
        self.strip = SliceStrip(self.go_to)
        ui.reviewSection.layout().insertWidget(0, self.strip)
        ui.nextUnsureButton.clicked.connect(self._next)
        ui.previousUnsureButton.clicked.connect(self._previous)
        ui.nextUnsureButton.setShortcut(qt.QKeySequence(NEXT_KEY))
        ui.previousUnsureButton.setShortcut(qt.QKeySequence(PREVIOUS_KEY))
        ui.uncertaintyBox.toggled.connect(self._show_map)
        ui.reviewedBox.clicked.connect(self._mark_reviewed)
        self._restore_menu = qt.QMenu()
        ui.restoreButton.setMenu(self._restore_menu)
        self._seen_timer = _timer(SEEN_MILLISECONDS, self._note_seen)
        self._told_timer = _timer(0, edited)
        self._edit_timer = _timer(COMPARE_MILLISECONDS, self._start_comparison)
        self._work_timer = qt.QTimer()
        self._work_timer.timeout.connect(self._work)
        self._show()

    def edit(self, target):
        """Review a segmentation, None for none; nothing happens if it is under review already."""
        if target is not self.target:
            self._let_go()
            self.target = target
            if target is not None:
                self._observe()
            self.refresh()
        self._watch_views()

    def refresh(self):
        """Read anew what is kept with the segmentation, as after a run."""
        self._rank, self._place = -1, None
        self._figures = figures_of(self.target) if self.target is not None else None
        self._correction = None
        self._mapping = None
        self._show()
        self._look()
        if self._figures is not None:
            self._start_comparison()
        self._show_map()

    def close(self):
        """Let go of the nodes, as before the scene is closed."""
        self._overlay.show(None)
        self._let_go()
        self.target = self._figures = None
        for timer in (self._seen_timer, self._told_timer, self._edit_timer, self._work_timer):
            timer.stop()
        for node, tag in self._views.values():
            node.RemoveObserver(tag)
        self._views = {}
        if self._scene_tag is not None:
            slicer.mrmlScene.RemoveObserver(self._scene_tag)
            self._scene_tag = None
        self._show()

    def go_to(self, index):
        """Have the views show a slice."""
        try:
            self._place = show_slice(self.target, self._figures, index)
        except InputError:
            return
        unsure = self._figures.unsure
        if index in unsure:
            self._rank = unsure.index(index)
        self._set_current(index)

    @property
    def current(self):
        """The axial slice that the views show, None if they show none."""
        return self._current

    @property
    def seen(self):
        """The axial slices that were looked at."""
        return self._figures.seen if self._figures is not None else frozenset()

    @property
    def busy(self):
        """Whether segments are being compared, or the map is being made."""
        return bool(self._comparison or self._mapping or self._edit_timer.active)

    def _next(self, *_clicked):
        self._step(1)

    def _previous(self, *_clicked):
        self._step(-1)

    def _step(self, step):
        unsure = self._figures.unsure
        rank = max(self._rank + step, 0) if self._rank < 0 else (self._rank + step) % len(unsure)
        self.go_to(unsure[rank])

    def _observe(self):
        segmentation = slicer.vtkSegmentation
        for event in (
            segmentation.SourceRepresentationModified,
            segmentation.SegmentModified,  # Undo says no more
            segmentation.SegmentAdded,
            segmentation.SegmentRemoved,
        ):
            self._observed.append((self.target, self.target.AddObserver(event, self._edited)))
        if self._scene_tag is None:  # also of a target that is let go of before it is removed
            scene = slicer.mrmlScene
            self._scene_tag = scene.AddObserver(scene.NodeRemovedEvent, self._node_removed)

    def _let_go(self):
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []
        self._comparison = self._mapping = None
        self._edit_timer.stop()

    def _watch_views(self):
        """Follow the slice views, also those that a new layout brought."""
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if view.GetID() not in self._views:
                self._views[view.GetID()] = (view, view.AddObserver("ModifiedEvent", self._look))

    def _edited(self, *_event):
        self._told_timer.start()
        if self._figures is not None:
            self._edit_timer.start()

    def _node_removed(self, scene, _event):
        if not (scene.IsClosing() or scene.IsImporting()):
            reference.remove_orphans()
            uncertainty_map.remove_orphans()

    def _look(self, *_event):
        """Note which slice the views show."""
        index = None
        if self._figures is not None:
            try:
                index = shown_slice(self.target, self._figures, self._place)
            except InputError:
                index = None
        if index != self._current:
            self._set_current(index)

    def _set_current(self, index):
        self._current = index
        self.strip.show_current(index)
        self._seen_timer.start()
        self._show_note()

    def _note_seen(self):
        if self._figures is None or self._current is None or self._current in self._figures.seen:
            return
        self._figures = replace(self._figures, seen=self._figures.seen | {self._current})
        write_figures(self.target, self._figures)
        self._show_strip()
        self._show_note()

    def _mark_reviewed(self, *_clicked):
        set_reviewed(self.target, self._ui.reviewedBox.checked)
        self._show_note()

    def _start_comparison(self):
        self._reference = reference.reference_of(self.target)
        self._comparison = None
        if self._reference is not None:
            self._comparison = compare(self.target, self._reference, self._figures)
            self._work_timer.start()
        else:
            self._take_correction(None)

    def _take_correction(self, correction):
        self._correction = correction
        set_correction(self.target, correction.summary if correction is not None else None)
        self._show_strip()
        self._show_correction()

    def _work(self):
        """Go on with what takes longer than a turn of the event loop."""
        until = time.perf_counter() + WORK_SECONDS
        while time.perf_counter() < until:
            try:
                if self._comparison is not None:
                    next(self._comparison)
                elif self._mapping is not None:
                    next(self._mapping)
                else:
                    self._work_timer.stop()
                    return
            except StopIteration as end:
                if self._comparison is not None:
                    self._comparison = None
                    self._take_correction(end.value)
                else:
                    self._mapping = None
                    self._overlay.show(uncertainty_map.map_of(self.target))

    def _show_map(self, *_toggled):
        """Show or hide the map, which is made when it is wanted for the first time."""
        box, self._mapping = self._ui.uncertaintyBox, None
        if self.target is None:
            self._overlay.show(None)
            return
        node = uncertainty_map.map_of(self.target)
        result = self._session.probabilities_of(self.target)
        if result is not None and node is not None and self._mapped != result[0]:
            self._overlay.show(None)
            uncertainty_map.remove_map(self.target)  # of an earlier run
            node = None
        box.enabled = node is not None or result is not None
        box.toolTip = (
            _("Colour what the model doubted, from dark red to white, in all slice views")
            if box.enabled
            else _("Segment again: what the model doubted is kept for the last run only")
        )
        if box.checked and node is None and result is not None:
            self._mapped, volume, probabilities = result
            self._mapping = uncertainty_map.make_map(self.target, volume, probabilities)
            self._work_timer.start()
        else:
            self._overlay.show(node if box.checked else None)

    def _restore_slice(self, *_triggered):
        if self._current is not None:
            self._editor.save_for_undo()
            reference.restore_slice(self.target, self._reference, self._figures, self._current)

    def _restore_segment(self, name, *_triggered):
        self._editor.save_for_undo()
        reference.restore_segment(self.target, self._reference, self._figures, name)

    def _show(self):
        """Show what is known of the segmentation."""
        ui, figures = self._ui, self._figures
        ui.reviewSection.visible = figures is not None
        unsure = bool(figures is not None and figures.unsure)
        ui.nextUnsureButton.enabled = ui.previousUnsureButton.enabled = unsure
        ui.reviewedBox.checked = figures is not None and is_reviewed(self.target)
        self._show_strip()
        self._show_note()
        self._show_correction()

    def _show_strip(self):
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

    def _show_note(self):
        figures = self._figures
        if figures is None:
            return
        parts = []
        if self._current is not None:
            parts.append(
                _("Slice {number} of {count}").format(number=self._current + 1, count=len(figures))
            )
        unsure = figures.unsure
        parts.append(
            _("{seen} of {count} unsure slices looked at").format(
                seen=len(figures.seen & set(unsure)), count=len(unsure)
            )
            if unsure
            else _("no slice is unsure")
        )
        self._ui.reviewNote.text = " · ".join(parts)

    def _show_correction(self):
        correction, menu = self._correction, self._restore_menu
        changed = correction is not None and correction.whole.slices > 0
        self._ui.restoreButton.enabled = changed
        menu.clear()
        self._ui.correctionNote.text = self._correction_text()
        if changed:
            menu.addAction(_("On the slice shown")).triggered.connect(self._restore_slice)
            for name, change in correction.segments.items():
                if change.slices:
                    text = _("{segment}, on all slices").format(segment=self._name_of(name))
                    action = menu.addAction(text)
                    action.triggered.connect(partial(self._restore_segment, name))

    def _correction_text(self):
        correction = self._correction
        if correction is None:
            return ""
        if not correction.whole.slices:
            return _("Not corrected so far.")
        lines = [_("Corrected: {change}").format(change=_in_words(correction.whole))]
        if len(correction.segments) > 1:
            lines += [
                f"{self._name_of(name)}: {_in_words(change)}"
                for name, change in correction.segments.items()
                if change.slices
            ]
        return "\n".join(lines)

    def _name_of(self, name):
        return self._reference.GetSegmentation().GetSegment(name).GetName()


def _timer(milliseconds, call):
    """Return a timer that calls once, `milliseconds` after it was last started."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(call)
    return timer


def _in_words(change):
    slices = _("1 slice") if change.slices == 1 else _("{n} slices").format(n=change.slices)
    return _("{slices}, {ml:.1f} ml, Dice {dice:.3f} with the model's mask").format(
        slices=slices, ml=change.millilitres, dice=change.dice
    )
