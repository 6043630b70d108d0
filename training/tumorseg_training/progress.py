"""Writes the events of a retraining run; see `TumorSegLib.worker.retrain_events`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from tumorseg_training.epoch_log import History
from TumorSegLib.errors import OutputError
from TumorSegLib.worker.retrain_events import PROGRESS, STOP, Epoch, RetrainEvent, Step, to_line

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

    def write(self, event: RetrainEvent) -> None:
        """Add a line.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(to_line(event) + "\n")
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
        self.lines.write(Epoch(0, trainer.max_epochs or 0, figures=figures))

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
                Step(
                    epoch=trainer.current_epoch + 1,
                    epochs=trainer.max_epochs or 0,
                    step=index + 1,
                    steps=int(trainer.num_training_batches),
                )
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
        figures = {name: value for name, value in row.items() if name != "epoch"}
        left = round(each * max(0, planned - done), 1)
        self.lines.write(Epoch(done, planned, left, figures))
