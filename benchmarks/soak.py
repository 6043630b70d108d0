"""A long day of the worker process: mixed jobs, some cancelled, garbled or killed at random.

    python benchmarks/soak.py [--jobs 500] [--seed 0]

Every 50 jobs, after one and the same pair of jobs, it is counted what the worker and those who
started it hold. Memory may be 15 % and 48 MiB above the lowest count, all else must be what it was
at the first count: descriptors, threads, child processes, names in shared memory, temporary files.
If one is not, the status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import astuple, dataclass, fields
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

import numpy as np  # noqa: E402
from bright_models import write_ct_model, write_model  # noqa: E402
from test_worker import Peer, leftovers  # noqa: E402

from TumorSegLib.model.catalogue import SHIPPED  # noqa: E402
from TumorSegLib.worker.protocol import (  # noqa: E402
    Cancel,
    Done,
    Failed,
    Forget,
    Progress,
    Segment,
    Share,
    Started,
    Stopped,
    Threshold,
    Thresholded,
)
from TumorSegLib.worker.shared_memory import SharedBlock  # noqa: E402
from TumorSegLib.worker.shared_voxels import SharedVolume  # noqa: E402

EVERY = 50
SHIPPED_MODEL = "brain-lgg-linknet"
FACTOR, MORE_MIB = 1.15, 48.0
SHAPES = ((6, 48, 48), (10, 64, 80), (14, 96, 64))
GARBLED = (b"\n", b"{}\n", b"\xff\xfe\x00\n", b'{"kind": "segment"}\n', b"[" * 60 + b"\n")
KINDS = {
    "whole": 56,
    "cancel": 16,
    "threshold": 8,
    "garbled": 6,
    "impossible": 6,
    "kill": 5,
    "end": 3,
}
"""Kinds of jobs, and how often each comes in a hundred."""


@dataclass(frozen=True)
class Levels:
    """What is held between two jobs."""

    jobs: int
    memory_mib: float
    descriptors: int
    threads: int
    children: int
    own_descriptors: int
    own_children: int
    shared_names: int
    temporary_files: int


class Day:
    """A worker, the models and volumes that it is given, and what became of the jobs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.folder = folder
        self.models = {
            "flair": [
                write_model(folder / "models", "tiny"),
                write_model(folder / "models", "wide", width=8),
            ],
            "ct": [write_ct_model(folder / "models", "tiny-ct")],
        }
        self.shipped = SHIPPED / SHIPPED_MODEL
        self.counts: Counter[str] = Counter()
        self.job = 0
        self.peer: Peer | None = None

    def worker(self) -> Peer:
        """Return the worker, started if there is none."""
        if self.peer is None:
            self.peer = Peer()
            threading.Thread(target=_drain, args=(self.peer.process.stderr,), daemon=True).start()
        return self.peer

    def one(self) -> None:
        """Do a job of a random kind."""
        kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
        self.counts[kind] += 1
        peer = self.worker()
        if kind == "garbled":
            peer.process.stdin.write(self.random.choice(GARBLED))
            peer.process.stdin.flush()
        elif kind == "end":
            self.leave()
        else:
            self._segment(peer, kind)

    def reference(self) -> None:
        """Do the jobs after which levels are compared: of the shipped model, then of a tiny one."""
        self._segment(self.worker(), "whole", self.shipped, SHAPES[0])
        self._segment(self.worker(), "whole", self.models["flair"][0], SHAPES[0])

    def _segment(
        self,
        peer: Peer,
        kind: str,
        model: Path | None = None,
        shape: tuple[int, int, int] | None = None,
    ) -> None:
        channel = "ct" if self.random.random() < 0.3 and model is None else "flair"
        model = model or self.random.choice(self.models[channel])
        shape = shape or self.random.choice(SHAPES)
        labels = 2 if channel == "ct" else 1
        voxels = np.zeros(shape, np.int16)
        voxels[:, 8:40, 8:40] = self.random.randint(40, 80)
        voxels[2:5, 16:26, 16:26] = 200
        blocks = [
            _shared(peer, voxels),
            _shared(peer, np.zeros(shape, np.uint8)),
            _shared(peer, np.zeros((labels, *shape), np.uint8)),
        ]
        self.job += 1
        flat = tuple(float(part) for part in np.eye(3).ravel())
        described = SharedVolume(
            blocks[0].name, "int16", shape, (1.0, 1.0, 5.0), (0.0,) * 3, flat, "volume"
        )
        labelmap = blocks[1].name
        if kind == "impossible":
            model, labelmap = self.random.choice(
                [(self.folder / "no such model", labelmap), (model, "tumorseg-no-such-block")]
            )
        names = (labelmap, blocks[2].name)
        peer.send(Segment(self.job, str(model), {channel: described}, *names, precision="fp32"))
        alive = self._follow(peer, kind)
        if alive:
            peer.send(*(Forget(block.name) for block in blocks))
        for block in blocks:
            block.unlink()

    def _follow(self, peer: Peer, kind: str) -> bool:
        """See a job to its end; return whether the worker is still there."""
        if kind == "kill":
            time.sleep(self.random.uniform(0, 0.3))
            os.killpg(peer.process.pid, signal.SIGKILL)
            self._gone()
            return False
        ending, last = (Done, Failed, Stopped), None
        if kind == "cancel":
            if before := self.random.choice([(), (Started,), (Progress,)]):
                last = peer.until(*before, *ending)[-1]
            peer.send(Cancel(self.job))
        if not isinstance(last, ending):
            last = peer.until(*ending)[-1]
        expected = {"impossible": Failed, "cancel": ending}.get(kind, Done)
        assert isinstance(last, expected), last
        if kind == "threshold":
            peer.send(Threshold(self.job, 0.4))
            assert isinstance(peer.until(Thresholded, Failed)[-1], Thresholded)
        return True

    def leave(self) -> None:
        """End the worker as a panel does that is closed."""
        if self.peer is not None:
            self.peer.process.stdin.close()
            self._gone()

    def _gone(self) -> None:
        assert self.peer is not None
        self.peer.process.wait(30)
        for stream in (self.peer.process.stdin, self.peer.process.stdout):
            stream.close()
        self.peer = None

    def levels(self, jobs: int) -> Levels:
        """Count what is held now."""
        self.reference()
        time.sleep(0.3)
        pid = self.worker().process.pid
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        return Levels(
            jobs,
            int(status["VmRSS"].split()[0]) / 1024,
            _entries(f"/proc/{pid}/fd"),
            int(status["Threads"]),
            len(_children(pid)),
            _entries("/proc/self/fd"),
            len(_children(os.getpid())),
            len(leftovers()),
            sum(1 for _ in Path(tempfile.gettempdir()).rglob("*")),
        )


