"""The Lightning module: network, loss, optimiser, and the score of every validation patient."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor
from torch.distributed import all_gather_object, get_world_size

from tumorseg_training.begun import check_settings, recipe
from tumorseg_training.config import TrainingConfig
from tumorseg_training.data_module import DataModule
from tumorseg_training.losses import build_loss
from tumorseg_training.metrics import roc_auc
from tumorseg_training.optimisers import configured
from tumorseg_training.transfer import Transferred, encoder_of, start_from
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.networks import build_network

Batch = tuple[Tensor, Tensor]
Patient = tuple[int, Tensor, Tensor]


class SegmentationModule(lightning.LightningModule):
    """Trains one network; validation batches come as (index, slices, targets) of whole patients.

    Validation runs on the network's grid and is a guide for training only; published figures come
    from `tumorseg_training.evaluation`.

    Attributes:
        score: what is validated: "dice", mean over patients, or "auc", over all slices.
        transferred: what was taken over from the weights the run started from.
    """

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        assert config.model.network is not None
        self.config = config
        self.network = build_network(config.model.network.name, config.model.network.arguments)
        self.transferred: Transferred | None = None
        if config.optimisation.start_from is not None:
            self.transferred = start_from(
                config.optimisation.start_from, self.network, config.model
            )
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = build_loss(config.optimisation, config.model.activation)
        self.score = score_name(config.model)
        self._patients: dict[int, tuple[Tensor, ...]] = {}
        if config.optimisation.freeze_encoder:
            encoder_of(self.network)

    def forward(self, slices: Tensor) -> Tensor:
        """Return logits."""
        return self.network(slices)  # type: ignore[no-any-return]

    @property
    def frozen(self) -> bool:
        """Whether the encoder does not change in this epoch."""
        return self.current_epoch < self.config.optimisation.freeze_encoder

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what is random in the network, so that a resumed run draws the same."""
        seed = self.config.optimisation.seed
        torch.manual_seed((seed << 40) + (self.global_rank << 32) + self.global_step)
        if self.config.optimisation.freeze_encoder:
            encoder_of(self.network).train(not self.frozen)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Return the loss of one batch."""
        slices, targets = batch
        logits = self.network(slices.contiguous(memory_format=torch.channels_last))
        loss = self.loss(logits.float(), targets)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Leave a frozen encoder as it is; its parameters stay known to every process."""
        if self.frozen:
            for parameter in encoder_of(self.network).parameters():
                parameter.grad = None

    def validation_step(self, batch: Patient, _index: int) -> None:
        """Score one patient's slices."""
        index, slices, targets = batch
        parts = [
            self.network(part) for part in torch.split(slices, self.config.optimisation.batch_size)
        ]
        logits = torch.cat(parts).float()
        self.log("validation_loss", self.loss(logits, targets), batch_size=1, sync_dist=True)
        if self.config.model.task == "detection":
            self._patients[int(index)] = (logits.sigmoid().cpu(), targets.cpu())
        else:
            self._patients[int(index)] = (self._dice(logits, targets).cpu(),)

    def _dice(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the patient's Dice of each label; 1 where neither side has it."""
        labels = self.config.model.labels
        if self.config.model.activation == "softmax":
            classes = torch.arange(1, len(labels) + 1, device=logits.device)
            found = logits.argmax(dim=1, keepdim=True) == classes[:, None, None]
            found &= targets.any(dim=1, keepdim=True)
            targets = targets[:, 1:]
        else:
            thresholds = logits.new_tensor([label.threshold for label in labels])
            found = logits.sigmoid() >= thresholds[:, None, None]
        both = (found & (targets > 0)).sum(dim=(0, 2, 3))
        either = found.sum(dim=(0, 2, 3)) + targets.sum(dim=(0, 2, 3))
        return torch.where(either > 0, 2 * both / either.clamp(min=1), 1.0)

    def on_validation_epoch_end(self) -> None:
        """Log the score over all patients of all processes."""
        patients = self._gathered()
        if self.config.model.task == "detection":
            found = torch.cat([patients[index][0] for index in sorted(patients)])
            truth = torch.cat([patients[index][1] for index in sorted(patients)])
            areas = [
                roc_auc(found[:, label].numpy(), truth[:, label].numpy() > 0)
                for label in range(found.shape[1])
            ]
            self.log("auc", float(torch.tensor(areas).nanmean().nan_to_num(0.5)), prog_bar=True)
            return
        dice = torch.stack([patients[index][0] for index in sorted(patients)])
        self.log("dice", dice.mean(), prog_bar=True)
        self.log("dice_median", dice.mean(dim=1).median())
        if len(self.config.model.labels) > 1:
            for label, value in zip(self.config.model.labels, dice.mean(dim=0), strict=True):
                self.log(f"dice_{label.name}", value)

    def _gathered(self) -> dict[int, tuple[Tensor, ...]]:
        mine, self._patients = self._patients, {}
        if self.trainer.world_size == 1:
            return mine
        everyone: list[Any] = [None] * get_world_size()
        all_gather_object(everyone, mine)
        return {index: scores for part in everyone for index, scores in part.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what a resumed run must have in common with this one."""
        checkpoint["recipe"] = recipe(self.config)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on under another config; the schedule, above all, depends on it.

        Raises:
            InputError: a key differs.
        """
        mine = recipe(self.config)
        check_settings(checkpoint.get("recipe", mine), mine)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule over all steps of the run."""
        data: DataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        settings = self.config.optimisation
        return configured(settings, self.network, max(1, data.batches) * settings.epochs)


def score_name(model: ModelSpecification) -> str:
    """Return the name of the figure by which epochs are compared."""
    return "auc" if model.task == "detection" else "dice"
