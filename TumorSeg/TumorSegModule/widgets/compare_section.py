"""The section Compare models: two models on the open volume, their results side by side."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegModule.logic.ending import Ending
from TumorSegModule.logic.listeners import RunStarter, Series
from TumorSegModule.logic.model_choice import called
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.widgets.side_by_side import SideBySide, agreements
from TumorSegModule.widgets.small_table import SmallTable

COLUMNS = (_("Segment"), _("Dice"), _("Left, ml"), _("Right, ml"), _("Difference, ml"))


class CompareSection:
    """Drives the section's widgets."""

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
        self._views = SideBySide()
        self._series: Series | None = None
        self._number: int | None = None
        self._compared: slicer.vtkMRMLScalarVolumeNode | None = None
        self._waiting: list[Bundle] = []
        self._results: list[tuple[slicer.vtkMRMLSegmentationNode, Bundle]] = []
        self._note = ""
        for selector in (ui.compareFirstSelector, ui.compareSecondSelector):
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
        selectors = (self._ui.compareFirstSelector, self._ui.compareSecondSelector)
        for place, selector in enumerate(selectors):
            chosen = selector.itemData(selector.currentIndex)
            selector.blockSignals(True)
            selector.clear()
            for bundle in bundles:
                selector.addItem(called(bundle.specification), bundle.id)
            index = selector.findData(chosen)
            selector.currentIndex = index if index >= 0 else min(place, len(bundles) - 1)
            selector.blockSignals(False)
        self.show()

    def show(self) -> None:
        """Show what can be compared."""
        ui, volume = self._ui, self._selection.volume
        first, second = self._chosen()
        ui.compareButton.enabled = (
            volume is not None and None not in (first, second) and first is not second
        ) and not self._session.busy
        ui.compareButton.text = _("Comparing…") if self.running else _("Compare")
        ui.compareTable.visible = self._views.active
        ui.compareEndButton.visible = self._views.active
        ui.compareNote.text = self._note
        ui.compareNote.visible = bool(self._note)

    def run_ended(self, ending: Ending) -> None:
        """Start the second model, or show both results; other runs are none of ours."""
        if ending.number != self._number:
            return
        self._number = None
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

    def forget(self) -> None:
        """Let go of the nodes, as when the scene is closed."""
        self._views.forget()
        self._series = self._number = self._compared = None
        self._waiting, self._results, self._note = [], [], ""
        self.show()

    def _start(self, *_checked: Any) -> None:
        self._series, self._compared = self._starter.series(), self._selection.volume
        self._waiting = [bundle for bundle in self._chosen() if bundle is not None]
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
            found = agreements(nodes[0], nodes[1], placement_of(volume))
        except InputError as error:
            self._note = str(error)
            return
        self._views.show(volume, *nodes)
        left, right = (bundle.specification for _node, bundle in self._results)
        self._note = _("Left: {left}. Right: {right}.").format(
            left=called(left), right=called(right)
        )
        if not found:
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
                for item in found
            ]
        )

    def _end(self, *_checked: Any) -> None:
        self._views.end()
        self._note = ""
        self.show()

    def _chosen(self) -> list[Bundle | None]:
        """Return the two models, None where none is chosen."""
        by_id = {bundle.id: bundle for bundle in self._selection.models.bundles}
        selectors = (self._ui.compareFirstSelector, self._ui.compareSecondSelector)
        return [by_id.get(selector.itemData(selector.currentIndex)) for selector in selectors]

    def _changed(self, *_overloaded: Any) -> None:
        self.show()
