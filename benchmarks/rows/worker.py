"""Clicks, as the panel makes them: from the request to the label map in shared memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "TumorSeg"))

from rows.pairs import Row, Series
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.catalogue import SHIPPED
from TumorSegLib.phantom import abdomen_phantom
from TumorSegModule.logic.runner import Channel, Request, Runner
from TumorSegModule.logic.worker_client import WorkerClient

SLICES, SIZE = 40, 512
COLD, WARM, SAME = "first click, cold worker", "another volume, warm", "the same volume again"
FIRST, CANCEL = "first slices of the same volume", "cancel to idle"


class Told:
    """What the runner tells of a job, kept."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.done = False

    def job_progressed(self, *_told: object) -> None:
        """Note when the first slices are there."""
        self.first = self.first or time.perf_counter()

    def job_done(self, *_told: object) -> None:
        """Note the end."""
        self.done = True

    def job_failed(self, *told: object) -> None:
        """End the benchmark.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(" ".join(map(str, told[1:])))

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Take everything else that a listener is told."""
        return lambda *_told: None


def rows(rounds: int) -> list[Row]:
    """Return a row for each kind of click; a round begins with a new worker."""
    spacing = (384 / SIZE, 384 / SIZE, 200 / SLICES)
    phantom, _ = abdomen_phantom(shape=(SLICES, SIZE, SIZE), spacing=spacing)
    seconds: dict[str, list[float]] = {name: [] for name in (COLD, WARM, SAME, FIRST, CANCEL)}
    for _ in range(rounds):
        told = Told()
        runner = Runner(WorkerClient([sys.executable]), told)
        try:
            for name, key in ((COLD, 1), (WARM, 2), (SAME, 2)):
                began = _submit(runner, told, phantom, key)
                _poll(runner, lambda told=told: told.done)
                seconds[name].append(time.perf_counter() - began)
            seconds[FIRST].append((told.first or began) - began)
            _submit(runner, told, phantom, 2)
            _poll(runner, lambda told=told: told.first is not None)
            began = time.perf_counter()
            runner.cancel()
            _poll(runner, lambda runner=runner: not runner.pending)
            seconds[CANCEL].append(time.perf_counter() - began)
        finally:
            runner.stop()
    what = f"CT {SIZE}x{SIZE}x{SLICES}, U-Net, in the worker"
    return [Row(what, Series(name, tuple(own))) for name, own in seconds.items()]


def request_of(phantom: Volume, key: Hashable, options: RunOptions) -> Request:
    """Return a click on a phantom CT, whose voxels are shared anew if its `key` is."""
    channel = Channel(phantom.voxels, phantom.grid, "phantom", ("phantom", key))
    return Request(str(SHIPPED / "liver-ct-unet"), 2, {"ct": channel}, options)


def _submit(runner: Runner, told: Told, phantom: Volume, key: int) -> float:
    told.first, told.done = None, False
    request = request_of(phantom, key, RunOptions(device="cpu"))
    began = time.perf_counter()
    runner.submit(request)
    return began


def _poll(runner: Runner, done: Callable[[], bool]) -> None:
    """Poll as often as the panel does, until `done`."""
    while not done():
        runner.poll()
        if not runner.copying:
            time.sleep(0.002)
