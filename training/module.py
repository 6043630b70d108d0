"""The Lightning module: network, loss, optimiser, and Dice per patient on the validation fold."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor

from training.config import TrainingConfig
from training.losses import loss_by_name
from TumorSegLib.networks import build_network


class SegmentationModule(lightning.LightningModule):
    """Trains one network; validation batches come as (slices, targets) of whole patients."""

    def __init__(self, config: TrainingConfig, steps: int) -> None:
        """Train for `steps` optimiser steps in all."""
        super().__init__()
        self.config = config
        self.steps = steps
        self.network = build_network(config.model.network.name, config.model.network.arguments)
        self.loss = loss_by_name(config.optimisation.loss)
        self.patients: list[Tensor] = []

    def forward(self, slices: Tensor) -> Tensor:
        """Return logits."""
        return self.network(slices)  # type: ignore[no-any-return]

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Return the loss of one batch."""
        slices, targets = batch
        logits = self.network(slices.contiguous(memory_format=torch.channels_last))
        loss = self.loss(logits.float(), targets)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Score one patient's slices."""
        slices, targets = batch
        parts = [
            self.network(part) for part in torch.split(slices, self.config.optimisation.batch_size)
        ]
        logits = torch.cat(parts).float()
        thresholds = torch.tensor([label.threshold for label in self.config.model.labels])
        found = logits.sigmoid() > thresholds.to(logits)[:, None, None]
        both = (found & (targets > 0)).sum(dim=(0, 2, 3))
        either = found.sum(dim=(0, 2, 3)) + targets.sum(dim=(0, 2, 3))
        self.patients.append(torch.where(either > 0, 2 * both / either.clamp(min=1), 1.0))
        self.log("validation_loss", self.loss(logits, targets), batch_size=1)

    def on_validation_epoch_end(self) -> None:
        """Log the mean Dice over patients."""
        dice = torch.stack(self.patients)
        self.patients.clear()
        self.log("dice", dice.mean(), prog_bar=True)
        self.log("dice_median", dice.median())

    def configure_optimizers(self) -> Any:
        """AdamW with the one-cycle schedule (Smith & Topin 2017, arXiv 1708.07120)."""
        settings = self.config.optimisation
        optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.learning_rate, self.steps, pct_start=settings.warm_up
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
