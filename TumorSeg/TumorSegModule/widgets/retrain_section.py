"""The section Retrain: corrected cases become a new version of a model, in the background."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import TumorSegError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import user_folder
from TumorSegLib.model.default_models import make_default
from TumorSegLib.model.licences import licence_of
from TumorSegModule.logic.listeners import ModelListener
from TumorSegModule.logic.retrain_plot import RetrainPlot
from TumorSegModule.logic.retrain_process import RetrainProcess, RetrainRequest, State
from TumorSegModule.logic.run_status import in_words
from TumorSegModule.logic.selection import Selection
from TumorSegModule.widgets.installation import ensure_installed
from TumorSegModule.widgets.model_selector import list_models
from TumorSegModule.widgets.small_table import SmallTable
from TumorSegModule.widgets.status_section import PROBLEM_STYLE

POLL_MILLISECONDS = 500
EPOCHS, HOURS = "epochs", "hours"
COLUMNS = (_("Held out"), _("Structure"), _("Base"), _("New"), _("Change"))


class RetrainSection:
    """Drives the section's widgets; the run is that of `process`."""

    def __init__(
        self, ui: Any, process: RetrainProcess, selection: Selection, listener: ModelListener
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            process: of the run.
            selection: has the models.
            listener: told when there is a new model, or another default.
        """
        self.process = process
        self.plot = RetrainPlot()
        self._ui = ui
        self._selection = selection
        self._listener = listener
        self._made_default = False
        self._chart_wanted = False
        self._typing = False
        for text, unit in ((_("epochs"), EPOCHS), (_("hours at most"), HOURS)):
            ui.retrainUnitSelector.addItem(text, unit)
        ui.retrainUnitSelector.currentIndexChanged.connect(self._unit_changed)
        ui.retrainDatasetButton.clicked.connect(lambda *_: self._choose(ui.retrainDatasetEdit))
        ui.retrainOldButton.clicked.connect(lambda *_: self._choose(ui.retrainOldEdit))
        ui.retrainDatasetEdit.textEdited.connect(self._typed)
        ui.retrainDatasetEdit.textChanged.connect(self._changed)
        ui.retrainDatasetEdit.editingFinished.connect(self._entered)
        ui.retrainBaseSelector.currentIndexChanged.connect(self._changed)
        ui.retrainStartButton.clicked.connect(self._start_or_stop)
        ui.retrainResumeButton.clicked.connect(lambda *_: self.start(resume=True))
        ui.retrainPlotButton.clicked.connect(self._show_chart)
        ui.retrainReportButton.clicked.connect(self._open_report)
        ui.retrainDefaultButton.clicked.connect(self._make_default)
        self._table = SmallTable(ui.retrainTable, COLUMNS)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self._poll)
        self._unit_changed()
        self.show_bundles()

    def show_bundles(self) -> None:
        """List the models that can be retrained, networks of their own."""
        bundles = [
            bundle for bundle in self._selection.models.bundles if bundle.specification.network
        ]
        list_models(self._ui.retrainBaseSelector, bundles)
        self.show()

    @property
    def request(self) -> RetrainRequest:
        """What the widgets ask for."""
        ui = self._ui
        unit = ui.retrainUnitSelector.itemData(ui.retrainUnitSelector.currentIndex)
        amount = ui.retrainAmountBox.value
        return RetrainRequest(
            ui.retrainDatasetEdit.text.strip(),
            ui.retrainBaseSelector.itemData(ui.retrainBaseSelector.currentIndex) or "",
            epochs=round(amount) if unit == EPOCHS else None,
            hours=amount if unit == HOURS else None,
            old_cases=ui.retrainOldEdit.text.strip(),
        )

    def start(self, *, resume: bool = False) -> None:
        """Start a run or go on with one; problems are shown, not raised."""
        if self.process.busy or not ensure_installed(
            lambda: self.start(resume=resume), training=True
        ):
            return
        try:
            self.process.start(self.request, resume=resume)
        except OSError as error:
            line = f"{error.filename or ''}: {error.strerror or error}"
            self.process.state = State("failed", line=line)
        self._made_default, self._chart_wanted, self._typing = False, True, False
        self.plot.update(self.process.state.rows)
        self._timer.start()
        self.show()

    def scene_closed(self) -> None:
        """The next scene is another patient's: it gets a chart only if the user wants one."""
        self._chart_wanted = False

    def close(self) -> None:
        """Slicer ends, or the module is reloaded: end the run; it can be resumed."""
        self._timer.stop()
        self.process.close()

    def show(self) -> None:
        """Show how the run stands."""
        ui, state, busy = self._ui, self.process.state, self.process.busy
        request = self.request
        complete = bool(request.dataset and request.base)
        stopping = state.stage == "stopping"
        ui.retrainStartButton.text = _("Stop") if busy else _("Start")
        ui.retrainStartButton.enabled = (busy or complete) and not stopping
        ready = complete and not busy and not self._typing  # files are looked at, maybe far away
        ui.retrainResumeButton.visible = ready and self.process.resumable(request) is not None
        ui.retrainProgressBar.visible = busy
        done, total = _progress(state)
        ui.retrainProgressBar.setRange(0, total)
        ui.retrainProgressBar.value = done
        ui.retrainProgressBar.format = progress_text(state)
        line = status_text(state, self.process.can_go_on)
        ui.retrainStatusLabel.text = line
        ui.retrainStatusLabel.visible = bool(line)
        ui.retrainStatusLabel.styleSheet = PROBLEM_STYLE if state.stage == "failed" else ""
        base = next((b for b in self._selection.models.bundles if b.id == request.base), None)
        ui.retrainLicenceNote.text = licence_note(base)
        ui.retrainLicenceNote.visible = bool(licence_note(base))
        ui.retrainPlotButton.visible = bool(state.rows)
        result = state.result
        ui.retrainReportButton.visible = result is not None
        ui.retrainTable.visible = result is not None
        ui.retrainDefaultButton.visible = result is not None and result.better
        ui.retrainDefaultButton.enabled = not self._made_default
        ui.retrainDefaultButton.text = (
            _("Is used by default now") if self._made_default else _("Use by default")
        )

    def _poll(self) -> None:
        if self.process.poll():
            if self._chart_wanted and self.plot.chart is None:
                self._show_chart()
            elif self._chart_wanted:
                self.plot.update(self.process.state.rows)
            self.show()
        if not self.process.busy:
            self._timer.stop()
            if self.process.state.stage == "done":
                self._show_result()
                self._listener.models_changed()

    def _show_chart(self, *_clicked: Any) -> None:
        self._chart_wanted = True
        self.plot.update(self.process.state.rows)
        self.plot.show()

    def _show_result(self) -> None:
        result = self.process.state.result
        if result is None:
            return
        words = {"new": _("new ({count})"), "old": _("old ({count})")}
        self._table.fill(
            [
                (
                    words[row["cases"]].format(count=row["patients"]),
                    row["structure"],
                    f"{row['base']:.3f}",
                    f"{row['retrained']:.3f}",
                    f"{row['difference']['mean']:+.3f}",
                )
                for row in result.rows
            ]
        )

    def _start_or_stop(self, *_checked: Any) -> None:
        if self.process.busy:
            self.process.stop()
            self.show()
        else:
            self.start()

    def _choose(self, edit: Any) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder of a data set"), edit.text
        )
        if folder:
            self._typing = False  # on a Mac a button's click does not end typing
            edit.text = folder

    def _open_report(self, *_checked: Any) -> None:
        result = self.process.state.result
        if result is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(result.page))

    def _make_default(self, *_checked: Any) -> None:
        """Use the new model where none is named; it is offered only if it is better."""
        result = self.process.state.result
        found = [b for b in self._selection.models.bundles if result and b.id == result.id]
        bundle = next(iter(found), None)
        if bundle is None:
            return
        try:
            make_default(bundle.specification, user_folder())
        except TumorSegError as error:
            slicer.util.errorDisplay(str(error), windowTitle="TumorSeg")
            return
        self._made_default = True
        self._listener.models_changed()
        self.show()

    def _unit_changed(self, *_overloaded: Any) -> None:
        box, ui = self._ui.retrainAmountBox, self._ui
        hours = ui.retrainUnitSelector.itemData(ui.retrainUnitSelector.currentIndex) == HOURS
        box.decimals = 1 if hours else 0
        box.minimum = 0.1 if hours else 1
        box.value = 1.0 if hours else 10

    def _typed(self, *_text: Any) -> None:
        self._typing = True

    def _entered(self) -> None:
        self._typing = False
        self.show()

    def _changed(self, *_overloaded: Any) -> None:
        self.show()


