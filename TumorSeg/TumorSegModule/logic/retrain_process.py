"""`tumorseg retrain` in a process of its own, followed by the file that it writes. No Qt, no MRML.

The run lives in its folder, not in the scene: closing the scene leaves it alone, and a run that was
stopped, or that ended with Slicer, goes on from its last whole epoch.
"""

from __future__ import annotations

import glob
import math
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from TumorSegLib.support.places import data_folder
from TumorSegLib.worker.process_group import (
    end_group,
    end_group_and_wait,
    lower_priority,
    own_group,
)
from TumorSegLib.worker.retrain_events import (
    CHECKPOINT,
    PLAN,
    PROGRESS,
    STOP,
    Epoch,
    Failed,
    Finished,
    Measuring,
    RetrainEvent,
    Step,
    Stopped,
    from_line,
)
from TumorSegModule.logic.worker_client import library_environment

OUTPUT = "output.log"
DATASET = "dataset.txt"
"""Names the data set of a run, for two of them may be folders of the same name."""

STOP_SECONDS = 20.0
"""A run that has not stopped by itself by then is ended; its last checkpoint is whole."""


@dataclass(frozen=True)
class RetrainRequest:
    """What to retrain; see `tumorseg retrain`.

    Attributes:
        dataset: folder of the corrected cases.
        base: id of the model to start from.
        epochs: how many, if not `hours`.
        hours: at most, if not `epochs`.
        old_cases: folder of cases to mix in, "" for none.
    """

    dataset: str
    base: str
    epochs: int | None = None
    hours: float | None = None
    old_cases: str = ""

    @property
    def words(self) -> list[str]:
        """The command's arguments."""
        words = ["retrain", self.dataset, "--base", self.base]
        if self.epochs is not None:
            words += ["--epochs", str(self.epochs)]
        if self.hours is not None:
            words += ["--hours", f"{self.hours:g}"]
        return words + (["--old-cases", self.old_cases] if self.old_cases else [])


@dataclass
class State:
    """How a run stands.

    Attributes:
        stage: "idle", "starting", "training", "measuring", "stopping", "stopped", "done", "failed".
        epoch: under way, or the last.
        epochs: planned.
        step: of the epoch.
        steps: in the epoch.
        seconds_left: of training, None while unknown.
        rows: figures of every epoch, the base's as epoch 0.
        measured: held-out cases that are measured.
        cases: that are to be measured.
        line: what to tell the user.
        result: what came of a run that is done.
    """

    stage: str = "idle"
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    rows: dict[int, Mapping[str, float]] = field(default_factory=dict)
    measured: int = 0
    cases: int = 0
    line: str = ""
    result: Finished | None = None


