"""How a run ended: told once for each run, to whoever waits for its number."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from TumorSegLib.worker.protocol import Done


class Reason(Enum):
    """Why a run is over."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    VOLUME_REMOVED = "volume removed"
    SCENE_CLOSED = "scene closed"
    WORKER_ENDED = "worker ended"
    SERVER = "server"


@dataclass(frozen=True)
class Ending:
    """The end of a run.

    Attributes:
        number: of the run, see `Session.start`.
        reason: why it is over.
        line: for the user.
        options: what was to be run, see `TumorSegModule.logic.run_options`.
        target: segmentation node with the result, None if there is none.
        event: of the worker, None if there is no result.
    """

    number: int
    reason: Reason
    line: str
    options: Any
    target: Any = None
    event: Done | None = None

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.reason is Reason.DONE
