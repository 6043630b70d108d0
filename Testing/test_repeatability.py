"""In fp32 a volume has one result: bit by bit, in every run, whoever asks for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from test_worker import Peer, segment
from tiny_models import brain_specification, write_tiny_bundle
from waiting import wait_until

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.worker.protocol import Done, Failed

pytestmark = pytest.mark.slow

GRID = Grid((11, 70, 60), (1.0, 1.0, 5.0))

COMMAND = """
import sys
import numpy as np
import TumorSegLib.writing as writing
from TumorSegLib.cli import main

write = writing.write_segmentation

def keep(result, path, **options):
    np.savez(sys.argv[1], labelmap=result.labelmap, probabilities=result.probabilities)
    write(result, path, **options)

writing.write_segmentation = keep
sys.exit(main(sys.argv[2:]))
"""

Answer = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass
class Case:
    """A volume, a model with random weights, and the command's result."""

    folder: Path
    voxels: NDArray[np.int16]
    model: Path
    answers: list[Answer] = field(default_factory=list)

    def by_command(self, name: str) -> Answer:
        """Segment in a process of its own."""
        kept = self.folder / f"{name}.npz"
        words = ["segment", "volume.nii.gz", "--model", self.model, "--device", "cpu", "--quiet"]
        words += ["--precision", "fp32", "-o", f"{name}.nii.gz"]
        command = [sys.executable, "-c", COMMAND, kept, *words]
        subprocess.run([*map(str, command)], cwd=self.folder, check=True)
        with np.load(kept) as content:
            written = sitk.GetArrayFromImage(sitk.ReadImage(str(self.folder / f"{name}.nii.gz")))
            np.testing.assert_array_equal(written, content["labelmap"])
            return content["labelmap"], content["probabilities"]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    random = np.random.default_rng(3)
    voxels = random.normal(90, 40, GRID.shape).clip(0).astype(np.int16)
    voxels[:, 20:50, 15:45] += random.integers(0, 90, (11, 30, 30)).astype(np.int16)
    sitk.WriteImage(to_sitk(voxels, GRID), str(folder / "volume.nii.gz"))
    model = write_tiny_bundle(folder / "models", brain_specification()).folder
    made = Case(folder, voxels, model)
    made.answers.append(made.by_command("first"))
    return made


def alike(one: Answer, other: Answer) -> None:
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_there_is_something_to_compare(case: Case) -> None:
    labelmap, probabilities = case.answers[0]
    assert 0 < np.count_nonzero(labelmap) < labelmap.size
    assert len(np.unique(probabilities)) > 20


def test_two_runs_of_the_command(case: Case) -> None:
    alike(case.answers[0], case.by_command("second"))


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    os.killpg(peer.process.pid, signal.SIGKILL)
    peer.process.communicate()


def test_the_worker_gives_what_the_command_gives_also_the_second_time(
    case: Case, peer: Peer
) -> None:
    for job in (1, 2):
        answer = segment(peer, case.model, case.voxels, job, device="cpu", precision="fp32")
        assert isinstance(peer.until(Done, Failed)[-1], Done)
        alike(case.answers[0], answer)


class Listener:
    """Keeps how the panel's job ended."""

    def __init__(self) -> None:
        self.ended: list[Any] = []

    def job_started(self, job: Any, event: Any) -> None: ...

    def job_progressed(self, job: Any, event: Any) -> None: ...

    def job_done(self, job: Any, event: Any) -> None:
        self.ended.append(event)

    def job_failed(self, job: Any, *why: Any) -> None:
        self.ended.append(why)


def test_the_panels_runner_gives_what_the_command_gives(case: Case, host: Any) -> None:
    from TumorSegModule.logic.runner import Channel, Request, Runner
    from TumorSegModule.logic.worker_client import WorkerClient

    listener = Listener()
    runner = Runner(WorkerClient([sys.executable]), listener)
    channel = Channel(case.voxels, GRID, "volume", ("volume", 1))
    try:
        job = runner.submit(
            Request(str(case.model), 1, {"flair": channel}, RunOptions("cpu", "fp32"))
        )
        wait_until(lambda: listener.ended, turn=lambda: (runner.poll(), time.sleep(0.005)))
        assert isinstance(listener.ended[0], Done), listener.ended
        alike(case.answers[0], (job.labelmap.copy(), job.probabilities.copy()))
    finally:
        runner.stop()
