"""The section Compare models: two models on the open volume, their results side by side."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegModule.logic.ending import Ending
from TumorSegModule.logic.listeners import RunStarter
from TumorSegModule.logic.model_choice import called
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.widgets.model_selector import list_models
from TumorSegModule.widgets.series_section import SeriesSection
from TumorSegModule.widgets.side_by_side import SideBySide, agreements
from TumorSegModule.widgets.small_table import SmallTable

COLUMNS = (_("Segment"), _("Dice"), _("Left, ml"), _("Right, ml"), _("Difference, ml"))


class CompareSection(SeriesSection):
    """Drives the section's widgets."""

    def __init__(
        self, ui: Any, selection: Selection, session: Session, starter: RunStarter
    ) -> None:
        """Drive the widgets in `ui`; see `SeriesSection`."""
        super().__init__(ui, selection, session, starter)
        self._views = SideBySide()
        self._compared: slicer.vtkMRMLScalarVolumeNode | None = None
        self._waiting: list[Bundle] = []
        self._results: list[tuple[slicer.vtkMRMLSegmentationNode, Bundle]] = []
        self._note = ""
        self._selectors = (ui.compareFirstSelector, ui.compareSecondSelector)
        for selector in self._selectors:
            selector.currentIndexChanged.connect(self._changed)
        ui.compareButton.clicked.connect(self._start)
        ui.compareEndButton.clicked.connect(self._end)
        self._table = SmallTable(ui.compareTable, COLUMNS)
        self.show_bundles()

    @property
    def running(self) -> bool:
        """Whether one of the two models runs."""
        return self._number is not None

    def show_bundles(self) -> None:
        """List the models, at first two different ones."""
        bundles = self._selection.models.bundles
        for place, selector in enumerate(self._selectors):
            list_models(selector, bundles, first=place)
        self.show()

    def show(self) -> None:
        """Show what can be compared."""
        ui, volume = self._ui, self._selection.volume
        first, second = self._pair()
        ui.compareButton.enabled = (
            volume is not None and None not in (first, second) and first is not second
        ) and not self._session.busy
        ui.compareButton.text = _("Comparing…") if self.running else _("Compare")
        ui.compareTable.visible = self._views.active
        ui.compareEndButton.visible = self._views.active
        ui.compareNote.text = self._note
        ui.compareNote.visible = bool(self._note)

    def _go_on(self, ending: Ending) -> None:
        """Start the second model, or show both results."""
        if not ending.done:
            self._note = ending.line
        else:
            bundle = ending.options.bundle
            name = f"{ending.target.GetName()} ({called(bundle.specification)})"
            ending.target.SetName(slicer.mrmlScene.GenerateUniqueName(name))
            self._results.append((ending.target, bundle))
            if self._waiting:
                self._next()
            else:
                self._finish()
        self.show()

    def scene_opened(self) -> None:
        """Show again what was hidden in a scene that was saved during a comparison."""
        self._views.restore_saved()

    def forget(self) -> None:
        """End it, as when the scene is closed: the views stay, for the next one."""
        self._views.end()
        self._series = self._number = self._compared = None
        self._waiting, self._results, self._note = [], [], ""
        self.show()

    def _start(self, *_checked: Any) -> None:
        self._series, self._compared = self._starter.series(), self._selection.volume
        self._waiting = [bundle for bundle in self._pair() if bundle is not None]
        self._results, self._note = [], ""
        self._next()
        if self.running:
            self._views.end()
        self.show()

    def _next(self) -> None:
        """Start the next model; a problem ends the comparison."""
        assert self._series is not None
        try:
            self._number = self._series.start(self._compared, self._waiting.pop(0))
        except TumorSegError as error:
            self._note = str(error)

    def _finish(self) -> None:
        volume, nodes = self._compared, [node for node, _bundle in self._results]
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in (volume, *nodes)):
            self._note = _("A result was removed meanwhile; compare again.")
            return
        try:
            structures = agreements(nodes[0], nodes[1], placement_of(volume))
        except InputError as error:
            self._note = str(error)
            return
        self._views.show(volume, *nodes)
        left, right = (bundle.specification for _node, bundle in self._results)
        self._note = _("Left: {left}. Right: {right}.").format(
            left=called(left), right=called(right)
        )
        if not structures:
            self._note += " " + _("They have no segment of the same name.")
        self._table.fill(
            [
                (
                    item.name,
                    f"{item.dice:.3f}",
                    f"{item.first_ml:.1f}",
                    f"{item.second_ml:.1f}",
                    f"{item.difference_ml:+.1f}",
                )
                for item in structures
            ]
        )

    def _end(self, *_checked: Any) -> None:
        self._views.end()
        self._note = ""
        self.show()

    def _pair(self) -> list[Bundle | None]:
        """Return the two models, None where none is chosen."""
        by_id = {bundle.id: bundle for bundle in self._selection.models.bundles}
        return [by_id.get(selector.itemData(selector.currentIndex)) for selector in self._selectors]

    def _changed(self, *_overloaded: Any) -> None:
        self.show()
