"""Which slices to look at, what was corrected, and the model's mask back. MRML, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import slicer

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.nodes import is_reviewed, set_correction, set_reviewed
from TumorSegModule.logic import model_baseline, uncertainty_map
from TumorSegModule.logic.correction import Comparison, compare
from TumorSegModule.logic.frame_shown import save_marks
from TumorSegModule.logic.later import Later
from TumorSegModule.logic.observers import Observers
from TumorSegModule.logic.review_texts import correction_text, review_text
from TumorSegModule.logic.segments import say_who_drew
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.slice_figures import (
    FIGURES_TAKEN,
    SliceFigures,
    figures_of,
    write_figures,
)
from TumorSegModule.logic.slice_views import show_slice, shown_slice
from TumorSegModule.logic.uncertainty_layer import UncertaintyLayer
from TumorSegModule.logic.view import Editor

SEEN_SECONDS = 0.5
"""A slice that stays in the views for so long has been looked at."""

COMPARE_SECONDS = 0.3
"""Rest after an edit before it is compared with the model's mask."""


@dataclass(frozen=True)
class Strip:
    """All slices, a number or flag each, the most inferior first.

    Attributes:
        areas: mm2 that the segments cover.
        corrections: mm2 that are expected to need correction.
        unsure: indices of the slices to look at.
        seen: indices of those that were looked at.
        changed: indices of those that were edited.
    """

    areas: tuple[float, ...] = ()
    corrections: tuple[float, ...] = ()
    unsure: frozenset[int] = frozenset()
    seen: frozenset[int] = frozenset()
    changed: frozenset[int] = frozenset()


class ReviewView(Protocol):
    """Who shows a review."""

    def show_review(self) -> None:
        """Show all of it anew."""

    def show_strip(self) -> None:
        """Show strip and note anew."""

    def show_place(self) -> None:
        """The views show another slice."""

    def show_correction(self) -> None:
        """Show strip and corrections anew."""

    def show_layer(self) -> None:
        """Show anew whether what the model doubted can be seen."""

    def segmentation_edited(self) -> None:
        """The segmentation was written to, by whomever; told soon after."""


