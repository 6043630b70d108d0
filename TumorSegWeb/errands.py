"""What is made for the user to save while the page goes on. No trame.

A worker process writes reports and cases for retraining; they pass through a temporary folder,
which is gone before they are sent.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from TumorSegLib.errors import OutputError
from TumorSegModule.logic.exporter import Exporter, Order, Outcome
from TumorSegModule.logic.report_writer import ReportOrder, ReportWriter
from TumorSegModule.logic.worker_client import WorkerClient, python_command
from TumorSegWeb.clock import Poller
from TumorSegWeb.faults import Faults

if TYPE_CHECKING:
    from trame_server.state import State


class _Errand:
    """One at a time; who waits for it is told of its end."""

    def __init__(self, state: State, worker: ReportWriter | Exporter, faults: Faults) -> None:
        """Have `worker` polled while it is busy, and stopped after an error."""
        self._worker = worker
        self._poller = Poller(
            state, worker.poll, lambda: worker.busy, lambda: worker.working, faults
        )
        self._ended: asyncio.Future[bool] | None = None
        faults.recover_by(self.stop)

    def stop(self) -> None:
        """End it; nothing of it is left."""
        self._worker.stop()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(False)

    async def _end(self, start: Callable[[], None]) -> bool:
        """Start it and return whether it came to its end; it was stopped otherwise."""
        self._ended = asyncio.get_running_loop().create_future()
        start()
        self._poller.start()
        return await self._ended

    def _succeed(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(True)


class Reports(_Errand):
    """Writes reports; see `TumorSegModule.logic.report_writer.ReportListener`."""

    def __init__(self, state: State, faults: Faults) -> None:
        """Write in a worker of its own."""
        self._problem = ""
        self._writer = ReportWriter(WorkerClient(python_command()), self)
        super().__init__(state, self._writer, faults)

    async def write(self, order: ReportOrder) -> bool:
        """Write a report and return whether it is there; it was stopped otherwise.

        Raises:
            OutputError: it cannot be written.
        """
        self._problem = ""
        ended = await self._end(lambda: self._writer.start(order))
        if self._problem:
            raise OutputError(self._problem)
        return ended

    def report_written(self, path: str) -> None:
        """See `TumorSegModule.logic.report_writer.ReportListener`."""
        self._succeed()

    def report_failed(self, line: str) -> None:
        """See `TumorSegModule.logic.report_writer.ReportListener`."""
        self._problem = line
        self._succeed()


class Exports(_Errand):
    """Exports cases; see `TumorSegModule.logic.exporter.Listener`."""

    def __init__(self, state: State, faults: Faults) -> None:
        """Export in a worker of its own."""
        self._exporter = Exporter(WorkerClient(python_command()), self)
        super().__init__(state, self._exporter, faults)

    async def export(self, order: Order) -> Outcome | None:
        """Export cases and return what became of them; None if it was stopped."""
        ended = await self._end(lambda: self._exporter.start(order))
        return self._exporter.outcome if ended else None

    def case_exported(self) -> None:
        """See `TumorSegModule.logic.exporter.Listener`."""

    def export_ended(self) -> None:
        """See `TumorSegModule.logic.exporter.Listener`."""
        self._succeed()


class InThread:
    """Makes a file in a thread, for which nobody waits any more once it is stopped."""

    def __init__(self) -> None:
        """Make nothing yet."""
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Wait for nothing any more; a thread cannot be ended, and ends by itself."""
        self._stopped.set()

    async def make(self, make: Callable[[], bytes]) -> bytes | None:
        """Return what `make` returns, None if it was stopped before; errors are passed on."""
        self._stopped.clear()
        making = asyncio.ensure_future(asyncio.to_thread(make))
        stopping = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((making, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if making.done():
            return making.result()
        making.add_done_callback(lambda made: made.cancelled() or made.exception())  # for nobody
        return None


def zipped(folder: Path) -> bytes:
    """Return an archive that unpacks to `folder`, with all that is in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (folder, *sorted(folder.rglob("*"))):
            archive.write(path, path.relative_to(folder.parent))
    return content.getvalue()


def zipped_files(files: dict[str, bytes]) -> bytes:
    """Return an archive of files by their names."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return content.getvalue()
