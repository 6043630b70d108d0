"""The node's queue on disk: what is known of series, their images, and results to send.

SQLite with a write-ahead log that is flushed at every commit: what was committed is there after a
power cut. No name, number, date or description of a patient is kept, only UIDs.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.errors import OutputError

QUEUE = "queue.sqlite"
FORMAT = 1
"""Of the tables, as SQLite's user_version."""

RECEIVING, WAITING, WORKING, MADE = "receiving", "waiting", "under way", "made"
DONE, PASSED, FAILED = "done", "passed over", "failed"
UNDER_WAY = (RECEIVING, WAITING, WORKING, MADE)
FINAL = (DONE, PASSED, FAILED)
OPEN, ENDED, BROKEN, REFUSED = "open", "ended", "broken", "refused"
LACKING = {BROKEN: "the connection broke", REFUSED: "images were refused"}
"""What keeps a series from being whole."""

TABLES = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    study TEXT NOT NULL,
    modality TEXT NOT NULL,
    state TEXT NOT NULL,
    is_final INTEGER GENERATED ALWAYS AS (state IN ('done', 'passed over', 'failed')) VIRTUAL,
    connection TEXT NOT NULL,
    arrived REAL NOT NULL,
    changed REAL NOT NULL,
    more INTEGER NOT NULL DEFAULT 0,
    key TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX series_by_state ON series (state);
CREATE INDEX series_by_study ON series (study);
CREATE TABLE image (
    uid TEXT PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
    held INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX image_by_series ON image (series, held);
CREATE INDEX image_held ON image (series) WHERE held = 1;
CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
    file TEXT NOT NULL,
    made REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next REAL NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX result_by_state ON result (state);
"""

COLUMNS = "id, uid, study, modality, state, connection, arrived, changed, more, key, model, reason"


@dataclass(frozen=True)
class SeriesRow:
    """What is known of a series.

    Attributes:
        id: number by which lines and pages call it.
        uid: SeriesInstanceUID.
        study: StudyInstanceUID.
        modality: as in DICOM.
        state: one of `UNDER_WAY` and `FINAL`.
        connection: on which its last image came: one of `OPEN`, `ENDED`, `BROKEN`,
            `REFUSED`.
        arrived: when its last image came, seconds since 1970.
        changed: when its state last changed, likewise.
        more: whether images came since it was begun.
        key: hash of the model and the settings that it was last done with.
        model: id.
        reason: why it failed or was passed over.
    """

    id: int
    uid: str
    study: str
    modality: str
    state: str
    connection: str
    arrived: float
    changed: float
    more: int
    key: str
    model: str
    reason: str

    @property
    def name(self) -> str:
        """Of its folder of results."""
        return f"series-{self.id:06}"

    def __str__(self) -> str:
        return f"series {self.id}"


class Tables:
    """One connection to the queue, for all threads of the node."""

    def __init__(self, path: Path) -> None:
        """Open the queue, which is made where there is none.

        Raises:
            OutputError: it cannot be opened, or is of a newer node.
        """
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=30
            )
            for line in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._database.execute(f"PRAGMA {line}")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._database.executescript(
                    f"BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"
                )
        except sqlite3.Error as error:
            raise OutputError(f"{path}: the queue cannot be opened ({error})") from None
        if version not in (0, FORMAT):
            raise OutputError(f"{path}: is of another TumorSeg; install the one that made it")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection; what the block changes is on the disk when it ends, or not at all.

        Raises:
            sqlite3.OperationalError: the disk is full.
        """
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def rows(self, words: str, *values: object) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        with self._lock:
            return self._database.execute(words, values).fetchall()

    def series(self, where: str, *values: object) -> list[SeriesRow]:
        """Return the series of which `where` holds, the oldest first."""
        words = f"SELECT {COLUMNS} FROM series WHERE {where} ORDER BY id"  # noqa: S608 - ours
        with self._lock:
            return [SeriesRow(*row) for row in self._database.execute(words, values)]
