"""Several volumes one after the other. No Qt, no MRML: any object is a volume here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclass(frozen=True)
class Entry:
    """A volume in the queue; `line` says why it failed.

    The volume itself is kept, as an id may come back with another scene; let go of when it is over.
    """

    volume: object
    name: str
    state: str = WAITING
    line: str = ""


class WorkQueue:
    """Volumes to segment in the order of their arrival.

    Attributes:
        entries: all of them, finished ones too.
        running: whether the queue is being worked off.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.entries: list[Entry] = []
        self.running = False

    def add(self, volume: Any, name: str) -> None:
        """Add a volume, unless it is waiting already."""
        if not any(entry.volume is volume and entry.state == WAITING for entry in self.entries):
            self.entries.append(Entry(volume, name))

    def remove(self, row: int) -> None:
        """Take out an entry that is not running."""
        if 0 <= row < len(self.entries) and self.entries[row].state != RUNNING:
            del self.entries[row]

    def next(self) -> Entry | None:
        """Mark the next waiting entry as running and return it; None ends the queue."""
        for row, entry in enumerate(self.entries):
            if entry.state == WAITING:
                self.entries[row] = replace(entry, state=RUNNING)
                self.running = True
                return self.entries[row]
        self.running = False
        return None

    def finish(self, failure: str = "") -> None:
        """Mark the running entry as done, or as failed for a reason."""
        for row, entry in enumerate(self.entries):
            if entry.state == RUNNING:
                state = FAILED if failure else DONE
                self.entries[row] = replace(entry, volume=None, state=state, line=failure)

    def stop(self) -> None:
        """Stop; what was running waits again."""
        self.running = False
        self.entries = [
            replace(entry, state=WAITING) if entry.state == RUNNING else entry
            for entry in self.entries
        ]
