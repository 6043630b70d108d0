"""The node at work: series are completed, segmented and sent, each by a thread of its own."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from TumorSegLib.cohort.case_folder import DICOM, STRUCTURED_REPORT, Results
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.plan import Task
from TumorSegLib.cohort.settings import Settings
from TumorSegLib.errors import OutputError, TumorSegError, fault
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.checksum import digest
from TumorSegLib.node.choosing import Chooser, Passed
from TumorSegLib.node.description import described
from TumorSegLib.node.discretion import without_header
from TumorSegLib.node.image_store import ImageStore, flush_folder
from TumorSegLib.node.intake import Intake
from TumorSegLib.node.journal import Journal
from TumorSegLib.node.model_process import ModelProcess, StoppedError
from TumorSegLib.node.queue import Queue
from TumorSegLib.node.queue_tables import FINAL, LACKING, QUEUE, SeriesRow
from TumorSegLib.node.receiver import DISK, Receiver
from TumorSegLib.node.rules import Rules
from TumorSegLib.node.sender import Sender
from TumorSegLib.node.settings import NodeSettings
from TumorSegLib.node.status_page import StatusPage
from TumorSegLib.node.tls import check_certificates
from TumorSegLib.node.watcher import Watcher
from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.support import leftovers
from TumorSegLib.support.disk import FULL

TURN_SECONDS = 0.5
TROUBLE_SECONDS = 10.0
"""Between two tries of what the disk or a fault of ours kept from being done."""
END_SECONDS = 10.0
"""For which a part may end what it is at."""
FORGET_SECONDS = 3600.0
"""Between two looks at what is through for long."""
NO_SEGMENTATION = "no DICOM segmentation: "


class Node:
    """All parts of a node on one folder."""

    def __init__(
        self, settings: NodeSettings, catalogue: Catalogue, journal: Journal | None = None
    ) -> None:
        """Look at the rules and certificates; nothing is opened.

        Raises:
            InputError: one cannot be used.
        """
        self.settings = settings
        check_certificates(settings)
        self._place = settings.place.absolute()
        self._case_settings = case_settings(settings)
        self._rules = Rules(settings.rule, catalogue, self._case_settings)
        self._journal = journal or Journal()
        self._end = threading.Event()
        self._parts: list[Receiver | StatusPage] = []
        self._threads: list[threading.Thread] = []
        self._forget_at = 0.0

    def run(self) -> None:
        """Work until `end` is called or KeyboardInterrupt is raised.

        Raises:
            OutputError: the folder or the port cannot be used, or another node works there.
        """
        with ExitStack() as stack:
            stack.enter_context(quiet_pydicom())
            self._open(stack)
            stack.callback(self._stop)
            self._start()
            while not self._end.wait(60):
                pass

    def described(self) -> Iterator[str]:
        """Yield lines on what the node does, none of which it does yet."""
        return described(self.settings, self._rules)

    def end(self) -> None:
        """Have `run` return; what is under way is given back."""
        self._end.set()

    def _open(self, stack: ExitStack) -> None:
        settings, place = self.settings, self._place
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.chmod(0o700)
        except OSError as error:
            raise OutputError(f"{place}: cannot be used ({error.strerror})") from None
        self._results = Results(place)
        stack.enter_context(self._results.opened())
        self._queue = Queue(place / QUEUE)
        stack.callback(self._queue.tables.close)
        self._store = ImageStore(place, settings.reserve_mb * 1e6)
        self._store.keep_only(self._queue.held())
        self._intake = Intake(self._queue, self._store, self._rules)
        self._chooser = Chooser(self._queue, self._store, self._rules, settings.study_quiet_seconds)
        self._sender = Sender(
            settings, place, self._queue.outbox, self._journal, is_ended=self._end.is_set
        )
        models = Models(self._rules.catalogue)
        self._process = ModelProcess(
            self._results, models, self._case_settings, settings.run.threads
        )

    def _start(self) -> None:
        settings = self.settings
        if settings.receive is not None:
            self._parts.append(Receiver(settings.receive, self._intake, self._journal))
        if settings.page_port:
            self._parts.append(StatusPage(self._place, settings.page_port))
        for part in self._parts:
            part.start()
        steps = [self._complete, self._segment, self._sender.turn]
        if settings.watch is not None:
            self._watcher = Watcher(
                settings.watch,
                self._intake,
                self._queue,
                self._rules,
                self._journal,
                is_ended=self._end.is_set,
            )
            steps.append(self._watch)
        for step in steps:
            thread = threading.Thread(target=self._turns, args=(step,), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._journal.say(f"ready; {self._queue.summary()}")

    def _stop(self) -> None:
        self._end.set()
        self._process.stop()
        for part in self._parts:
            part.stop()
        for thread in self._threads:
            thread.join(END_SECONDS)  # one that waits for a PACS to answer is left behind
        self._journal.say(f"ended; {self._queue.summary()}, which go on when it is started again")

    def _turns(self, step: Callable[[], bool]) -> None:
        """Take a step again and again; no fault ends that."""
        while not self._end.is_set():
            try:
                did = step()
            except StoppedError:
                return
            except Exception as error:
                if self._end.is_set():  # the queue is closed
                    return
                self._tell(error)
                self._end.wait(TROUBLE_SECONDS)
            else:
                if not did:
                    self._end.wait(TURN_SECONDS)

    def _tell(self, error: Exception) -> None:
        if isinstance(error, OSError | sqlite3.Error | OutputError):
            self._journal.say_once(DISK, f"the disk keeps work from being done: {_line(error)}")
        else:
            self._journal.say_once(fault(error), fault(error))

    def _watch(self) -> bool:
        assert self.settings.watch is not None
        self._watcher.look()
        self._end.wait(self.settings.watch.every_seconds)
        return True

    # Completeness, and what goes from the disk

    def _complete(self) -> bool:
        self._intake.settle()
        for row in self._queue.quiet(self.settings.quiet_seconds):
            gone, count = self._queue.missing(row.id)
            if row.connection in LACKING or gone:
                if time.time() - row.arrived > self.settings.rest_seconds:
                    missing = f"{gone} of {count} images are not here any more and were not sent"
                    reason = f"{missing} again; send the whole series"
                    if not gone:
                        why = LACKING[row.connection]
                        reason = f"{why}, and the rest did not come; send the series again"
                    self._fail(row, reason)
                continue
            self._decide(row, count)
        self._clear()
        return False

    def _decide(self, row: SeriesRow, count: int) -> None:
        try:
            assignment = self._chooser.assignment_for(row)
        except TumorSegError as error:
            self._fail(row, self._discreet(error, row))
            return
        if assignment is None:
            return
        if isinstance(assignment, Passed):
            self._journal.say(f"{row}: {count} images, passed over: {assignment.reason}")
            self._queue.note_passed(row, assignment.reason, key=assignment.key)
            return
        assert assignment.bundle is not None
        model = self.settings.rule[assignment.rule - 1].model or assignment.bundle.id
        self._journal.say(
            f"{row}: {row.modality}, {count} images, complete;"
            f" rule {assignment.rule}, {assignment.bundle.id}"
        )
        self._queue.note_complete(row, key=assignment.key, model=model)

    def _clear(self) -> None:
        """Remove images and results of series that are through."""
        settings = self.settings
        self._intake.remove(
            self._queue.finished(self._rules.of_several, settings.study_quiet_seconds)
        )
        for folder in self._results.cases.glob("series-*"):
            number = int(folder.name.partition("-")[2])
            row = next(iter(self._queue.tables.series("id = ?", number)), None)
            if row is None or row.state in FINAL:
                leftovers.remove(folder)
        if time.monotonic() > self._forget_at:
            self._queue.forget(settings.remember_days)
            self._forget_at = time.monotonic() + FORGET_SECONDS

    # Segmenting

    def _segment(self) -> bool:
        row = next(iter(self._queue.waiting()), None)
        if row is None or not self._queue.begin(row):
            return False
        begun = time.monotonic()
        reason = self._reason(row)
        files, missing = self._made(row)
        if reason is None and not files:
            reason = missing
        if reason is not None:
            self._without_result(row, reason)
        elif self._queue.note_made(row, files):
            seconds = time.monotonic() - begun
            self._journal.say(f"{row}: segmented by {row.model} in {seconds:.1f} s")
        else:
            self._journal.say(f"{row}: more images came meanwhile; it is done again")
        return True

    def _reason(self, row: SeriesRow) -> str | None:
        """Segment a series; return why that failed.

        Raises:
            StoppedError: the node ends.
        """
        try:
            case = self._chooser.case_of(row)
        except TumorSegError as error:
            return self._discreet(error, row)
        task = Task(case, digest([row.uid, self._queue.images(row.id), row.key]))
        if self._results.fingerprint(row.name) == task.fingerprint:
            return None  # it was made before the node was killed
        try:
            return self._process.run(task).reason
        except StoppedError:
            self._queue.give_back(row)
            self._journal.say(f"{row}: given back")
            raise
        except Exception as error:
            return fault(error)

    def _without_result(self, row: SeriesRow, reason: str) -> None:
        full = next((text for text in map(os.strerror, FULL) if text in reason), "")
        if full or self._store.is_full():
            self._queue.give_back(row)
            self._journal.say_once(DISK, f"{row} waits: {full or os.strerror(errno.ENOSPC)}")
            self._end.wait(TROUBLE_SECONDS)
            return
        if "memory" in reason:
            self._process.end()
        self._fail(row, reason)

    def _made(self, row: SeriesRow) -> tuple[list[str], str]:
        """Return the objects of a series, below the node's folder; or why there are none."""
        folder = self._results.of(row.name)
        wanted = [DICOM, *([STRUCTURED_REPORT] if self.settings.run.report else [])]
        record = self._results.record(row.name) or {}
        lines = [line for line in record.get("warnings", []) if NO_SEGMENTATION in line]
        if not all((folder / name).is_file() for name in wanted):
            return [], str(lines[0] if lines else "no DICOM segmentation was written")
        for place in (folder, self._results.cases):  # names, too, are to outlive a power cut
            flush_folder(place)
        return [str((folder / name).relative_to(self._place)) for name in wanted], ""

    def _fail(self, row: SeriesRow, reason: str) -> None:
        reason = without_header(reason, self._store.folder(row.uid))
        self._queue.note_failed(row, reason)
        self._journal.say(f"{row}: failed: {reason}")

    def _discreet(self, error: Exception, row: SeriesRow) -> str:
        folder = str(self._store.folder(row.uid))
        words = [
            f"{row}:" if word.startswith(folder) and word.endswith(":") else word
            for word in _line(error).split()
        ]
        words = ["a file" if word.startswith(folder) else word for word in words]
        return " ".join(words).removeprefix(f"{row}: ").replace(row.uid, str(row))


def case_settings(settings: NodeSettings) -> Settings:
    """Return how every case is segmented and written."""
    return Settings(
        options=settings.run.options, as_dicom=True, structured_report=settings.run.report
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
