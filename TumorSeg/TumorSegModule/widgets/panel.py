"""The panel: what the user chooses becomes a run, and a run's status is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import qt
import slicer

from TumorSegLib.errors import TumorSegError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue, default_catalogue
from TumorSegModule.logic import requirements
from TumorSegModule.logic.ending import Ending, Reason
from TumorSegModule.logic.frame_shown import Frames
from TumorSegModule.logic.frames import FrameRun
from TumorSegModule.logic.kept_nodes import SettingNode
from TumorSegModule.logic.pace import keep_pace
from TumorSegModule.logic.parameters import Parameters
from TumorSegModule.logic.retrain_process import RetrainProcess
from TumorSegModule.logic.run_options import Options
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.worker_client import WorkerClient, python_command
from TumorSegModule.widgets.advanced import AdvancedSection
from TumorSegModule.widgets.compare_section import CompareSection
from TumorSegModule.widgets.dialogs import ask_about_edits, ask_about_frames, segment_all_the_same
from TumorSegModule.widgets.dicom_section import DicomSection
from TumorSegModule.widgets.documentation import open_documentation
from TumorSegModule.widgets.editor import Editor
from TumorSegModule.widgets.export_section import ExportSection
from TumorSegModule.widgets.extent_section import ExtentSection
from TumorSegModule.widgets.installation import ensure_installed
from TumorSegModule.widgets.licence_question import agreed_to
from TumorSegModule.widgets.measured_sections import MeasuredSections
from TumorSegModule.widgets.model_picker import ModelPicker
from TumorSegModule.widgets.node_choice import NodeChoices
from TumorSegModule.widgets.own_models import OwnModels
from TumorSegModule.widgets.queue_section import QueueSection
from TumorSegModule.widgets.report_section import ReportSection
from TumorSegModule.widgets.result_section import ResultSection
from TumorSegModule.widgets.retrain_section import RetrainSection
from TumorSegModule.widgets.review_section import ReviewSection
from TumorSegModule.widgets.run_questions import RunQuestions
from TumorSegModule.widgets.sequences_section import SequencesSection
from TumorSegModule.widgets.series import PanelSeries
from TumorSegModule.widgets.server_choice import run_here_instead
from TumorSegModule.widgets.status_section import StatusSection

POLL_MILLISECONDS = 25


class Panel:
    """Drives the widgets of `TumorSeg.ui`.

    The sections tell it what the user does, see `TumorSegModule.logic.listeners`, and the session
    how its runs stand, see `TumorSegModule.logic.view.View`.

    Attributes:
        selection: what is chosen.
        session: that runs models.
        editor: the embedded Segment Editor.
        questions: that are asked before a run.
        export, dicom, report: corrected cases for a data set, for a PACS, as a page or PDF.
        review: which slices to look at and what was corrected.
        compare: two models side by side.
        measured: figures of the segments: lesions, and how they have changed.
        retrain: corrected cases into a new version of a model.
    """

    def __init__(
        self,
        ui: Any,
        *,
        client: WorkerClient | None = None,
        catalogue: Callable[[], Catalogue] = default_catalogue,
        ask: Callable[[Sequence[str]], str | None] = ask_about_edits,
        ask_frames: Callable[[str, Frames], bool | None] = ask_about_frames,
        agree: Callable[[Sequence[Bundle]], bool] = agreed_to,
        sure: Callable[[Sequence[str], Bundle], bool] = segment_all_the_same,
        run_here: Callable[[str], bool] = run_here_instead,
        retrain_process: RetrainProcess | None = None,
    ) -> None:
        """Drive `ui`, with other processes, other models or ready answers in tests."""
        requirements.import_ahead()
        self.ui = ui
        self.selection = selection = Selection(catalogue)
        self.editor = Editor()
        self.session = Session(client or WorkerClient(python_command()), self.editor, self)
        self.questions = RunQuestions(selection, ask, ask_frames, agree, sure)
        self._run_here = run_here
        self._gui_tag: int | None = None
        self._observer: int | None = None
        self._updating = False
        ui.resultSection.layout().addWidget(self.editor.widget)
        self._status = StatusSection(ui)
        self._picker = ModelPicker(ui, self)
        self._own_models = OwnModels(ui, selection, self)
        self._choices = NodeChoices(self)
        for name in ("volume", "target", "region"):
            self._choices.add(getattr(ui, f"{name}Selector"), SettingNode(selection, name))
        self._sequences = SequencesSection(ui, selection, self._choices, self)
        self._extent = ExtentSection(ui, selection)
        self._advanced = AdvancedSection(ui, self.session.runner.client)
        self._result = ResultSection(ui, selection, self.session, self)
        self.review = ReviewSection(ui, self.session, self.editor, self)
        self.measured = MeasuredSections(ui, selection, self.session, self.editor, self._choices)
        self.export = ExportSection(ui, selection, WorkerClient(python_command()))
        self.dicom = DicomSection(ui, selection)
        self.report = ReportSection(ui, selection, WorkerClient(python_command()), self.measured)
        self._queue = QueueSection(ui, selection, self.session, self)
        self._frames = FrameRun(self)
        self.compare = CompareSection(ui, selection, self.session, self)
        training = [*python_command(), "-m", "tumorseg_training"]
        process = retrain_process or RetrainProcess(training)
        self.retrain = RetrainSection(ui, process, selection, self)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self._poll)
        ui.segmentButton.clicked.connect(self._segment_or_cancel)
        ui.documentationButton.clicked.connect(open_documentation)
        self._picker.show_bundles(selection.models.bundles, selection.models.catalogue.broken)
        self.status_changed()

    @property
    def parameters(self) -> Parameters | None:
        """The settings, None while there is no scene."""
        return self.selection.parameters

    def connect(self, parameters: Parameters | None) -> None:
        """Show and keep the settings in `parameters`; None lets go of them."""
        if parameters is not None:
            self.compare.scene_opened()
        if parameters is not None and parameters is self.parameters:
            self.selection.connect(parameters)
            self.selection_changed()
            return
        self._choices.stop()
        if self.parameters is not None:
            self.parameters.disconnectGui(self._gui_tag)
            self.parameters.RemoveObserver(self._observer)
        self.selection.connect(parameters)
        self._advanced.connect(parameters)
        self._sequences.connect()
        if parameters is not None:
            self._gui_tag = parameters.connectGui(self.ui)
            self._observer = parameters.AddObserver("ModifiedEvent", self._parameters_changed)
            self._choices.watch()
            self.selection_changed()

    def enter(self) -> None:
        """The panel is shown."""
        self.editor.enter()

    def exit(self) -> None:
        """Another module is shown; a run goes on."""
        self.editor.exit()

    def close(self) -> None:
        """The scene or the panel goes away: end the run, the worker, and let go of the nodes."""
        self._queue.clear()
        self.compare.forget()
        self.questions.forget()
        self.session.close()
        self.export.close()
        self.dicom.close()
        self.report.close()
        self._timer.stop()
        self._result.close()
        self.review.close()
        self.measured.close()
        self.retrain.scene_closed()
        self.editor.close()

    def selection_changed(self) -> None:
        """Show what the settings and the scene say."""
        if self.parameters is None or self._updating:
            return
        self._updating = True
        try:
            self._show_selection()
        finally:
            self._updating = False

    def _show_selection(self) -> None:
        selection = self.selection
        self._choices.show()
        volume, note = selection.volume, selection.problem
        bundle = None if note else selection.bundle
        self._picker.choose(selection.shown_bundle, selection.slices)
        self._own_models.show()
        if volume is not None and not note and bundle is None:
            note = selection.models.why_none(volume)
        note = note or self._sequences.show(bundle)
        self.ui.inputNote.text = note
        self.ui.inputNote.visible = bool(note)
        self._extent.show()
        self._advanced.show(bundle, selection.models.catalogue)
        self.export.show()
        self.dicom.show()
        self.report.show()
        self._queue.show()
        self.compare.show()
        self._result.show()
        if not self.session.busy:
            self.editor.edit(selection.target, volume if bundle else None)
            self.review.edit(selection.target)
            self.measured.edit(selection.target)
        self.status_changed()

    def segment(self) -> None:
        """Start what the panel shows; problems are shown, not raised."""
        if not ensure_installed(self.segment):
            return
        try:
            every = self.questions.every_frame()
            if every is None:
                return
            options = self.questions.options(None if every else self.selection.target)
            if options is None or not self.questions.is_sure(options) or not self.agreed(options):
                return
            if every:
                self._frames.start(options)
            else:
                self.start(options)
        except TumorSegError as error:
            self.session.refuse(str(error))

    def frames_segmented(
        self, segmentation: slicer.vtkMRMLSegmentationNode | None, line: str
    ) -> None:
        """Open what shows the results of a run on all frames, None if there is nothing."""
        if segmentation is not None and self.parameters is not None:
            self.parameters.target = segmentation
        self.session.tell(line)

    def agreed(self, options: Options) -> bool:
        """Show licences that the user has not accepted; return whether all are."""
        return self.questions.agreed(options)

    def start(self, options: Options) -> int:
        """Start a run and return its number.

        Raises:
            InputError: see `Session.start`.
        """
        number = self.session.start(options)
        self._timer.setInterval(0)
        self._timer.start()
        self._queue.show()
        self.compare.show()
        return number

    def series(self) -> PanelSeries:
        """Return what starts the runs of a series, all with the settings of this moment."""
        return PanelSeries(self.selection, self)

    def _poll(self) -> None:
        self.session.poll()
        self._timer.setInterval(0 if self.session.runner.copying else POLL_MILLISECONDS)
        if not self.session.pending:
            self._timer.stop()

    def _segment_or_cancel(self, *_checked: Any) -> None:
        if self.session.busy:
            self.session.cancel()
        else:
            self.segment()

    def model_picked(self, bundle: Bundle) -> None:
        """Use a model that the user picked."""
        self.selection.settings.model = bundle.id

    def models_changed(self, model_id: str | None = None) -> None:
        """Show the models that there are now, and choose one if it is named."""
        if model_id is not None and self.parameters is not None:
            self.parameters.model = model_id
        self.selection.read_models()
        models = self.selection.models
        self._picker.show_bundles(models.bundles, models.catalogue.broken)
        self.compare.show_bundles()
        self.retrain.show_bundles()
        self.selection_changed()

    def segmentation_edited(self) -> None:
        """Show that an edited result can be adjusted no more."""
        self._result.show_sensitivity()

    def _parameters_changed(self, *_event: Any) -> None:
        if slicer.mrmlScene.IsImporting():  # ids are not what they will be
            return
        self.selection.let_go_of_target()
        self.selection_changed()

    def adjust(self, sensitivity: float) -> None:
        """Label the target's result anew."""
        if not self._updating:
            self.session.adjust(self.selection.target, sensitivity)
            self._timer.start()

    def status_changed(self) -> None:
        """See `TumorSegModule.logic.view.View`."""
        selection, status = self.selection, self.session.status
        has_volume = selection.volume is not None
        can_start = has_volume and not selection.problem and selection.bundle is not None
        self._status.show(
            status, can_start=can_start, has_volume=has_volume, frame=self._frames.line
        )
        self.editor.widget.visible = has_volume and selection.target is not None
        self._result.show_sensitivity()
        self._advanced.show_status(status)

    def surface_outdated(self, target: slicer.vtkMRMLSegmentationNode) -> None:
        """See `TumorSegModule.logic.view.View`."""
        self._result.surface_outdated(target)

    def run_ended(self, ending: Ending) -> None:
        """See `TumorSegModule.logic.view.View`."""
        if ending.done:
            self._take_result(ending)
        self._frames.run_ended(ending)
        self._queue.run_ended(ending)
        self.compare.run_ended(ending)
        self.selection_changed()
        if ending.reason is Reason.SERVER and ending.options.show and self._run_here(ending.line):
            self._start_again(replace(ending.options, server=""))

    def _start_again(self, options: Options) -> None:
        """Start a run with other options; problems are shown, not raised."""
        try:
            self.start(options)
        except TumorSegError as error:
            self.session.refuse(str(error))

    def _take_result(self, ending: Ending) -> None:
        """Open a result whose volume is still chosen, if none of a series; remember its pace."""
        keep_pace(ending)
        self._result.reset_sensitivity()  # of this result alone it can be moved now
        if ending.options.show and ending.options.volume is self.selection.volume:
            self.selection.settings.target = ending.target
        if self.review.target is ending.target:
            self.review.refresh()
