"""Ends a run after the last epoch for which the time suffices."""

from __future__ import annotations

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import LambdaLR

from tumorseg_training.config import Optimisation
from tumorseg_training.optimisers import rate_over

EXPECTED_EPOCHS = 10
"""Planned until the first epoch has shown how long one takes."""

RECENT = 3
"""Epochs whose mean duration is expected of the next."""


class Deadline(Callback):
    """Plans how many epochs fit, anew after each, and lets the learning rate fall over these.

    Time counts over all sessions of an interrupted run, up to their last whole epochs. One epoch is
    always trained. Every epoch must be validated. Not for the one-cycle schedule, which cannot be
    stretched.
    """

    def __init__(self, settings: Optimisation, seconds: float) -> None:
        """Plan for `seconds` of training, from now on."""
        self.settings = settings
        self.seconds = seconds
        self.durations: list[float] = []
        self._earlier = 0.0
        self._session = self._epoch = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds of this session and of those before."""
        return self._earlier + time.monotonic() - self._session

    def state_dict(self) -> dict[str, Any]:
        """Return the time that is used up."""
        return {"spent": self.spent, "durations": self.durations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from there."""
        self._earlier = state_dict["spent"]
        self.durations = list(state_dict["durations"])

    def on_train_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Plan."""
        self._plan(trainer, trainer.current_epoch)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the epoch's clock."""
        self._epoch = time.monotonic()

    def on_validation_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Plan anew; this ends an epoch before anybody reports it."""
        if trainer.sanity_checking:
            return
        self.durations.append(time.monotonic() - self._epoch)
        self._plan(trainer, trainer.current_epoch + 1)

    def _plan(self, trainer: lightning.Trainer, done: int) -> None:
        planned = EXPECTED_EPOCHS
        if self.durations:
            recent = self.durations[-RECENT:]
            each = max(sum(recent) / len(recent), 1e-3)
            planned = done + max(0, int((self.seconds - self.spent) / each))
        planned = max(1, min(planned, self.settings.epochs))
        trainer.fit_loop.max_epochs = planned
        steps = planned * int(trainer.num_training_batches)
        for entry in trainer.lr_scheduler_configs:
            assert isinstance(entry.scheduler, LambdaLR)
            entry.scheduler.lr_lambdas = [rate_over(self.settings, steps)]
