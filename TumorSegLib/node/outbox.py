"""Results that wait for the PACS: each is sent until it is accepted, or given up."""

from __future__ import annotations

import time
from dataclasses import dataclass

from TumorSegLib.node.queue_tables import DONE, FAILED, MADE, RECEIVING, SeriesRow, Tables

TO_SEND, SENT, GIVEN_UP = "waiting", "sent", "given up"
LONGEST_PAUSE = 600.0
"""Seconds between two tries to send a result."""


@dataclass(frozen=True)
class ResultRow:
    """A file to send.

    Attributes:
        id: its number.
        series: number of its series.
        file: its path, below the node's folder.
        made: when, seconds since 1970.
        tries: to send it so far.
    """

    id: int
    series: int
    file: str
    made: float
    tries: int


def pause_after(tries: int) -> float:
    """Return the seconds to the next try."""
    return min(LONGEST_PAUSE, 2.0 ** min(tries, 20))


class Outbox:
    """The results of all series, kept in `Tables`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def to_send(self) -> list[ResultRow]:
        """Return the results whose turn it is, the oldest first."""
        found = self._tables.rows(
            "SELECT id, series, file, made, tries FROM result WHERE state = ? AND next <= ?"
            " ORDER BY id",
            TO_SEND,
            time.time(),
        )
        return [ResultRow(*row) for row in found]  # type: ignore[arg-type]

    def follows(self, result: ResultRow) -> bool:
        """Tell whether a result refers to one of its series that was not accepted yet."""
        return bool(
            self._tables.rows(
                "SELECT 1 FROM result WHERE series = ? AND id < ? AND state != ?",
                result.series,
                result.id,
                SENT,
            )
        )

    def put_off(self, result: ResultRow, reason: str) -> None:
        """Try a result again later, each time twice as much later."""
        with self._tables.changing() as database:
            database.execute(
                "UPDATE result SET tries = tries + 1, next = ?, reason = ? WHERE id = ?",
                (time.time() + pause_after(result.tries), reason, result.id),
            )

    def hurry(self) -> None:
        """Have all results tried at once, as the PACS is back."""
        with self._tables.changing() as database:
            database.execute("UPDATE result SET next = 0 WHERE state = ?", (TO_SEND,))

    def note_sent(self, result: ResultRow) -> SeriesRow | None:
        """Keep that a result was accepted; return its series if that is done with it."""
        return self._settle(result, SENT, "")

    def note_given_up(self, result: ResultRow, reason: str) -> None:
        """Keep that a result is not sent any more, nor what refers to it; its series has failed."""
        self._settle(result, GIVEN_UP, reason)

    def _settle(self, result: ResultRow, state: str, reason: str) -> SeriesRow | None:
        with self._tables.changing() as database:
            database.execute(
                "UPDATE result SET state = ?, reason = ? WHERE id = ?", (state, reason, result.id)
            )
            if state == GIVEN_UP:
                database.execute(
                    "UPDATE result SET state = ?, reason = ? WHERE series = ? AND state = ?",
                    (state, reason, result.series, TO_SEND),
                )
            states = {
                row[0]
                for row in database.execute(
                    "SELECT state FROM result WHERE series = ?", (result.series,)
                )
            }
            if TO_SEND in states:
                return None
            after = FAILED if GIVEN_UP in states else DONE
            database.execute(
                "UPDATE series SET state = CASE WHEN more THEN ? ELSE ? END, changed = ?,"
                " more = 0, reason = ? WHERE id = ? AND state = ?",
                (RECEIVING, after, time.time(), reason, result.series, MADE),
            )
        return next(iter(self._tables.series("id = ?", result.series)), None)
