"""A job for the worker: what to segment with which model, and who hears how it goes. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import Grid
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.worker.protocol import Done, Progress, Queued, Started, Thresholded
from TumorSegLib.worker.shared_memory import SharedBlock
from TumorSegModule.logic.ending import Reason


@dataclass(frozen=True)
class Channel:
    """One sequence of a job.

    Attributes:
        voxels: array (z, y, x) of the volume node, not copied.
        grid: where they lie in the world.
        name: of the node.
        key: equal for equal voxels, so that a second run need not share them again.
    """

    voxels: np.ndarray
    grid: Grid
    name: str
    key: tuple[Any, ...]

    def is_like(self, other: Channel) -> bool:
        """Tell whether this has another's voxels, and they lie where those lay."""
        return self.key == other.key and self.grid.geometry_equal(other.grid)


@dataclass(frozen=True)
class Request:
    """What to segment with which model; see `TumorSegLib.worker.protocol.Segment`."""

    model: str
    labels: int
    channels: dict[str, Channel]
    options: RunOptions = field(default_factory=RunOptions)
    server: str = ""


class Listener(Protocol):
    """What the runner tells about a job, always from within `poll`.

    A job ends by `job_done` or `job_failed`, once, unless `Runner.cancel` ends it.
    """

    def job_queued(self, job: Job, event: Queued) -> None:
        """The job waits for a server."""

    def job_started(self, job: Job, event: Started) -> None:
        """The model is loaded, the first slice is about to be computed."""

    def job_progressed(self, job: Job, event: Progress) -> None:
        """Further slices are in the label map."""

    def job_done(self, job: Job, event: Done) -> None:
        """The label map is complete."""

    def job_thresholded(self, job: Job, event: Thresholded) -> None:
        """The label map was written anew with another sensitivity."""

    def job_failed(self, job: Job, reason: Reason, message: str, details: str) -> None:
        """There is no result; `message` is for the user, `details` for the log."""

    def threshold_failed(self, job: Job, message: str, details: str) -> None:
        """The result stays as it is; its probabilities are gone."""

    def worker_ended(self) -> None:
        """The worker died while nothing was under way; kept probabilities are gone."""


def _nothing() -> NDArray[np.uint8]:
    return np.zeros(0, np.uint8)


@dataclass
class Job:
    """A job under way, or the last one, whose arrays are kept.

    Attributes:
        number: counts up.
        request: as submitted.
        inputs: voxels by channel name as the worker got them.
        labelmap: uint8 (z, y, x), which the worker fills slice by slice.
        probabilities: uint8 (labels, z, y, x).
        submitted: time of the click, `time.perf_counter`.
    """

    number: int
    request: Request
    submitted: float
    blocks: dict[str, SharedBlock] = field(default_factory=dict)
    inputs: dict[str, NDArray[Any]] = field(default_factory=dict)
    labelmap: NDArray[np.uint8] = field(default_factory=_nothing)
    probabilities: NDArray[np.uint8] = field(default_factory=_nothing)
