"""Has results sent, again and again, until each is accepted or given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from TumorSegLib.errors import fault
from TumorSegLib.node.journal import Journal
from TumorSegLib.node.outbox import Outbox, ResultRow
from TumorSegLib.node.sending import DamagedError, RefusedError, UnreachableError, send
from TumorSegLib.node.settings import NodeSettings

LEAST_SECONDS = 3600.0
"""After its start a node gives no result up for so long: it was off, and its network is not there
yet, or the clock was set."""


class Sender:
    """Sends what waits in the outbox."""

    def __init__(
        self,
        settings: NodeSettings,
        place: Path,
        outbox: Outbox,
        journal: Journal,
        *,
        is_ended: Callable[[], bool],
    ) -> None:
        self._settings, self._place, self._outbox = settings, place, outbox
        self._journal, self._is_ended = journal, is_ended
        self._began = time.monotonic()

    def turn(self) -> bool:
        """Try the results whose turn it is; False: wait before the next turn."""
        results = self._outbox.to_send()
        for result in results:
            if self._is_ended():
                break
            if self._outbox.follows(result):
                continue
            try:
                send(self._place / result.file, self._settings)
            except UnreachableError as error:
                self._journal.say_once("pacs", f"results wait: {error}")
                self._put_off(result, str(error))
                return False
            except FileNotFoundError:
                self._give_up(result, "its result is not on the disk any more")
            except Exception as error:  # of one result, which stops no other
                self._have_wait(result, self._reason(error))
            else:
                self._note_sent(result)
        return False

    def _note_sent(self, result: ResultRow) -> None:
        done = self._outbox.note_sent(result)
        if self._journal.is_over("pacs", f"{self._settings.send} takes results again"):
            self._outbox.hurry()
        if done is not None:
            self._journal.say(f"{done}: sent to {self._settings.send}")

    def _reason(self, error: Exception) -> str:
        """Return why a result waits."""
        if isinstance(error, RefusedError):
            return f"{self._settings.send} {error}"
        if isinstance(error, DamagedError):
            return str(error)
        if isinstance(error, OSError):
            return f"it cannot be read ({error.strerror})"
        return fault(error)

    def _have_wait(self, result: ResultRow, reason: str) -> None:
        """Put off a result for a reason of its own."""
        self._journal.say_once(
            f"result {result.id}", f"series {result.series}: a result waits: {reason}"
        )
        self._put_off(result, reason)

    def _put_off(self, result: ResultRow, reason: str) -> None:
        patience = 3600 * self._settings.give_up_hours
        tried = time.monotonic() - self._began
        if time.time() - result.made > patience and tried > min(LEAST_SECONDS, patience):
            hours = f"{self._settings.give_up_hours:g}"
            self._give_up(result, f"given up after {hours} h: {reason}; send the series again")
        else:
            self._outbox.put_off(result, reason)

    def _give_up(self, result: ResultRow, reason: str) -> None:
        self._outbox.note_given_up(result, reason)
        self._journal.say(f"series {result.series}: {reason}")
