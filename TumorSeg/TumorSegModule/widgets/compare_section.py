"""The section Compare models: two models on the open volume, their results side by side."""

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegModule.logic.model_choice import called
from TumorSegModule.widgets.side_by_side import SideBySide, agreements
from TumorSegModule.widgets.small_table import SmallTable

COLUMNS = (_("Segment"), _("Dice"), _("Left, ml"), _("Right, ml"), _("Difference, ml"))


class CompareSection:
    """Drives the section's widgets."""

    def __init__(self, ui, session, bundles, volume, series):
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            session: that has the run under way.
            bundles: returns the models that segment.
            volume: returns the volume chosen in the panel.
            series: returns what starts a run of a model on a volume node, with the settings of
                that moment; see `TumorSegModule.widgets.panel.Panel.series`.
        """
        self._ui = ui
        self._session = session
        self._bundles = bundles
        self._volume = volume
        self._series = series
        self._views = SideBySide()
        self._run = self._number = self._compared = None
        self._waiting, self._results, self._note = [], [], ""
        for selector in (ui.compareFirstSelector, ui.compareSecondSelector):
            selector.currentIndexChanged.connect(self._changed)
        ui.compareButton.clicked.connect(self._start)
        ui.compareEndButton.clicked.connect(self._end)
        self._table = SmallTable(ui.compareTable, COLUMNS)
        self.show_bundles()

    @property
    def running(self):
        """Whether one of the two models runs."""
        return self._number is not None

    def show_bundles(self):
        """List the models, at first two different ones."""
        bundles = self._bundles()
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

    def show(self):
        """Show what can be compared."""
        ui, volume = self._ui, self._volume()
        first, second = self._chosen()
        ui.compareButton.enabled = (
            volume is not None and None not in (first, second) and first is not second
        ) and not self._session.busy
        ui.compareButton.text = _("Comparing…") if self.running else _("Compare")
        ui.compareTable.visible = self._views.active
        ui.compareEndButton.visible = self._views.active
        ui.compareNote.text = self._note
        ui.compareNote.visible = bool(self._note)

    def run_ended(self, ending):
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

    def forget(self):
        """Let go of the nodes, as when the scene is closed."""
        self._views.forget()
        self._run = self._number = self._compared = None
        self._waiting, self._results, self._note = [], [], ""
        self.show()

    def _start(self, *_checked):
        self._run, self._compared = self._series(), self._volume()
        self._waiting, self._results, self._note = list(self._chosen()), [], ""
        self._next()
        if self.running:
            self._views.end()
        self.show()

    def _next(self):
        """Start the next model; a problem ends the comparison."""
        try:
            self._number = self._run(self._compared, self._waiting.pop(0))
        except TumorSegError as error:
            self._note = str(error)

    def _finish(self):
        volume, nodes = self._compared, [node for node, _bundle in self._results]
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in (volume, *nodes)):
            self._note = _("A result was removed meanwhile; compare again.")
            return
        try:
            found = agreements(*nodes, placement_of(volume))
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

    def _end(self, *_checked):
        self._views.end()
        self._note = ""
        self.show()

    def _chosen(self):
        """Return the two models, None where none is chosen."""
        by_id = {bundle.id: bundle for bundle in self._bundles()}
        selectors = (self._ui.compareFirstSelector, self._ui.compareSecondSelector)
        return [by_id.get(selector.itemData(selector.currentIndex)) for selector in selectors]

    def _changed(self, *_overloaded):
        self.show()
