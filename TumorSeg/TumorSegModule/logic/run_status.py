"""How a run stands, and how to say it."""

from __future__ import annotations

from dataclasses import dataclass

from TumorSegModule.logic.translation import tr as _


@dataclass(frozen=True)
class Status:
    """What is shown of a run.

    Attributes:
        stage: "idle", "starting" (process, model and voxels) or "running".
        done: slices.
        total: slices.
        seconds_left: estimated, None while unknown.
        line: last result or error, for the user.
        failed: whether `line` is an error.
        device: where the network ran and why there.
        place: in a server's queue, 1 for the next; 0 where nothing waits for one.
    """

    stage: str = "idle"
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    line: str = ""
    failed: bool = False
    device: str = ""
    place: int = 0


def progress_text(status: Status) -> str:
    """Return "slice 12 of 40, 3 s left"."""
    if status.place:
        return _("Waiting for the server, place {place}").format(place=status.place)
    if status.stage == "starting":
        return _("Starting…")
    if status.total == 0:
        return _("Preparing…")
    if status.seconds_left is None or status.done == 0:
        return _("slice {done} of {total}").format(done=status.done, total=status.total)
    return _("slice {done} of {total}, {time} left").format(
        done=status.done, total=status.total, time=in_words(status.seconds_left)
    )


def in_words(seconds: float) -> str:
    """Return a length of time for people."""
    if seconds < 90:
        return _("{count} s").format(count=max(1, round(seconds)))
    return _("{count} min").format(count=round(seconds / 60))
