"""The process in which models run: a crash in it costs the series that it was at, not the node."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from TumorSegLib.cohort.case_folder import Results
from TumorSegLib.cohort.case_run import Outcome
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.plan import Task
from TumorSegLib.cohort.settings import Settings
from TumorSegLib.support.child_process import ended_by

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess


class StoppedError(Exception):
    """The process was told to end."""


class ModelProcess:
    """One process with its models loaded, started when it is first needed and after a crash."""

    def __init__(
        self, results: Results, models: Models, settings: Settings, threads: int | None
    ) -> None:
        self._given = (results, models.absolute(), settings, threads)
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, task: Task) -> Outcome:
        """Segment a case, however long it takes; how the process ended may be the reason.

        Raises:
            StoppedError: `stop` was called.
        """
        process, pipe = self._started()
        try:
            pipe.send(task)
            wait([pipe, process.sentinel])
            if pipe.poll():
                outcome: Outcome = pipe.recv()
                return outcome
        except (OSError, EOFError):  # it ended meanwhile
            pass
        process.join()
        with self._lock:
            self._forget()
            if self._stopped:
                raise StoppedError
        how = ended_by(process.exitcode or 0)
        memory = ", perhaps for lack of memory" if how == "SIGKILL" else ""
        return Outcome(
            task.case.name, task.fingerprint, f"the process that segments ended ({how}{memory})"
        )

    def end(self) -> None:
        """Let go of the process and its memory; the next case starts another."""
        with self._lock:
            process = self._process
            if process is not None:
                process.kill()
                process.join()
            self._forget()

    def stop(self) -> None:
        """End the process for good, whatever it is at."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _started(self) -> tuple[SpawnProcess, Connection]:
        with self._lock:
            if self._stopped:
                raise StoppedError
            if self._process is None or self._pipe is None:
                context = multiprocessing.get_context("spawn")
                self._pipe, theirs = context.Pipe()
                self._process = context.Process(
                    target=serve, args=(theirs, *self._given), daemon=True
                )
                self._process.start()
                theirs.close()
            return self._process, self._pipe

    def _forget(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def serve(
    pipe: Connection, results: Results, models: Models, settings: Settings, threads: int | None
) -> None:
    """Answer tasks until the node ends, however that ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the node is told, and decides
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from TumorSegLib.cohort.case_run import CaseRunner

    runner = CaseRunner(results, models, settings, threads=threads)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(runner.run(task))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)