class Review:
    """Reviews one segmentation at a time.

    Attributes:
        target: segmentation under review, None if there is none.
        figures: of its slices, None if they are not known.
        correction: since the model ran, None where that is not known.
        current: the axial slice that the views show, None if they show none.
        layer: what the model doubted, over the views.
    """

    def __init__(self, session: Session, editor: Editor, later: Later, view: ReviewView) -> None:
        """Review nothing yet.

        Args:
            session: has the last run.
            editor: has Undo.
            later: has timers.
            view: shows the review.
        """
        self.target: Any = None
        self.figures: SliceFigures | None = None
        self.correction: Comparison | None = None
        self.current: int | None = None
        self._editor, self._view = editor, view
        self._reference: Any = None
        self._place: list[float] | None = None
        self._rank = -1
        self._observers = Observers()
        self._scene_tag: int | None = None
        self._views: dict[str, tuple[slicer.vtkMRMLSliceNode, int]] = {}
        self._comparing = later.pieces()
        self.layer = UncertaintyLayer(session, later.pieces(), view.show_layer)
        self._seen = later.rest(SEEN_SECONDS, self._note_seen)
        self._told = later.rest(0, view.segmentation_edited)
        self._taken = later.rest(0, self.refresh)
        self._rest = later.rest(COMPARE_SECONDS, self._start_comparison)
        self._browsed = later.rest(COMPARE_SECONDS, self.refresh)

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
        for rest in (self._taken, self._browsed, self._rest):
            rest.stop()
        self._rank, self._place = -1, None
        self.figures = figures_of(self.target) if self.target is not None else None
        self.correction = None
        self._view.show_review()
        self._look()
        if self.figures is not None:
            self._start_comparison()
        self.layer.show(self.target)

    def close(self) -> None:
        """Let go of the nodes, as before the scene is closed."""
        self.layer.show(None)
        self._let_go()
        self.target = self.figures = None
        for rest in (self._seen, self._told):
            rest.stop()
        for node, tag in self._views.values():
            node.RemoveObserver(tag)
        self._views = {}
        if self._scene_tag is not None:
            slicer.mrmlScene.RemoveObserver(self._scene_tag)
            self._scene_tag = None
        self._view.show_review()

    def step(self, by: int) -> None:
        """Go to the slice that is most likely to need correction, then to the next."""
        unsure = self.figures.unsure if self.figures is not None else []
        if unsure:
            first = max(self._rank + by, 0)
            self.go_to(unsure[first if self._rank < 0 else (self._rank + by) % len(unsure)])

    def go_to(self, index: int) -> None:
        """Have the views show an axial slice, 0 the most inferior."""
        if self.figures is None or not 0 <= index < len(self.figures):
            return
        try:
            self._place = show_slice(self.target, self.figures, index)
        except InputError:
            return
        if index in self.figures.unsure:
            self._rank = self.figures.unsure.index(index)
        self._set_current(index)

    def mark_reviewed(self, reviewed: bool) -> None:
        """Keep with the segmentation whether somebody has reviewed it."""
        if self.target is not None:
            set_reviewed(self.target, reviewed)
            self.target.Modified()  # or Slicer would not ask to save it

    def restore_slice(self) -> None:
        """Make what the model left of the slice that the views show; one step of Undo."""
        if self.current is not None and self.figures is not None:
            self._editor.save_for_undo()
            model_baseline.restore_slice(self.target, self._reference, self.figures, self.current)

    def restore_segment(self, name: str) -> None:
        """Make what the model left of a segment; one step of Undo."""
        if self.figures is not None:
            self._editor.save_for_undo()
            model_baseline.restore_segment(self.target, self._reference, self.figures, name)

    @property
    def busy(self) -> bool:
        """Whether segments are being compared, or the map is being made."""
        waiting = any(rest.waiting for rest in (self._rest, self._taken, self._browsed))
        return waiting or self._comparing.busy or self.layer.busy

    @property
    def seen(self) -> frozenset[int]:
        """The axial slices that were looked at."""
        return self.figures.seen if self.figures is not None else frozenset()

    @property
    def unsure(self) -> bool:
        """Whether there are slices to look at."""
        return self.figures is not None and bool(self.figures.unsure)

    @property
    def reviewed(self) -> bool:
        """Whether somebody has reviewed it."""
        return self.figures is not None and is_reviewed(self.target)

    @property
    def note(self) -> str:
        """Which slice is shown, and how many were looked at."""
        return review_text(self.figures, self.current) if self.figures is not None else ""

    @property
    def correction_note(self) -> str:
        """What was corrected, "" where that is not known."""
        return correction_text(self.correction, self._name_of)

    @property
    def restorable(self) -> dict[str, str]:
        """Names of the segments that differ from the model's, by their ids."""
        if self.correction is None:
            return {}
        changes = self.correction.segments.items()
        return {name: self._name_of(name) for name, change in changes if change.slices}

    @property
    def strip(self) -> Strip:
        """What is known of all slices."""
        figures, correction = self.figures, self.correction
        if figures is None:
            return Strip()
        changed = correction.changed if correction is not None else ()
        return Strip(
            correction.areas if correction is not None else figures.areas,
            figures.corrections,
            frozenset(figures.unsure),
            figures.seen,
            frozenset(index for index, area in enumerate(changed) if area > 0),
        )

    def _observe(self) -> None:
        self._observers.add_edits(self.target, self._edited)
        self._observers.add(self.target, FIGURES_TAKEN, self._figures_taken)
        moved, another = self.target.TransformModifiedEvent, self.target.SegmentationChangedEvent
        self._observers.add(self.target, moved, self._changed_as_a_whole)
        self._observers.add(self.target, another, self._changed_as_a_whole)
        if self._scene_tag is None:  # also of a target that is let go of before it is removed
            scene = slicer.mrmlScene
            self._scene_tag = scene.AddObserver(scene.NodeRemovedEvent, self._node_removed)

    def _let_go(self) -> None:
        self._observers.clear()
        self._comparing.stop()
        self.layer.stop()
        for rest in (self._taken, self._browsed, self._rest):
            rest.stop()

    def _watch_views(self) -> None:
        """Follow the slice views, also those that a new layout brought."""
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if view.GetID() not in self._views:
                self._views[view.GetID()] = (view, view.AddObserver("ModifiedEvent", self._look))

    def _edited(self, *_event: Any) -> None:
        self._told.start()
        if self.figures is not None:
            self._rest.start()

    def _figures_taken(self, *_event: Any) -> None:
        self._taken.start()  # the run that brings them is not over yet

    def _changed_as_a_whole(self, *_event: Any) -> None:
        """It was moved, or is of another frame: what was known may be known no more."""
        self._comparing.stop()
        self._rest.stop()  # the refresh compares, too
        self.figures, self.correction = figures_of(self.target), None
        self._seen.start()
        self._browsed.start()

    def _node_removed(self, scene: slicer.vtkMRMLScene, _event: Any) -> None:
        if not (scene.IsClosing() or scene.IsImporting()):
            model_baseline.remove_orphans()
            uncertainty_map.remove_orphans()

    def _look(self, *_event: Any) -> None:
        """Note which slice the views show."""
        index = None
        if self.figures is not None:
            try:
                index = shown_slice(self.target, self.figures, self._place)
            except InputError:
                index = None
        if index != self.current:
            self._set_current(index)

    def _set_current(self, index: int | None) -> None:
        self.current = index
        self._seen.start()
        self._view.show_place()

    def _note_seen(self) -> None:
        if self.figures is None or self.current is None or self.current in self.figures.seen:
            return
        self.figures = replace(self.figures, seen=self.figures.seen | {self.current})
        write_figures(self.target, self.figures)
        save_marks(self.target)
        self._view.show_strip()

    def _start_comparison(self) -> None:
        self._reference = model_baseline.reference_of(self.target)
        self._comparing.stop()
        if self._reference is not None and self.figures is not None:
            comparison = compare(self.target, self._reference, self.figures)
            self._comparing.start(comparison, self._take_correction)
        else:
            self._take_correction(None)

    def _take_correction(self, correction: Comparison | None) -> None:
        self.correction = correction
        set_correction(self.target, correction.summary if correction is not None else None)
        for name, change in correction.segments.items() if correction is not None else ():
            corrected = change.slices > 0
            say_who_drew(self.target.GetSegmentation(), name, corrected=corrected)
        save_marks(self.target)
        self._view.show_correction()

    def _name_of(self, name: str) -> str:
        return self._reference.GetSegmentation().GetSegment(name).GetName()
