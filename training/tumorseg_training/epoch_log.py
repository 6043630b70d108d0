"""What a run leaves to look at while it goes on: a line, a table and a figure an epoch."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.support.atomic_write import write_whole

Report = Callable[[str], None]

TABLE = "epochs.csv"
FIGURE = "progress.png"
TO_WATCH = ("loss", "validation_loss", "dice", "dice_median", "auc")


class History(Callback):
    """Keeps every epoch's figures, in the checkpoint too, so that a resumed run has them all.

    `data_share` is the part of the epoch's steps in which the network waited for slices.
    """

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder = folder
        self.report = report
        self.rows: list[dict[str, float]] = []
        self._waited = 0.0
        self._began = 0.0
        self._step_ended: float | None = None
        self._session = time.monotonic()
        self._session_epochs = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows up again."""
        self.rows = list(state_dict["rows"])

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._session = time.monotonic()

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the epoch's clock; the wait for its first slices counts."""
        self._waited = 0.0
        self._began = time.monotonic()
        self._step_ended = self._began

    def on_train_batch_start(self, *_: Any) -> None:
        """Count the wait since the step before."""
        if self._step_ended is not None:
            self._waited += time.monotonic() - self._step_ended

    def on_train_batch_end(self, *_: Any) -> None:
        """Remember when the step ended."""
        self._step_ended = time.monotonic()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule
    ) -> None:
        """Write the table and the figure, and say how it stands.

        Raises:
            InputError: the loss is no longer a number; the checkpoint before is kept.
            OutputError: the files cannot be written; the checkpoint before is kept.
        """
        stepping = (self._step_ended or self._began) - self._began
        row = {"epoch": float(trainer.current_epoch + 1)}
        validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        for name, value in trainer.callback_metrics.items():
            if name == "loss" or validated:
                row[name] = float(value)
        if not math.isfinite(row.get("loss", 0.0)):
            raise InputError(
                f"the loss is not a number any more in epoch {trainer.current_epoch + 1}; lower"
                " optimisation.learning_rate, or use optimisation.precision 32-true"
            )
        row["learning_rate"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        row["seconds"] = round(time.monotonic() - self._began, 2)
        row["data_share"] = round(self._waited / max(stepping, 1e-9), 4)
        self.rows.append(row)
        self._session_epochs += 1
        if trainer.is_global_zero:
            self._write()
            self.report(self._line(trainer))

    def _line(self, trainer: lightning.Trainer) -> str:
        row = self.rows[-1]
        shown = [f"{name} {row[name]:.4f}" for name in TO_WATCH if name in row]
        left = (trainer.max_epochs or 0) - len(self.rows)
        each = (time.monotonic() - self._session) / self._session_epochs
        return (
            f"epoch {len(self.rows)}/{trainer.max_epochs}: {', '.join(shown)};"
            f" {row['seconds']:.0f} s, {row['data_share']:.0%} of it waiting for data;"
            f" {duration(left * each)} left"
        )

    def _write(self) -> None:
        try:
            write_whole(self.folder / TABLE, table(self.rows))
            write_whole(self.folder / FIGURE, figure(self.rows))
        except OutputError as error:
            raise OutputError(
                f"{error}; the checkpoint before is kept: free space and go on with --resume"
            ) from None


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def table(rows: list[dict[str, float]]) -> str:
    """Return the rows as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def figure(rows: list[dict[str, float]]) -> bytes:
    """Return a PNG of loss and score over epochs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(drawing)
    losses, scores = drawing.subplots(1, 2)
    for axes, names in ((losses, TO_WATCH[:2]), (scores, TO_WATCH[2:])):
        for name in names:
            points = [(row["epoch"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=name.replace("_", " "))
        if axes.lines:
            axes.legend()
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
    losses.set_title("Loss")
    scores.set_title("Validation score")
    scores.set_ylim(0, 1)
    picture = io.BytesIO()
    drawing.savefig(picture, dpi=110)
    return picture.getvalue()
