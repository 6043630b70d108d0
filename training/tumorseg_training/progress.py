"""What a retraining run tells whoever watches it: a file to which lines of JSON are added.

    {"event": "planned", "id": ..., "version": ..., "training": 5, "held_out": 1, ...}
    {"event": "step", "epoch": 1, "epochs": 8, "step": 12, "steps": 40}
    {"event": "epoch", "epoch": 1, "epochs": 8, "loss": 0.31, "dice": 0.84, "seconds_left": 95.0}
    {"event": "measuring", "model": ..., "done": 2, "cases": 4}
    {"event": "done", "id": ..., "folder": ..., "better": true, "comparison": ...}
    {"event": "stopped", ...} or {"event": "failed", "message": ...}

Epoch 0 has the base's loss and Dice. A resumed run goes on in the same file. A file named `stop`
beside it ends the run as Ctrl-C does, where signals do not reach it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from tumorseg_training.history import History
from TumorSegLib.errors import OutputError

PROGRESS = "progress.jsonl"
STOP = "stop"
STEP_SECONDS = 0.5
"""Shortest time between two lines about steps."""


class ProgressLog:
    """Adds lines to a run's progress file, and looks for the file that ends the run."""

    def __init__(self, folder: Path) -> None:
        """Write to `folder`.

        Raises:
            OutputError: it cannot be made.
        """
        self.path = folder / PROGRESS
        self.stop = folder / STOP
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: {error.strerror or error}") from None

    def write(self, event: str, **figures: Any) -> None:
        """Add a line.

        Raises:
            OutputError: it cannot be written.
        """
        line = json.dumps({"event": event, **figures}, ensure_ascii=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}") from None

    def check_stop(self) -> None:
        """End the run if that is asked for.

        Raises:
            KeyboardInterrupt: it is.
        """
        if self.stop.exists():
            raise KeyboardInterrupt


class Watched(Callback):
    """Writes steps and epochs of a run to its progress file, and stops when asked to."""

    def __init__(self, log: ProgressLog) -> None:
        """Write to `log`."""
        self.lines = log
        self._last_step = 0.0
        self._began = time.monotonic()
        self._epochs = 0

    def on_sanity_check_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Write how the base fares, before its first step."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.lines.write("epoch", epoch=0, epochs=trainer.max_epochs, **figures)

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        _module: lightning.LightningModule,
        _outputs: Any,
        _batch: Any,
        index: int,
    ) -> None:
        """Write the step; stop if asked to."""
        self.lines.check_stop()
        if time.monotonic() - self._last_step > STEP_SECONDS:
            self._last_step = time.monotonic()
            self.lines.write(
                "step",
                epoch=trainer.current_epoch + 1,
                epochs=trainer.max_epochs,
                step=index + 1,
                steps=int(trainer.num_training_batches),
            )

    def on_validation_batch_end(self, *_: Any) -> None:
        """Stop if asked to."""
        self.lines.check_stop()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule
    ) -> None:
        """Write the epoch's figures, and the time that the others will take."""
        self._epochs += 1
        row = next(item for item in trainer.callbacks if isinstance(item, History)).rows[-1]  # type: ignore[attr-defined]
        done, planned = trainer.current_epoch + 1, trainer.max_epochs or 0
        each = (time.monotonic() - self._began) / self._epochs
        self.lines.write(
            "epoch",
            **(row | {"epoch": done, "epochs": planned}),
            seconds_left=round(each * max(0, planned - done), 1),
        )
