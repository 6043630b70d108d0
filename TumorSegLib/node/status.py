"""What the node has done and has to do, read from its queue beside it; no name of a patient."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.node.outbox import TO_SEND
from TumorSegLib.node.queue_tables import (
    DONE,
    FAILED,
    LACKING,
    MADE,
    PASSED,
    QUEUE,
    RECEIVING,
    WAITING,
    WORKING,
)
from TumorSegLib.support.words import counted

MOST_LINES = 200
SHOWN = {
    RECEIVING: "received",
    WAITING: "waiting",
    WORKING: "under way",
    MADE: "sending",
    DONE: "sent",
    PASSED: "passed over",
    FAILED: "failed",
}
"""States as people read them."""


@dataclass(frozen=True)
class Line:
    """One series.

    Attributes:
        number: by which lines of the node call it.
        state: as in `SHOWN`.
        reason: why it failed, was passed over or waits.
        images: how many it has.
        model: id.
        since: when that state began, in local time.
        uid: SeriesInstanceUID.
        study: StudyInstanceUID.
    """

    number: int
    state: str
    reason: str
    images: int
    model: str
    since: str
    uid: str
    study: str

    def told(self, *, identify: bool) -> str:
        """Return it in a line, with its UIDs if asked for."""
        told = f"series {self.number}: {self.state} since {self.since}"
        told += f", {counted(self.images, 'image')}"
        if self.model:
            told += f", {self.model}"
        if self.reason:
            told += f"; {self.reason}"
        return f"{told}; series {self.uid} of study {self.study}" if identify else told


@dataclass(frozen=True)
class Status:
    """All of it.

    Attributes:
        counts: series by state.
        lines: those under way, then the latest of the others.
    """

    counts: dict[str, int]
    lines: list[Line]

    @property
    def summary(self) -> str:
        """The counts in a line."""
        words = [f"{self.counts[name]} {name}" for name in SHOWN.values() if name in self.counts]
        return ", ".join(words) or "nothing has come yet"


def read_status(place: Path) -> Status:
    """Return what stands in the queue of a node, whether that runs or not.

    Raises:
        InputError: there is no queue, or it cannot be read.
    """
    path = place / QUEUE
    if not path.is_file():
        raise InputError(f"{path}: found no queue; has the node been started?")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            counts = database.execute("SELECT state, COUNT(*) FROM series GROUP BY state")
            by_state = {SHOWN[state]: count for state, count in counts}
            rows = database.execute(
                "SELECT id, state, reason, connection, model, changed, uid, study,"
                " (SELECT COUNT(*) FROM image WHERE image.series = series.id),"
                " (SELECT reason FROM result WHERE result.series = series.id AND state = ?"
                " ORDER BY id LIMIT 1) FROM series ORDER BY is_final, changed DESC LIMIT ?",
                (TO_SEND, MOST_LINES),
            ).fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    return Status(by_state, [_line(*row) for row in rows])


def _line(
    number: int,
    state: str,
    reason: str,
    connection: str,
    model: str,
    changed: float,
    uid: str,
    study: str,
    images: int,
    sending: str | None,
) -> Line:
    if state == RECEIVING and connection in LACKING:
        reason = f"{LACKING[connection]}; the rest is waited for"
    elif state == MADE:
        reason = sending or ""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(changed))
    return Line(number, SHOWN[state], reason, images, model, since, uid, study)