def _shared(peer: Peer, array: np.ndarray) -> SharedBlock:
    """Return a block that holds an array, of which the worker is told."""
    block = SharedBlock.create(array.nbytes)
    block.array(array.shape, array.dtype)[:] = array
    peer.send(Share(block.name, array.nbytes))
    return block


def _drain(stream: object) -> None:
    """Read what the worker prints, lest it waits for a reader."""
    with stream:  # type: ignore[attr-defined]
        for _ in stream:  # type: ignore[attr-defined]
            pass


def _entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def _children(pid: int) -> list[str]:
    """Return the child processes of one, by id."""
    lists = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [child for text in lists for child in text.split()]


def strayed(table: list[Levels]) -> list[str]:
    """Return a line for each level that did not return."""
    lines = []
    lowest = min(row.memory_mib for row in table)
    for row in table:
        if row.memory_mib > FACTOR * lowest + MORE_MIB:
            lines.append(f"after {row.jobs} jobs: {row.memory_mib:.0f} MiB, lowest {lowest:.0f}")
        for field in fields(Levels)[2:]:
            first, now = getattr(table[0], field.name), getattr(row, field.name)
            if now != first:
                lines.append(f"after {row.jobs} jobs: {field.name} {now}, at first {first}")
    return lines


def main() -> int:
    """Run a day, print the table; 1 if a level does not return."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    head = [field.name.replace("_", " ") for field in fields(Levels)]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        temporary = Path(folder, "tmp")
        temporary.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        day, table = Day(Path(folder), options.seed), []
        for done in range(options.jobs + 1):
            if done % EVERY == 0:
                table.append(day.levels(done))
                cells = [f"{value:.0f}" for value in astuple(table[-1])]
                print(f"| {' | '.join(cells)} |", flush=True)
            if done < options.jobs:
                day.one()
        day.leave()
        tempfile.tempdir = None
        os.environ.pop("TMPDIR")
    print(f"\njobs by kind: {json.dumps(dict(sorted(day.counts.items())))}")
    lines = strayed(table)
    print("\n".join(lines) if lines else "all levels returned")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
