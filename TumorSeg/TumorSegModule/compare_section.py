"""The section Compare models: two models on the open volume, their results side by side."""

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegModule.geometry import placement_of
from TumorSegModule.model_choice import called
from TumorSegModule.side_by_side import SideBySide, agreements
from TumorSegModule.small_table import SmallTable

COLUMNS = (_("Segment"), _("Dice"), _("Left, ml"), _("Right, ml"), _("Difference, ml"))


class CompareSection:
    """Drives the section's widgets."""

    def __init__(self, ui, bundles, volume, run):
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            bundles: returns the models that segment.
            volume: returns the volume chosen in the panel.
            run: starts a run of a model on a volume; returns whether it runs.
        """
        self._ui = ui
        self._bundles = bundles
        self._volume = volume
        self._run = run
        self._views = SideBySide()
        self._waiting = []
        self._results = []
        self._volume_id = None
        self._note = ""
        for selector in (ui.compareFirstSelector, ui.compareSecondSelector):
            selector.currentIndexChanged.connect(self._changed)
        ui.compareButton.clicked.connect(self._start)
        ui.compareEndButton.clicked.connect(self._end)
        self._table = SmallTable(ui.compareTable, COLUMNS)
        self.show_bundles()

    @property
    def running(self):
        """Whether one of the two models runs."""
        return bool(self._waiting)

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
        ) and not self.running
        ui.compareButton.text = _("Comparing…") if self.running else _("Compare")
        ui.compareTable.visible = self._views.active
        ui.compareEndButton.visible = self._views.active
        ui.compareNote.text = self._note
        ui.compareNote.visible = bool(self._note)

    def take(self, target, bundle):
        """Keep a result of the comparison."""
        name = f"{target.GetName()} ({called(bundle.specification)})"
        target.SetName(slicer.mrmlScene.GenerateUniqueName(name))
        self._results.append((target.GetID(), bundle))

    def run_ended(self, failure):
        """Start the second model, or show both results."""
        if not self.running:
            return
        self._waiting.pop(0)
        if failure:
            self._waiting, self._note = [], failure
        elif self._waiting:
            self._next()
        else:
            self._finish()
        self.show()

    def forget(self):
        """Let go of the nodes, as when the scene is closed."""
        self._views.forget()
        self._waiting, self._results, self._note = [], [], ""
        self.show()

    def _start(self, *_checked):
        self._views.end()
        self._results, self._note = [], ""
        self._volume_id = self._volume().GetID()
        self._waiting = list(self._chosen())
        self._next()
        self.show()

    def _next(self):
        volume = slicer.mrmlScene.GetNodeByID(self._volume_id)
        if volume is None or not self._run(volume, self._waiting[0]):
            self._waiting = []

    def _finish(self):
        scene = slicer.mrmlScene
        volume = scene.GetNodeByID(self._volume_id)
        nodes = [scene.GetNodeByID(node_id) for node_id, _bundle in self._results]
        if volume is None or len(nodes) != 2 or None in nodes:
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
