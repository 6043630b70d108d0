"""What is opened on the page, one after the other, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slicer
from trame_server.state import State

from TumorSegLib.errors import TumorSegError
from TumorSegLib.support.words import counted
from TumorSegWeb import opening
from TumorSegWeb.temporary import temporary_folder

MOST_NOTES = 8
"""Lines that the page shows at once."""


class Opener:
    """Reads in a thread, and adds to the scene what was found."""

    def __init__(
        self, state: State, show: Callable[[Sequence[slicer.vtkMRMLScalarVolumeNode]], None]
    ) -> None:
        """Have `show` show the volumes of what was opened; `state` is the page's."""
        self._state, self._show = state, show
        self._sources: dict[str, Any] = {}
        self._opening = asyncio.Lock()
        state.ts_opening, state.ts_problem, state.ts_note = False, "", ""

    def source_of(self, volume: slicer.vtkMRMLScalarVolumeNode | None) -> Any:
        """Return the DICOM images that results of a volume can refer to, None if none can."""
        source = None if volume is None else self._sources.get(volume.GetID())
        return None if isinstance(source, str) else source

    def why_no_source(self, volume: slicer.vtkMRMLScalarVolumeNode | None) -> str:
        """Return why no results of a volume can be DICOM, "" if they can."""
        source = self._sources.get(volume.GetID()) if volume is not None else None
        if source is None:
            return opening.NOT_DICOM
        return source if isinstance(source, str) else ""

    def recover(self) -> None:
        """Say no more that something is being opened, as that has failed."""
        self._state.ts_opening = False

    async def open(self, find: Callable[[Path], opening.Found]) -> None:
        """Add to the scene what `find` finds in what was named or sent.

        Args:
            find: is called in a thread, with a temporary folder.
        """
        if not self._opening.locked():
            with self._state as state:
                state.ts_problem = state.ts_note = ""
        async with self._opening:
            await self._open(find)

    async def _open(self, find: Callable[[Path], opening.Found]) -> None:
        with self._state as state:
            state.ts_opening = True
        problem, notes = "", []
        try:
            with temporary_folder() as place:
                found = await asyncio.to_thread(find, Path(place))
                nodes = opening.add_to_scene(found)
            for node, source in zip(nodes, found.sources, strict=False):
                self._sources[node.GetID()] = source
            notes = found.notes[:MOST_NOTES]
            if more := found.notes[MOST_NOTES:]:
                notes.append(f"and {counted(len(more), 'further line')}")
        except TumorSegError as error:
            problem = str(error)
        with self._state as state:
            state.ts_opening = False
            state.ts_problem = "\n".join(filter(None, (state.ts_problem, problem)))
            state.ts_note = "\n".join(filter(None, (state.ts_note, *notes)))
            if not problem:
                self._show(nodes)