def licence_note(base: Bundle | None) -> str:
    """Return what the licence of a base says of weights that are trained on from it."""
    if base is None or not base.specification.licence:
        return ""
    licence = licence_of(base.specification.licence)
    return f"{licence.name}: {licence.retraining}"


def _progress(state: State) -> tuple[int, int]:
    """Return steps done and in all; no steps in all: it cannot be said."""
    if state.stage in ("training", "stopping") and state.steps:
        done = (state.epoch - 1) * state.steps + state.step if state.epoch else 0
        return done, state.epochs * state.steps
    return (state.measured, state.cases) if state.stage == "measuring" else (0, 0)


def progress_text(state: State) -> str:
    """Return "epoch 3 of 10, 4 min left"."""
    if state.stage == "measuring":
        return _("Measuring held-out cases, {done} of {total}").format(
            done=state.measured, total=state.cases
        )
    if state.stage == "stopping":
        return _("Stopping…")
    if state.stage != "training" or not state.epochs:
        return _("Reading cases…")
    text = _("epoch {epoch} of {epochs}").format(epoch=max(1, state.epoch), epochs=state.epochs)
    if state.seconds_left is None:
        return text
    return _("{text}, {time} left").format(text=text, time=in_words(state.seconds_left))


def status_text(state: State, resumable: bool) -> str:
    """Return the line below the bar."""
    if state.stage == "done" and state.result is not None:
        result = state.result
        if not result.better:
            return _(
                "{id} is {reason}. It is not in the list of models; it lies in {folder}."
            ).format(id=result.id, reason=result.reason, folder=result.folder)
        return _("{id} is {reason}. It is in the list of models.").format(
            id=result.id, reason=result.reason
        )
    if state.stage == "stopped":
        return (
            _("Stopped after a whole epoch; Resume goes on.")
            if resumable
            else _("Stopped before an epoch was complete.")
        )
    if state.stage == "failed":
        return state.line
    if state.rows and "dice" in state.rows[max(state.rows)]:
        now, base = state.rows[max(state.rows)]["dice"], state.rows.get(0, {}).get("dice")
        text = _("Dice on held-out cases {now:.3f}").format(now=now)
        return text if base is None else text + _("; the base has {base:.3f}").format(base=base)
    return ""
