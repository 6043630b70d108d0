"""How a run stands, for the panel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """What the panel shows of a run.

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
