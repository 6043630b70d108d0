"""From what is chosen on the page to a run, its bar, and its end."""

from __future__ import annotations

from typing import Any

import slicer
from trame_server import Server

from TumorSegLib.errors import ModelError, TumorSegError
from TumorSegLib.model.licences import licences_of
from TumorSegModule.logic.doubts import doubts_of_node
from TumorSegModule.logic.ending import Ending
from TumorSegModule.logic.run_options import Options, edits_in
from TumorSegModule.logic.run_status import progress_text
from TumorSegModule.logic.segments import ADD, NEW, REPLACE
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.volumes import check_usable
from TumorSegModule.logic.worker_client import WorkerClient, python_command
from TumorSegWeb.choices import ADVICE
from TumorSegWeb.clock import Poller
from TumorSegWeb.editor import Editor
from TumorSegWeb.faults import Faults
from TumorSegWeb.listener import Listener
from TumorSegWeb.questions import CANCEL, Questions


class Runs:
    """Starts and follows runs; see `TumorSegModule.logic.view.View`.

    Attributes:
        session: that runs models.
    """

    def __init__(
        self,
        server: Server,
        selection: Selection,
        editor: Editor,
        questions: Questions,
        listener: Listener,
        faults: Faults,
    ) -> None:
        """Run what is selected.

        Args:
            server: of the page.
            selection: what is chosen.
            editor: opens results.
            questions: asks the user.
            listener: told how runs go.
            faults: told of errors, which end the run.
        """
        self._state, self._selection = server.state, selection
        self._questions, self._listener = questions, listener
        self._accepted: set[str] = set()
        self._settled: set[tuple[str, str]] = set()
        self.session = Session(WorkerClient(python_command()), editor, self)
        runner = self.session.runner
        self._poller = Poller(
            self._state,
            self.session.poll,
            lambda: self.session.pending,
            lambda: runner.copying,
            faults,
        )
        faults.recover_by(self._recover)
        self._state.ts_sensitivity = self._sensitivity = 0.0
        self.status_changed()

    async def segment(self) -> None:
        """Start what is chosen; problems are shown, not raised."""
        if self.session.busy:
            return
        try:
            options = await self._options()
            if options is None or not await self._is_sure(options):
                return
            if not await self._agreed(options) or self.session.busy:
                return
            self.session.start(options)
        except TumorSegError as error:
            self.session.refuse(str(error))
        self._poller.start()

    def cancel(self) -> None:
        """Stop the run."""
        self.session.cancel()

    def adjust(self, sensitivity: float) -> None:
        """Label the result anew, with a sensitivity of -100 to 100, if it is another."""
        if sensitivity == self._sensitivity:  # as when a new result puts the slider back
            return
        self._sensitivity = sensitivity
        self.session.adjust(self._selection.target, sensitivity)
        self._poller.start()

    def release(self) -> None:
        """Cancel the run and end the worker; the next run starts a new one. The line stays."""
        before = self.session.status
        line = before.line
        if self.session.busy:
            line = "The page was closed, so the run was cancelled; nothing was changed."
        self.session.cancel()
        self.session.close()
        self.session.poll()  # which learns of the worker's end
        if before.failed:
            self.session.refuse(line)
        else:
            self.session.tell(line)

    def forget(self) -> None:
        """Say no more how the last run went, as for another volume."""
        if not self.session.busy:
            self.session.tell("")

    def close(self) -> None:
        """End run and worker."""
        self.session.close()

    def _recover(self) -> None:
        """End the run after an error; the next one has a new worker."""
        try:
            self.session.cancel()
        finally:
            self.session.runner.stop()
            self.status_changed()

    def status_changed(self) -> None:
        """See `TumorSegModule.logic.view.View`."""
        state, status = self._state, self.session.status
        busy = status.stage != "idle"
        state.ts_busy = busy
        if status.stage == "running":
            self._listener.run_progressed()
        state.ts_progress = 100 * status.done / status.total if busy and status.total else 0
        state.ts_stage = progress_text(status) if busy else ""
        line = status.line
        if status.stage == "starting":
            line = "Loading the model; the first run takes a few seconds longer."
        state.ts_line, state.ts_failed = line, status.failed and not busy
        state.ts_adjustable = not busy and self.session.can_adjust(self._selection.target)

    def surface_outdated(self, target: slicer.vtkMRMLSegmentationNode) -> None:
        """Make a shown surface anew, now that the slices are there."""
        target.CreateClosedSurfaceRepresentation()

    def run_ended(self, ending: Ending) -> None:
        """See `TumorSegModule.logic.view.View`."""
        if ending.done:
            self._state.ts_sensitivity = self._sensitivity = 0.0
            if ending.options.volume is self._selection.volume:
                self._selection.settings.target = ending.target
        self._listener.run_ended(ending)
        self.status_changed()

    async def _options(self) -> Options | None:
        """Return what to run, None if the user does not want it.

        Raises:
            TumorSegError: the volume cannot be segmented, or there is no model for it.
        """
        selection = self._selection
        check_usable(selection.volume)
        bundle, target = selection.bundle, selection.target
        if bundle is None:
            raise ModelError(selection.models.why_none(selection.volume, ADVICE))
        edited = edits_in(target, selection.volume, bundle)
        mode = REPLACE
        if edited:
            mode = await self._questions.ask(
                f"Edited by hand since the model ran: {', '.join(edited)}.",
                [
                    "Replace: the new result takes the place of the edited segments; Undo brings"
                    " them back.",
                    "Add: what the model finds is added to them.",
                    "New segmentation: they stay as they are.",
                ],
                {REPLACE: "Replace", ADD: "Add", NEW: "New segmentation"},
            )
        return None if mode == CANCEL else selection.options(bundle, target, mode)

    async def _is_sure(self, options: Options) -> bool:
        """Ask, once for a volume and a model, where it is not certain that the model fits."""
        key = (options.volume.GetID(), options.bundle.id)
        if key in self._settled:
            return True
        picked = self._selection.models.picked(self._selection.settings) is not None
        doubts = doubts_of_node(options.volume, options.bundle, picked=picked)
        title = f"Is {options.bundle.specification.title} the right model?"
        yes = {"yes": "Segment all the same"}
        if doubts and await self._questions.ask(title, doubts, yes) == CANCEL:
            return False
        self._settled.add(key)
        return True

    async def _agreed(self, options: Options) -> bool:
        """Show each licence once in a session; return whether all are accepted."""
        bundles = self._selection.models.catalogue.members(options.bundle)
        for licence in licences_of(bundles):
            if licence.name in self._accepted:
                continue
            titles: Any = ", ".join(
                one.specification.title
                for one in bundles
                if one.specification.licence == licence.name
            )
            title = f"The weights of {titles} have the licence {licence.name}."
            lines = [part for part in (licence.use, licence.url) if part]
            if await self._questions.ask(title, lines, {"yes": "Accept"}) == CANCEL:
                return False
            self._accepted.add(licence.name)
        return True
