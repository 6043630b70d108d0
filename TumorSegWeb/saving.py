"""What the page saves: made in the background, then fetched by the tab that asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trame_server import Server
from trame_slicer.core import SlicerApp

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.report.identification import ITEMS, readable
from TumorSegLib.writing.file_name import file_name_of
from TumorSegModule.logic.report_facts import KNOWABLE, known_of
from TumorSegModule.logic.report_writer import report_order
from TumorSegModule.logic.selection import Selection
from TumorSegWeb import downloads
from TumorSegWeb.errands import Exports, InThread, Reports, zipped, zipped_files
from TumorSegWeb.faults import Faults
from TumorSegWeb.lesions import Lesions
from TumorSegWeb.questions import CANCEL, Questions
from TumorSegWeb.temporary import temporary_folder
from TumorSegWeb.training_case import TrainingCase
from TumorSegWeb.unsaved import Taken, Unsaved

if TYPE_CHECKING:
    from TumorSegLib.writing.dicom_source import SourceImages

ENDINGS = {
    "segmentation": ".seg.nrrd",
    "labels": " labels.nii.gz",
    "scene": ".mrb",
    "lesions": " lesions.csv",
    "dicom": ".dcm",
    "dicom-report": " dicom.zip",
}
"""Ends of files' names by what is saved; a report and a case for retraining have others."""


