"""The page: trame-slicer's segmentation application, with TumorSeg's sections joined to it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import slicer
from trame_server import Server
from trame_server.utils.typed_state import TypedState
from trame_slicer.app.logic import SegmentationAppLogic
from trame_slicer.app.ui import PaintEffectState
from trame_slicer.core import SlicerApp

from TumorSegLib.model.catalogue import Catalogue
from TumorSegModule.logic.ending import Ending
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.volumes import further_channels, obvious_sequences
from TumorSegWeb import opening
from TumorSegWeb.choices import show_choices, show_targets
from TumorSegWeb.chosen import Chosen
from TumorSegWeb.drawing import register_views
from TumorSegWeb.editor import Editor
from TumorSegWeb.faults import Faults
from TumorSegWeb.lesions import Lesions
from TumorSegWeb.model_cards import cards_of, unusable
from TumorSegWeb.opener import Opener
from TumorSegWeb.page_ui import PageUI
from TumorSegWeb.questions import Questions
from TumorSegWeb.review import PageReview
from TumorSegWeb.runs import Runs
from TumorSegWeb.saving import Saving
from TumorSegWeb.targets import Targets
from TumorSegWeb.unsaved import Unsaved
from TumorSegWeb.uploads import Uploads


class PageLogic(SegmentationAppLogic):
    """Joins what the user does on the page to the logic that the panel uses, too.

    Attributes:
        selection: what is chosen.
        uploads: gathers what browsers send.
        runs, review, lesions, saving: the parts of the page.
    """

    def __init__(
        self, server: Server, slicer_app: SlicerApp, catalogue: Callable[[], Catalogue]
    ) -> None:
        """Show an empty scene; `catalogue` returns the models."""
        register_views(server, slicer_app.view_manager)
        super().__init__(server, slicer_app)
        self._app = slicer_app
        self.selection = Selection(catalogue)
        self._editor = Editor(slicer_app.segmentation_editor)
        self._questions = Questions(server)
        self._faults = faults = Faults(server.state)
        self.runs = Runs(server, self.selection, self._editor, self._questions, self, faults)
        session = self.runs.session
        self.review = PageReview(server, session, self._editor, faults)
        self.lesions = Lesions(server, self.selection, session, self._editor, faults)
        self._unsaved = Unsaved(server.state)
        self.saving = Saving(
            server,
            slicer_app,
            self.selection,
            self.lesions,
            self._questions,
            faults,
            lambda: self._source,
            self._unsaved,
        )
        self._opener = Opener(server.state, self._show_opened)
        self.uploads = Uploads(server.state, faults.in_background(self.open_uploaded))
        self._load_files_logic = self.uploads
        self._targets = Targets()
        state: Any = self.state
        state.trame__title, state.trame__favicon = "TumorSeg", None
        state.ts_phantoms, state.ts_volume_3d = list(opening.phantoms()), False
        state.ts_cards_open, state.ts_card = False, None
        state.ts_cards, state.ts_unusable = [], []
        for name, changed in (
            ("ts_volume", self._volume_picked),
            ("ts_segmentation", self._segmentation_picked),
            ("ts_model", self._model_picked),
            ("ts_sensitivity", self._sensitivity_moved),
            ("ts_volume_3d", self._show_in_3d),
        ):
            state.change(name)(faults.guarded(changed))
        faults.recover_by(self._recover)

    def set_ui(self, ui: PageUI) -> None:
        """Join the page's buttons to what they do."""
        super().set_ui(ui)
        brush: Any = TypedState(self.state, PaintEffectState).data
        brush.use_sphere_brush = False  # as in 3D Slicer
        self._app.scene.Clear()  # trame-slicer's tools look for their views when a scene begins
        settings: Any = Chosen()  # has all that is asked of a parameter node
        self.selection.connect(settings)
        guarded, in_background = self._faults.guarded, self._faults.in_background
        review = self.review.review
        control: Any = self.server.controller
        calls: dict[str, Callable[..., Any]] = {
            "ts_cancel": self.runs.cancel,
            "ts_answer": self._questions.answer,
            "ts_step": review.step,
            "ts_move": self.review.move,
            "ts_go_to": review.go_to,
            "ts_restore": self.review.restore,
            "ts_lesion_go_to": self.lesions.go_to,
            "ts_lesion_change": self.lesions.change,
            "ts_sequence": self._sequence_picked,
            "ts_show_cards": self.show_cards,
            "ts_open_report": self.saving.open_report,
            "ts_open_training": self.saving.open_training,
            "ts_choose_label": self.saving.choose_label,
            "ts_stop_saving": self.saving.stop,
            "ts_fetch": self.saving.fetch,
        }
        works: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
            "ts_segment": self.runs.segment,
            "ts_phantom": self.open_phantom,
            "ts_save": self.saving.save,
            "ts_report": self.saving.report,
            "ts_training": self.saving.training,
        }
        for name, call in calls.items():
            setattr(control, name, guarded(call))
        for name, work in works.items():
            setattr(control, name, in_background(work))
        control.trigger("ts_upload")(guarded(self.uploads.part))
        control.trigger("ts_uploaded")(guarded(self.uploads.end))
        self._show_selection()

    async def open_paths(self, paths: Iterable[Path]) -> None:
        """Open files and folders that were named when the session was started."""
        await self._opener.open(lambda folder: opening.look_into(paths, folder))

    async def open_phantom(self, title: str) -> None:
        """Make a phantom and open it."""
        make = opening.phantoms().get(title)
        if make is not None and not self.state.ts_opening:  # once at a double click
            await self._opener.open(lambda _folder: opening.Found(make()))

    async def open_uploaded(self, files: list[dict[str, Any]]) -> None:
        """Open the files of one upload."""
        await self._opener.open(lambda folder: opening.look_into_upload(files, folder))

    def show_cards(self) -> None:
        """Show the models' cards."""
        models = self.selection.models
        with self.state as state:
            state.ts_cards = cards_of(models.bundles)
            state.ts_unusable = unusable(models.catalogue, with_places=not state.ts_hosted)
            bundle = self.selection.bundle
            state.ts_card = bundle.id if bundle is not None else None
            state.ts_cards_open = True

    @property
    def _source(self) -> Any:
        """The DICOM images that the volume was read from, None if there are none."""
        return self._opener.source_of(self.selection.volume)

    def run_progressed(self) -> None:
        """See `TumorSegWeb.listener.Listener`."""
        for view in self._app.view_manager.get_slice_views():
            view.schedule_render()

    def run_ended(self, ending: Ending) -> None:
        """See `TumorSegWeb.listener.Listener`."""
        if not ending.done:
            return
        self._unsaved.made(ending.target)
        self._targets.drawn_on(ending.target, ending.options.nodes.values())
        self._targets.work_on(ending.target)
        self._open_target()  # also where another volume was chosen meanwhile
        if ending.target is self.selection.target:
            self._app.segmentation_editor.show_3d(True)
        self.review.run_ended(ending)

    @property
    def busy(self) -> bool:
        """Whether a run is under way, or something is being sent, opened or saved."""
        state: Any = self.state
        if self.runs.session.busy or self.uploads.under_way:
            return True
        return bool(state.ts_opening or state.ts_saving)

    def release(self) -> None:
        """End runs and processes, as nobody looks; see `TumorSegWeb.life.Work`."""
        with self.state:
            self.runs.release()
            self.lesions.release()
            self.saving.stop()

    def resume(self) -> None:
        """Go on, as somebody has come back; see `TumorSegWeb.life.Work`."""
        self.lesions.resume()

    def close(self) -> None:
        """End all processes, and let go of the scene."""
        self._unsaved.close()
        self.runs.close()
        self.review.review.close()
        self.lesions.close()
        self.saving.close()

    def _recover(self) -> None:
        self._questions.leave()
        self._opener.recover()

    def _show_opened(self, nodes: Sequence[slicer.vtkMRMLScalarVolumeNode]) -> None:
        """Show the first of new volumes, unless all are further sequences of the one shown."""
        selection = self.selection
        volume, bundle = selection.volume, selection.bundle
        if volume is not None and bundle is not None:
            further = list(obvious_sequences(volume, bundle).values())
            if all(node in further for node in nodes):
                self._choose_sequences()
                self._show_selection()
                return
        self._show_volume(nodes[0])

    def _show_volume(self, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Choose a volume, its segmentation and its further sequences, and show them."""
        selection = self.selection
        if volume is not selection.volume:
            self.saving.forget()
            self.runs.forget()
        selection.settings.volume = volume
        selection.settings.target = self._targets.last(volume)
        self._choose_sequences()
        self._app.display_manager.show_volume(volume, do_reset_views=True)
        self._show_in_3d(self.state.ts_volume_3d)
        self._volume_properties_logic.on_volume_changed(volume)
        self._open_target()
        if not self.data.is_volume_loaded:
            self.data.is_volume_loaded = self.data.is_drawer_visible = True
            self.data.active_tool = PageUI.tool()
        self._show_selection()

    def _show_in_3d(self, ts_volume_3d: bool, **_state: Any) -> None:
        """Show the volume itself in 3-D if wanted, which a processor draws slowly."""
        display = self._app.volume_rendering.get_vr_display_node(self.selection.volume)
        if display is not None:
            display.SetVisibility(bool(ts_volume_3d))

    def _open_target(self) -> None:
        selection = self.selection
        self._targets.work_on(selection.target)
        show_targets(self.state, selection, self._targets)
        self._editor.edit(selection.target, selection.volume)
        self.review.review.edit(selection.target)
        self._unsaved.edit(selection.target)
        self.lesions.edit(selection.target)

    def _choose_sequences(self) -> None:
        selection, bundle = self.selection, self.selection.bundle
        if selection.volume is None or bundle is None:
            return
        found = obvious_sequences(selection.volume, bundle)
        for name in further_channels(bundle):
            selection.keep_channel_node(name, found.get(name))

    def _volume_picked(self, ts_volume: str | None, **_state: Any) -> None:
        volume = slicer.mrmlScene.GetNodeByID(ts_volume) if ts_volume else None
        if volume is not None and volume is not self.selection.volume:
            self._show_volume(volume)

    def _segmentation_picked(self, ts_segmentation: str | None, **_state: Any) -> None:
        node = slicer.mrmlScene.GetNodeByID(ts_segmentation) if ts_segmentation else None
        if node in self._targets.of(self.selection.volume) and node is not self.selection.target:
            self.selection.settings.target = node
            self._open_target()
            self.runs.status_changed()

    def _model_picked(self, ts_model: str, **_state: Any) -> None:
        if ts_model != self.selection.settings.model:
            self.selection.settings.model = ts_model
            self._choose_sequences()
            self._show_selection()

    def _sequence_picked(self, name: str, node_id: str | None) -> None:
        node = slicer.mrmlScene.GetNodeByID(node_id) if node_id else None
        self.selection.keep_channel_node(name, node)
        self._show_selection()

    def _sensitivity_moved(self, ts_sensitivity: float, **_state: Any) -> None:
        if self.state.ts_adjustable:
            self.runs.adjust(float(ts_sensitivity))

    def _show_selection(self) -> None:
        """Show what is chosen, and what there is to choose from."""
        show_choices(self.state, self.selection)
        self.state.ts_no_dicom = self._opener.why_no_source(self.selection.volume)
        self.runs.status_changed()
