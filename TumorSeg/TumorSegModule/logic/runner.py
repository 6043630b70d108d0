"""Takes one job at a time through the worker: shares its voxels, follows it, ends it. No Qt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.worker.protocol import (
    Cancel,
    Done,
    Failed,
    Progress,
    Queued,
    Segment,
    Started,
    Stopped,
    Threshold,
    Thresholded,
)
from TumorSegLib.worker.shared_memory import SharedBlock
from TumorSegLib.worker.shared_voxels import SharedVolume
from TumorSegModule.logic.ending import Reason
from TumorSegModule.logic.job import Channel, Job, Listener, Request
from TumorSegModule.logic.translation import tr as _
from TumorSegModule.logic.worker_client import WorkerClient, WorkerEnded

COPY_SECONDS = 0.01
"""Longest time that one `poll` spends on copying voxels; Slicer's views move in between."""

COPY_BYTES = 1 << 21
"""Bytes copied between two looks at the clock."""

CANCEL_SECONDS = 1.0
"""A worker that has not stopped by then (it may be importing PyTorch) is ended."""


class Runner:
    """Runs jobs in the worker; nothing here ever waits for it."""

    def __init__(self, client: WorkerClient, listener: Listener) -> None:
        """Run jobs in `client`'s worker and tell `listener`."""
        self.client = client
        self.job: Job | None = None
        self._listener = listener
        self._count = 0
        self._phase = "idle"
        self._begun = False
        self._copying: Iterator[None] = iter(())
        self._inputs: dict[tuple[Any, ...], SharedBlock] = {}
        self._unconfirmed: dict[int, float] = {}
        self._threshold_sent: float | None = None
        self._threshold_wanted: float | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self._phase != "idle"

    @property
    def pending(self) -> bool:
        """Whether `poll` must be called: something is under way in the worker."""
        return self.busy or bool(self._unconfirmed) or self._threshold_sent is not None

    @property
    def copying(self) -> bool:
        """Whether `poll` should be called again at once."""
        return self._phase == "copying"

    def submit(self, request: Request) -> Job:
        """Start a job and return it; its arrays are there when the listener hears of its start."""
        if self.busy:
            raise RuntimeError("one job at a time")
        for event in self.client.poll():  # a worker that died meanwhile is no fault of this job
            self._take(event)
        self.release()
        self._count += 1
        job = self.job = Job(self._count, request, time.perf_counter())
        self._phase, self._begun = "copying", False
        self._copying = self._share(job)
        return job

    def poll(self) -> None:
        """Go on with what is under way; call this every few milliseconds while busy."""
        for event in self.client.poll():
            self._take(event)
        now = time.perf_counter()
        if any(now > deadline for deadline in self._unconfirmed.values()):
            self.client.stop()
            self._worker_is_gone()
        if self._phase == "copying" and not self._unconfirmed:
            self._copy(now + COPY_SECONDS)

    def cancel(self) -> None:
        """Stop the job under way at once; the worker stops within a batch."""
        if not self.busy:
            return
        job = self._current
        if self._phase == "sent":
            self._unconfirmed[job.number] = time.perf_counter() + CANCEL_SECONDS
            self.client.send(Cancel(job.number))
        self._finish()
        self.release()

    def threshold(self, sensitivity: float) -> None:
        """Have the last job's label map written anew; the newest wish wins."""
        if self.job is None or self.busy:
            return
        self._threshold_wanted = sensitivity
        if self._threshold_sent is None:
            self._send_threshold()

    def can_threshold(self, job_number: int) -> bool:
        """Tell whether that job's probabilities are still at hand."""
        return self.job is not None and not self.busy and self.job.number == job_number

    def release(self) -> None:
        """Free the last job's label map and probabilities."""
        if self.job is None or self.busy:
            return
        for block in self.job.blocks.values():
            self.client.forget(block)
        self.job = None
        self._threshold_sent = self._threshold_wanted = None

    def stop(self) -> None:
        """End job and worker and free everything; for when panel or scene goes away."""
        self.cancel()
        self.client.stop()
        self._worker_is_gone()
        self.release()

    @property
    def _current(self) -> Job:
        assert self.job is not None
        return self.job

    def _share(self, job: Job) -> Iterator[None]:
        """Copy the job's voxels to shared memory bit by bit, then send it."""
        self.client.start()
        self._begun = True
        shape = next(iter(job.request.channels.values())).grid.shape
        labels = (job.request.labels, *shape)
        for name, size in (("labelmap", prod(shape)), ("probabilities", prod(labels))):
            job.blocks[name] = yield from self.client.new_block(size)
        job.labelmap = job.blocks["labelmap"].array(shape, np.uint8)
        job.probabilities = job.blocks["probabilities"].array(labels, np.uint8)
        volumes = {}
        for name, channel in job.request.channels.items():
            block = self._inputs.get(channel.key)
            if block is None or not self.client.has(block):
                block = yield from self.client.new_block(channel.voxels.nbytes)
                try:
                    yield from copy_voxels(channel.voxels, block)
                except GeneratorExit:  # cancelled
                    self.client.forget(block)
                    raise
                self._inputs[channel.key] = block
            job.inputs[name] = block.array(channel.voxels.shape, channel.voxels.dtype)
            volumes[name] = described(channel, block)
        wanted = {channel.key for channel in job.request.channels.values()}
        for key in set(self._inputs) - wanted:
            self.client.forget(self._inputs.pop(key))
        request = job.request
        self.client.send(
            Segment(
                job.number,
                request.model,
                volumes,
                labelmap=job.blocks["labelmap"].name,
                probabilities=job.blocks["probabilities"].name,
                options=request.options,
                server=request.server,
            )
        )

    def _copy(self, until: float) -> None:
        try:
            while time.perf_counter() < until:
                next(self._copying)
        except StopIteration:
            self._phase = "sent"
        except (MemoryError, OSError) as error:
            self._fail(Reason.FAILED, str(error), "")

    def _take(self, event: Any) -> None:
        if isinstance(event, WorkerEnded):
            self._take_end(event)
            return
        if isinstance(event, Done | Stopped | Failed):
            self._unconfirmed.pop(event.job, None)
        if self.job is None or event.job != self.job.number:
            return  # of a job that was cancelled
        match event:
            case Queued():
                self._listener.job_queued(self.job, event)
            case Started():
                self._listener.job_started(self.job, event)
            case Progress():
                self._listener.job_progressed(self.job, event)
            case Done():
                self._finish()
                self._listener.job_done(self.job, event)
            case Thresholded():
                self._take_threshold(self.job, event)
            case Failed():
                self._take_failure(event)

    def _take_threshold(self, job: Job, event: Thresholded) -> None:
        self._threshold_sent = None
        self._listener.job_thresholded(job, event)  # before the worker writes again
        if self._threshold_wanted not in (None, event.sensitivity):
            self._send_threshold()

    def _take_failure(self, event: Failed) -> None:
        if self.busy:
            reason = Reason.SERVER if event.here else Reason.FAILED
            self._fail(reason, event.message, event.details)
            return
        job = self._current
        self.release()
        self._listener.threshold_failed(job, event.message, event.details)

    def _take_end(self, event: WorkerEnded) -> None:
        begun = self.busy and self._begun  # else the next worker has all of the job
        self._worker_is_gone()
        if begun:
            self._fail(
                Reason.WORKER_ENDED,
                _(
                    "the segmentation process ended unexpectedly ({reason}); nothing was changed,"
                    " click Segment to try again"
                ).format(reason=_reason(event.status)),
                event.details,
            )
        elif not self.busy:
            self._listener.worker_ended()

    def _send_threshold(self) -> None:
        wanted = self._threshold_sent = self._threshold_wanted
        if wanted is not None:
            self.client.send(Threshold(self._current.number, wanted))

    def _fail(self, reason: Reason, message: str, details: str) -> None:
        job = self._current
        self._finish()
        self.release()
        self._listener.job_failed(job, reason, message, details)

    def _finish(self) -> None:
        self._phase, self._copying = "idle", iter(())

    def _worker_is_gone(self) -> None:
        self._inputs = {}
        self._unconfirmed = {}
        self._threshold_sent = self._threshold_wanted = None
        if not self.busy:
            self.job = None


def copy_voxels(voxels: NDArray[Any], block: SharedBlock) -> Iterator[None]:
    """Copy an array to a shared block, bit by bit as a generator."""
    target = block.array(voxels.shape, voxels.dtype)
    rows = max(1, COPY_BYTES * len(voxels) // max(1, voxels.nbytes))
    for start in range(0, len(voxels), rows):
        target[start : start + rows] = voxels[start : start + rows]
        yield


def described(channel: Channel, block: SharedBlock) -> SharedVolume:
    """Return what the worker is told of a channel whose voxels lie in `block`."""
    grid = channel.grid
    return SharedVolume(
        block.name,
        channel.voxels.dtype.name,
        grid.shape,
        grid.spacing,
        grid.origin,
        grid.cosines,
        channel.name,
    )


def _reason(status: int | None) -> str:
    if status is None:
        return _("no reason is known")
    if status == -9:
        return _("it was killed, perhaps for want of memory")
    if status < 0:
        return _("signal {number}").format(number=-status)
    return _("status {number}").format(number=status)