class Saving:
    """Makes files of what is chosen, one at a time."""

    def __init__(
        self,
        server: Server,
        application: SlicerApp,
        selection: Selection,
        lesions: Lesions,
        questions: Questions,
        faults: Faults,
        source: Callable[[], SourceImages | None],
        unsaved: Unsaved,
    ) -> None:
        """Save nothing yet.

        Args:
            server: of the page.
            application: has the scene.
            selection: what is chosen.
            lesions: have their figures.
            questions: asks the user.
            faults: told of errors.
            source: returns the DICOM images of the volume, None if there are none.
            unsaved: told what of `ENDINGS` was fetched.
        """
        self._server, self._state = server, server.state
        self._application, self._selection = application, selection
        self._lesions, self._questions, self._source = lesions, questions, source
        self._unsaved = unsaved
        self._reports = Reports(server.state, faults)
        self._exports = Exports(server.state, faults)
        self._in_thread = InThread()
        self._training = TrainingCase(server.state, selection, faults)
        self._made: tuple[int, bytes] = (0, b"")
        self._taken: Taken = {}
        state: Any = server.state
        state.ts_saving, state.ts_saved = "", None
        state.ts_report_open, state.ts_report_items, state.ts_ticked = False, [], []
        state.ts_pdf = find_spec("reportlab") is not None
        faults.recover_by(self._recover)

    def forget(self) -> None:
        """Tick nothing any more, as for another volume."""
        self._state.ts_ticked = []

    def close(self) -> None:
        """End what is under way."""
        self.stop()
        self._made = (0, b"")

    def stop(self) -> None:
        """Leave a file unmade."""
        self._in_thread.stop()
        self._reports.stop()
        self._exports.stop()

    def fetch(self, number: int) -> Any:
        """Return what was made as an attachment of the page's socket, once.

        It counts as saved from then on: a page that was closed or loaded again does not fetch it.
        """
        made, content = self._made
        if made != number or not content:  # a copy of the tab has it
            return None
        self._made = (made, b"")
        with self._state as state:
            self._unsaved.saved(self._taken)
            state.ts_saved = None
        return self._server.protocol.addAttachment(content)

    async def save(self, kind: str, tab: str) -> None:
        """Make one of `ENDINGS`, and have a tab of the browser fetch it."""
        target = self._selection.target
        make: Mapping[str, Callable[[], Awaitable[bytes | None]]] = {
            "segmentation": lambda: _now(lambda: downloads.segmentation_file(target)),
            "labels": lambda: _now(lambda: downloads.label_map_file(target)),
            "scene": lambda: _now(
                lambda: downloads.scene_file(
                    self._application.scene, self._application.io_manager.write_scene
                )
            ),
            "lesions": lambda: _now(lambda: downloads.lesions_file(self._lesions.findings)),
            "dicom": lambda: self._dicom(target, report=False),
            "dicom-report": lambda: self._dicom(target, report=True),
        }
        if kind in make:
            taken = self._unsaved.taken(kind)
            await self._save(tab, self._name + ENDINGS[kind], make[kind], taken)

    def open_report(self) -> None:
        """Ask what a report is to say of patient and image."""
        known = known_of(self._selection.case_or_volume[1])
        with self._state as state:
            state.ts_report_items = [
                {"key": key, "title": ITEMS[key][0], "text": readable(ITEMS[key][1], known[key])}
                for key in KNOWABLE
                if key in known
            ]
            state.ts_ticked = [key for key in state.ts_ticked if key in known]
            state.ts_report_open = True

    async def report(self, ending: str, tab: str) -> None:
        """Write a report of what is chosen.

        Args:
            ending: "html" or "pdf".
            tab: of the browser.
        """
        if ending not in ("html", "pdf"):
            return
        known = known_of(self._selection.case_or_volume[1])
        ticked = {key: known[key] for key in self._state.ts_ticked if key in known}
        name = self._name if "volume" in ticked else "report"

        async def make() -> bytes | None:
            segmentation, volume = self._selection.case_or_volume
            if segmentation is None or volume is None:
                raise InputError("there are no segments yet; segment first")
            catalogue = self._selection.models.catalogue
            with temporary_folder() as place:
                path = Path(place, f"report.{ending}")
                order = report_order(
                    (segmentation, volume),
                    str(path),
                    ticked,
                    catalogue,
                    self._lesions.findings,
                )
                return path.read_bytes() if await self._reports.write(order) else None

        self._state.ts_report_open = False
        await self._save(tab, f"{name}.{ending}", make)

    def open_training(self) -> None:
        """Ask what is to be exported for retraining."""
        self._training.ask()

    def choose_label(self, name: str, label: str | None) -> None:
        """Take which of the model's labels a segment is."""
        self._training.choose_label(name, label)

    async def training(self, tab: str) -> None:
        """Export what is chosen as a data set in an archive."""
        self._state.ts_training_open = False

        async def make() -> bytes | None:
            with temporary_folder() as place:
                order = self._training.order(Path(place))
                done, lines = 0, list(self._training.problems)
                while True:
                    outcome = await self._exports.export(order)
                    if outcome is None:
                        return None
                    done += len(outcome.done)
                    lines += [*outcome.problems, *outcome.warnings]
                    lines += [
                        f"{case.name}: of the same volume as another one, not exported"
                        for case in outcome.existing
                    ]
                    if not outcome.overlapping:
                        break
                    overlapping = tuple(outcome.overlapping)
                    if not await self._one_file_a_segment([case.name for case in overlapping]):
                        lines.append("segments overlap, not exported")
                        break
                    order = replace(order, cases=overlapping, one_file_a_segment=True)
                if not done:
                    raise InputError("; ".join(lines) or "nothing was exported")
                self._state.ts_note = "\n".join(line[:1].upper() + line[1:] for line in lines)
                return await asyncio.to_thread(zipped, Path(order.dataset))

        await self._save(tab, self._training.file_name, make)

    async def _one_file_a_segment(self, names: list[str]) -> bool:
        title = f"Segments overlap in {', '.join(names)}."
        lines = [
            "One label map cannot hold them. Write one file a segment instead? Such a case is kept"
            " in the folder “segments” of the data set, and is not trained on."
        ]
        chosen = await self._questions.ask(title, lines, {"apart": "One file a segment"})
        return chosen != CANCEL

    async def _dicom(self, target: Any, *, report: bool) -> bytes | None:
        source = self._source()
        content = downloads.dicom_content(target, source)
        assert source is not None
        name = self._name

        def make() -> bytes:
            if not report:
                return downloads.dicom_file(content, source)
            files = downloads.dicom_files(content, source)
            return zipped_files({f"{name} {ending}": file for ending, file in files.items()})

        return await self._in_thread.make(make)

    async def _save(
        self,
        tab: str,
        name: str,
        make: Callable[[], Awaitable[bytes | None]],
        taken: Taken | None = None,
    ) -> None:
        """Make a file, which has `taken` in it, and have it fetched; problems are shown."""
        if self._state.ts_saving:
            return
        with self._state as state:
            state.ts_saving, state.ts_problem = name, ""
        content, problem = None, ""
        try:
            content = await make()
        except TumorSegError as error:
            problem = str(error)
        with self._state as state:
            state.ts_saving = ""
            if problem:
                state.ts_problem = problem
            if content is not None:
                self._made, self._taken = (self._made[0] + 1, content), taken or {}
                state.ts_saved = {"number": self._made[0], "name": name, "tab": tab}

    @property
    def _name(self) -> str:
        volume = self._selection.volume
        return file_name_of(volume.GetName()) if volume is not None else "volume"

    def _recover(self) -> None:
        self._state.ts_saving = ""


async def _now(make: Callable[[], bytes]) -> bytes:
    """Return what needs the scene, in the event loop's thread."""
    return make()
