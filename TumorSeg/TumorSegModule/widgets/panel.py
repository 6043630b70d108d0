"""The panel: what the user chooses becomes a run, and a run's status is shown."""

from functools import partial

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, ModelError, TumorSegError
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.nodes import volume_of
from TumorSegModule.logic.frames import FrameRun, frames_of
from TumorSegModule.logic.limits import box_of_region, box_of_shown_slice, fit_region
from TumorSegModule.logic.model_choice import ModelChoice
from TumorSegModule.logic.new_segmentation import prepare_segmentation
from TumorSegModule.logic.parameters import REGION, THIS_SLICE, WHOLE_VOLUME, Settings
from TumorSegModule.logic.retrain_process import RetrainProcess
from TumorSegModule.logic.run_options import Options
from TumorSegModule.logic.segments import REPLACE, edited_segments
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.volumes import check_usable
from TumorSegModule.logic.worker_client import WorkerClient
from TumorSegModule.widgets.advanced import AdvancedSection, effective, run_settings
from TumorSegModule.widgets.compare_section import CompareSection
from TumorSegModule.widgets.dialogs import ask_about_edits, ask_about_frames
from TumorSegModule.widgets.documentation import open_documentation
from TumorSegModule.widgets.editor import Editor
from TumorSegModule.widgets.export_section import ExportSection
from TumorSegModule.widgets.installation import ensure_installed, python_command
from TumorSegModule.widgets.licence_question import agreed_to
from TumorSegModule.widgets.model_picker import ModelPicker
from TumorSegModule.widgets.node_choice import NodeChoices
from TumorSegModule.widgets.own_models import OwnModels
from TumorSegModule.widgets.queue_section import QueueSection
from TumorSegModule.widgets.retrain_section import RetrainSection
from TumorSegModule.widgets.review_section import ReviewSection
from TumorSegModule.widgets.sequences_section import SequencesSection
from TumorSegModule.widgets.status_section import StatusSection

POLL_MILLISECONDS = 25
SURFACE_MILLISECONDS = 400
"""Rest of the sensitivity slider after which a shown 3-D surface is made anew."""