class RetrainProcess:
    """One run at a time; nothing here ever waits for it.

    Attributes:
        state: of the run.
        folder: of the run, None before the first.
    """

    def __init__(self, command: Sequence[str], runs: Path | None = None) -> None:
        """Remember what starts the command, and the folder of all runs.

        Args:
            command: list of words, such as [python, "-m", "tumorseg_training"].
            runs: the user's own folder if not given.
        """
        self._command = list(command)
        self._runs = Path(runs) if runs is not None else data_folder() / "Retraining"
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._stop_by: float | None = None
        self.state = State()
        self.folder: Path | None = None

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self._process is not None

    def start(self, request: RetrainRequest, *, resume: bool = False) -> None:
        """Start a run, or go on with the one that was stopped.

        Raises:
            OSError: the folder cannot be made, or the process cannot be started.
        """
        if self.busy:
            raise RuntimeError("one run at a time")
        folder = self.resumable(request) if resume else None
        if folder is None:
            folder, resume = self._new_folder(request), False
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STOP).unlink(missing_ok=True)
        (folder / DATASET).write_text(_dataset_of(request), encoding="utf-8")
        words = [*self._command, *request.words, "-o", str(folder)]
        with (folder / OUTPUT).open("wb") as output:
            process = subprocess.Popen(
                words + (["--resume"] if resume else []),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=library_environment(),
                **own_group(patient=True),
            )
        self._process, self.folder, self.state = process, folder, State("starting")
        self._read, self._stop_by = 0, None
        lower_priority(process)
        if resume:
            self._replay()

    def resumable(self, request: RetrainRequest) -> Path | None:
        """Return the folder of the last stopped run of `request`, None if there is none."""
        for folder in reversed(self._folders(request)):
            kept = folder / DATASET
            same = not kept.exists() or kept.read_text(encoding="utf-8") == _dataset_of(request)
            if same and _has_checkpoint(folder):
                return folder
        return None

    @property
    def can_go_on(self) -> bool:
        """Whether the last run left something to go on with."""
        return not self.busy and self.folder is not None and _has_checkpoint(self.folder)

    def poll(self) -> bool:
        """Take in what the run has written; return whether `state` changed."""
        if self._process is None:
            return False
        ended = self._process.poll() is not None  # before reading, so that no line is missed
        changed = self._take()
        if ended:
            self._finish()
            return True
        if self._stop_by is not None and time.monotonic() > self._stop_by:
            end_group(self._process)
            self._stop_by = math.inf  # once: on Windows another process does it
        return changed

    def stop(self) -> None:
        """Ask the run to stop; it keeps its last whole epoch."""
        if self.busy and self._stop_by is None:
            (self._run_folder / STOP).touch()
            self._stop_by = time.monotonic() + STOP_SECONDS
            self.state.stage = "stopping"

    def close(self) -> None:
        """End the run at once, as when Slicer ends; it can be resumed later."""
        if self._process is not None:
            end_group_and_wait(self._process)
            self._finish()
            self.state.stage = "stopped"

    @property
    def _run_folder(self) -> Path:
        """Folder of the run under way."""
        assert self.folder is not None
        return self.folder

    def _replay(self) -> None:
        """Skip what the run wrote before it was stopped, but for its epochs."""
        self._take()
        self.state = State("starting", rows=self.state.rows)

    def _take(self) -> bool:
        """Read the progress file from where the last look ended."""
        try:
            with (self._run_folder / PROGRESS).open("rb") as file:
                file.seek(self._read)
                content = file.read()
        except FileNotFoundError:
            return False
        whole = content.rfind(b"\n") + 1
        self._read += whole
        for line in content[:whole].splitlines():
            event = from_line(line)
            if event is not None:
                self._follow(event)
        return whole > 0

    def _follow(self, event: RetrainEvent) -> None:
        state = self.state
        if isinstance(event, Step | Epoch | Measuring) and state.stage != "stopping":
            state.stage = "measuring" if isinstance(event, Measuring) else "training"
        match event:
            case Step():
                state.epoch, state.epochs = event.epoch, event.epochs
                state.step, state.steps = event.step, event.steps
            case Epoch():
                state.epoch, state.epochs = event.epoch, event.epochs
                state.rows[event.epoch] = event.figures
                state.seconds_left = event.seconds_left
            case Measuring():
                state.measured, state.cases = event.done, event.cases
            case Finished():
                state.stage, state.result = "done", event
            case Failed():
                state.stage, state.line = "failed", event.message
            case Stopped():
                state.stage = "stopped"

    def _finish(self) -> None:
        """Say how a process that is gone has ended, where it did not say so itself."""
        assert self._process is not None
        status, self._process = self._process.returncode, None
        (self._run_folder / STOP).unlink(missing_ok=True)
        if self.state.stage in ("done", "failed", "stopped"):
            return
        if self._stop_by is not None:
            self.state.stage = "stopped"
            return
        output = (self._run_folder / OUTPUT).read_text("utf-8", errors="replace")
        printed = output.strip().splitlines()
        last = printed[-1].removeprefix("tumorseg: ") if printed else f"status {status}"
        self.state.stage, self.state.line = "failed", last

    def _name(self, request: RetrainRequest) -> str:
        return f"{Path(request.dataset).name}-{request.base}"

    def _folders(self, request: RetrainRequest) -> list[Path]:
        """Return the folders of the runs of a data set and base, in the order of their numbers."""
        name = self._name(request)
        numbers = [
            int(path.name.removeprefix(f"{name}-"))
            for path in self._runs.glob(f"{glob.escape(name)}-*")
            if path.name.removeprefix(f"{name}-").isdecimal()
        ]
        return [self._runs / f"{name}-{number}" for number in sorted(numbers)]

    def _new_folder(self, request: RetrainRequest) -> Path:
        folders = self._folders(request)
        number = int(folders[-1].name.rpartition("-")[2]) + 1 if folders else 1
        return self._runs / f"{self._name(request)}-{number}"


def _dataset_of(request: RetrainRequest) -> str:
    return str(Path(request.dataset).expanduser().resolve())


def _has_checkpoint(folder: Path) -> bool:
    return (folder / CHECKPOINT).exists() and (folder / PLAN).exists()