class Panel:
    """Drives the widgets of `TumorSeg.ui`.

    Attributes:
        session: that runs models.
        editor: the embedded Segment Editor.
        export: takes corrected cases into a data set.
        review: which slices to look at and what was corrected.
        parameters: the settings, None while there is no scene.
    """

    def __init__(
        self,
        ui,
        *,
        client=None,
        catalogue=default_catalogue,
        ask=ask_about_edits,
        ask_frames=ask_about_frames,
        agree=agreed_to,
        retrain_process=None,
    ):
        """Drive `ui`, with other processes, other models or ready answers in tests."""
        self.ui = ui
        self._read_catalogue = catalogue
        self._choice = ModelChoice(catalogue())
        self.editor = Editor()
        self.session = Session(client or WorkerClient(python_command()), self.editor, self)
        self._ask, self._ask_frames, self._agree = ask, ask_frames, agree
        self.parameters = self._chosen_for = None
        self._gui_tag = None
        self._observer = None
        self._modality_key = self._known_modality = None
        self._updating = False
        ui.resultSection.layout().addWidget(self.editor.widget)
        self._status = StatusSection(ui)
        self._picker = ModelPicker(ui, self._seconds_per_slice, self._model_picked)
        self._own_models = OwnModels(
            ui, lambda: self._choice.catalogue, lambda: self._picker.bundle, self._own_changed
        )
        self._choices = NodeChoices(self.update)
        for name in ("volume", "target", "region"):
            selector = getattr(ui, f"{name}Selector")
            self._choices.add(selector, partial(self._node, name), partial(self._keep_node, name))
        self._sequences = SequencesSection(ui, self._choices, self.update)
        self._advanced = AdvancedSection(ui, self.session.runner.client)
        self.review = ReviewSection(ui, self.session, self.editor, self._show_sensitivity)
        self.export = ExportSection(
            ui,
            WorkerClient(python_command()),
            lambda: (self.parameters.target, self._volume()) if self.parameters else (None, None),
            self._bundle_for,
            self._sequences_of,
        )
        self._queue = QueueSection(ui, self.session, self._volume, self._accompanying, self.series)
        self._frames = FrameRun(self.start, self._frames_segmented)
        self.compare = CompareSection(ui, self.session, self._bundles, self._volume, self.series)
        command = [*python_command(), "-m", "tumorseg_training"]
        self.retrain = RetrainSection(
            ui, retrain_process or RetrainProcess(command), self._bundles, self._models_changed
        )
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self._poll)
        self._surface_timer = qt.QTimer()
        self._surface_timer.setSingleShot(True)
        self._surface_timer.setInterval(SURFACE_MILLISECONDS)
        self._surface_timer.timeout.connect(self._make_surface)
        self._surface_target = None
        for text, extent in (
            (_("The whole volume"), WHOLE_VOLUME),
            (_("Only the slice in the red view"), THIS_SLICE),
            (_("Only a region of interest"), REGION),
        ):
            ui.extentSelector.addItem(text, extent)
        ui.extentSelector.currentIndexChanged.connect(self._extent_changed)
        ui.regionSelector.nodeAddedByUser.connect(self._region_created)
        ui.targetSelector.nodeAddedByUser.connect(self._target_created)
        ui.segmentButton.clicked.connect(self._segment_or_cancel)
        ui.documentationButton.clicked.connect(open_documentation)
        ui.sensitivitySlider.valueChanged.connect(self._sensitivity_changed)
        self._picker.show_bundles(self._choice.bundles)
        self.status_changed()

    def connect(self, parameters):
        """Show and keep the settings in `parameters`; None lets go of them."""
        if parameters is not None and parameters is self.parameters:
            self.update()
            return
        self._choices.stop()
        if self.parameters is not None:
            self.parameters.disconnectGui(self._gui_tag)
            self.parameters.RemoveObserver(self._observer)
        self.parameters = parameters
        self._chosen_for = self._volume()
        self._advanced.connect(parameters)
        self._sequences.connect(parameters)
        if parameters is not None:
            self._gui_tag = parameters.connectGui(self.ui)
            self._observer = parameters.AddObserver("ModifiedEvent", self._parameters_changed)
            self._choices.watch()
            self.update()

    def enter(self):
        """The panel is shown."""
        self.editor.enter()

    def exit(self):
        """Another module is shown; a run goes on."""
        self.editor.exit()

    def close(self):
        """The scene or the panel goes away: end the run, the worker, and let go of the nodes."""
        self._queue.clear()
        self.compare.forget()
        self.session.close()
        self.export.close()
        self._timer.stop()
        self._surface_timer.stop()
        self.review.close()
        self.editor.close()

    def update(self):
        """Show what the settings and the scene say."""
        parameters = self.parameters
        if parameters is None or self._updating:
            return
        self._updating = True
        try:
            self._choices.show()
            volume = parameters.volume
            note = self._problem(volume)
            bundle = None if note else self._choice.bundle(parameters)
            self._picker.choose(
                bundle or self._choice.picked(parameters), 0 if note else _slices_of(volume)
            )
            self._own_models.show()
            if volume is not None and not note and bundle is None:
                note = self._choice.why_none(volume)
            note = note or self._sequences.update(volume, bundle)
            self.ui.inputNote.text = note
            self.ui.inputNote.visible = bool(note)
            self.ui.extentSelector.currentIndex = self.ui.extentSelector.findData(parameters.extent)
            self.ui.regionSelector.visible = parameters.extent == REGION
            self._advanced.update(bundle, self._choice.catalogue)
            self.export.update()
            self._queue.show()
            self.compare.show()
            self.ui.show3DButton.setSegmentationNode(parameters.target)
            if not self.session.busy:
                self.editor.edit(parameters.target, volume if bundle else None)
                self.review.edit(parameters.target)
            self.status_changed()
        finally:
            self._updating = False

    def segment(self):
        """Start what the panel shows; problems are shown, not raised."""
        if not ensure_installed(self.segment):
            return
        try:
            every = self._wants_every_frame()
            if every is None:
                return
            options = self._options(None if every else self._target())
            if options is None or not self._agreed(options):
                return
            if every:
                self._frames.start(options)
            else:
                self.start(options)
        except TumorSegError as error:
            self.session.refuse(str(error))

    def _wants_every_frame(self):
        """Return whether all frames of a volume over time are to be segmented, None for nothing."""
        volume, limited = self._volume(), self.parameters.extent != WHOLE_VOLUME
        frames = None if volume is None or limited else frames_of(volume)
        return False if frames is None else self._ask_frames(volume.GetName(), frames)

    def _frames_segmented(self, segmentation, line):
        """Open what shows the results of a run on all frames, None if there is nothing."""
        if segmentation is not None and self.parameters is not None:
            self.parameters.target = segmentation
        self.session.tell(line)

    def _agreed(self, options):
        """Show licences that the user has not accepted; return whether all are."""
        models = self._choice.catalogue.members(options.bundle)
        return self._agree([*models, options.gate] if options.gate else models)

    def start(self, options):
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

    def series(self):
        """Return what starts the runs of a series, all with the settings of this moment.

        Returns:
            A function of a volume node, and of a model if it is not to be the one chosen or the
            default. It starts a run into a new segmentation and returns its number, None if what
            is needed is not installed or a licence not accepted; it raises a `TumorSegError` for
            what cannot be run.
        """
        choice, settings = self._choice, Settings.of(self.parameters)

        def run(volume, bundle=None):
            if bundle is None:
                bundle = choice.bundle_for(volume, settings)
                bundle = effective(bundle, choice.catalogue, settings)
            options = Options(
                volume,
                bundle,
                sequences=self._sequences.suggested(volume, bundle),
                show=False,
                **run_settings(bundle, choice.catalogue, settings),
            )
            if not ensure_installed(lambda: None) or not self._agreed(options):
                return None
            return self.start(options)

        return run

    def _poll(self):
        self.session.poll()
        self._timer.setInterval(0 if self.session.runner.copying else POLL_MILLISECONDS)
        if not self.session.pending:
            self._timer.stop()

    def _segment_or_cancel(self):
        if self.session.busy:
            self.session.cancel()
        else:
            self.segment()

    def _node(self, name):
        return getattr(self.parameters, name) if self.parameters else None

    def _keep_node(self, name, node):
        if self.parameters is not None:
            setattr(self.parameters, name, node)

    def _volume(self):
        return self._node("volume")

    def _target(self):
        return self.parameters.target if self.parameters else None

    def _options(self, target):
        """Return what the settings ask for, None if the user was asked and does not want it.

        Args:
            target: segmentation node to write to, None for a new one.
        """
        parameters = self.parameters
        volume, bundle = parameters.volume, self._choice.bundle(parameters)
        check_usable(volume)
        if bundle is None:
            raise ModelError(self._choice.why_none(volume))
        mode = REPLACE
        if target is not None:
            edited = edited_segments(target, bundle.specification)
            mode = self._ask(edited) if edited else REPLACE
            if mode is None:
                return None
        placement = placement_of(volume)
        within = None
        if parameters.extent == THIS_SLICE:
            within = box_of_shown_slice(placement)
        elif parameters.extent == REGION:
            within = box_of_region(placement, parameters.region)
        return Options(
            volume,
            effective(bundle, self._choice.catalogue, parameters),
            sequences=self._sequences.chosen(bundle),
            target=target,
            mode=mode,
            within=within,
            **run_settings(bundle, self._choice.catalogue, parameters),
        )

    def _bundles(self):
        return self._choice.bundles

    def _models_changed(self):
        """Show the models that there are now."""
        self._choice = ModelChoice(self._read_catalogue())
        self._picker.show_bundles(self._choice.bundles)
        self.compare.show_bundles()
        self.retrain.show_bundles()
        self.update()

    def _own_changed(self, model_id):
        """A model was imported and is chosen now, or one was removed ("": the default)."""
        if self.parameters is not None:
            self.parameters.model = model_id
        self._models_changed()

    def _accompanying(self, volume):
        """Return the nodes that are further sequences of a volume."""
        try:
            return list(
                self._sequences.suggested(
                    volume, self._choice.bundle_for(volume, self.parameters)
                ).values()
            )
        except (InputError, ModelError):
            return []

    def _bundle_for(self, volume):
        """Return the model for a volume, None if there is none."""
        if volume is self._volume():
            return self._choice.bundle(self.parameters)
        try:
            return self._choice.bundle_for(volume, self.parameters)
        except (InputError, ModelError):
            return None

    def _sequences_of(self, volume, bundle):
        """Return the further sequences of a volume by channel name.

        Raises:
            InputError: one that was chosen is no scalar image.
        """
        if volume is self._volume():
            return self._sequences.chosen(bundle)
        return self._sequences.suggested(volume, bundle)

    def _problem(self, volume):
        """Return why a volume cannot be segmented, "" if it can or none is chosen."""
        if volume is None:
            return ""
        try:
            check_usable(volume)
            placement_of(volume)
        except InputError as error:
            return str(error)
        return ""

    def _model_picked(self, bundle):
        self.parameters.model = bundle.id

    def _extent_changed(self, *_overloaded):
        if self.parameters is not None and not self._updating:
            selector = self.ui.extentSelector
            self.parameters.extent = selector.itemData(selector.currentIndex)

    def _region_created(self, region):
        """Fit a region that the selector made; without a usable volume it stays empty."""
        volume = self._volume()
        if volume is not None and not self._problem(volume):
            fit_region(region, volume)

    def _target_created(self, segmentation):
        volume = self._volume()
        if volume is not None and not self._problem(volume):
            prepare_segmentation(segmentation, volume)

    def _parameters_changed(self, *_event):
        self._let_go_of_target()
        self.update()

    def _let_go_of_target(self):
        """Let go of another volume's segmentation when a volume is chosen; see `volume_of`."""
        volume, target = self._volume(), self._target()
        if volume is None or volume is self._chosen_for:
            return
        self._chosen_for = volume
        if target is None or volume_of(target) is volume:
            return
        if volume_of(target) is not None or target.GetSegmentation().GetNumberOfSegments() > 0:
            self.parameters.target = None

    def _sensitivity_changed(self, value):
        if not self._updating and not self.session.busy:
            self.session.adjust(self._target(), value)
            self._timer.start()

    def status_changed(self):
        """See `TumorSegModule.logic.session.View`."""
        status, volume = self.session.status, self._volume()
        can_start = (
            volume is not None
            and not self._problem(volume)
            and self._choice.bundle(self.parameters) is not None
        )
        self._status.show(
            status, can_start=can_start, has_volume=volume is not None, frame=self._frames.line
        )
        self.editor.widget.visible = volume is not None and self._target() is not None
        self._show_sensitivity()
        self._advanced.show(status)

    def _show_sensitivity(self):
        """Show whether the result that the panel shows can be adjusted."""
        ui, target = self.ui, self._target()
        can_adjust = self.session.can_adjust(target)
        ui.sensitivitySlider.enabled = can_adjust
        ui.sensitivityNote.visible = (
            self._volume() is not None and target is not None and not can_adjust
        )
        ui.sensitivityNote.text = _(
            "The sensitivity can be adjusted after a run, as long as its result is not edited."
        )

    def surface_outdated(self, target):
        """See `TumorSegModule.logic.session.View`."""
        self._surface_target = target.GetID()
        self.ui.show3DButton.text = _("Updating 3D…")
        self._surface_timer.start()

    def _make_surface(self):
        """Make a shown 3-D surface anew, which takes Slicer a moment."""
        target = slicer.mrmlScene.GetNodeByID(self._surface_target)
        if target is not None:
            target.CreateClosedSurfaceRepresentation()
            self.ui.show3DButton.setSegmentationNode(target)
        self.ui.show3DButton.text = _("Show 3D")

    def run_ended(self, ending):
        """See `TumorSegModule.logic.session.View`."""
        if ending.done:
            self._take_result(ending)
        self._frames.run_ended(ending)
        self._queue.run_ended(ending)
        self.compare.run_ended(ending)
        self.update()

    def _take_result(self, ending):
        """Open a result, if its volume is still the one chosen, and remember how long it took.

        One of a series is not opened.
        """
        seconds = sum(
            ending.event.seconds.get(stage, 0.0) for stage in ("preparation", "network", "labels")
        )
        if ending.event.slices:
            slicer.app.userSettings().setValue(
                _timing_key(ending.options.bundle), seconds / len(ending.event.slices)
            )
        if ending.options.show and ending.options.volume is self._volume():
            self._updating = True
            self.ui.sensitivitySlider.value = 0
            self._updating = False
            self.parameters.target = ending.target
        if self.review.target is ending.target:
            self.review.refresh()

    def _seconds_per_slice(self, bundle):
        stored = slicer.app.userSettings().value(_timing_key(bundle))
        return float(stored) if stored else None


def _slices_of(volume):
    """Return the number of axial slices of a usable volume node."""
    if volume is None:
        return 0
    placement = placement_of(volume)
    return placement.grid.shape[placement.view.axes[0]]


def _timing_key(bundle):
    return f"TumorSeg/SecondsPerSlice/{bundle.id}"
