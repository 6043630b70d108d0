"""The run's slices as Lightning wants them: cached once, opened and drawn by every process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.utilities.seed import pl_worker_init_function
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from tumorseg_training.augmentation import augmentation
from tumorseg_training.case import Case, SkippedCase, noted
from tumorseg_training.config import Data, TrainingConfig
from tumorseg_training.datasets import Selection, split_of
from tumorseg_training.sampling import EpochSampler, balanced_popularity, draw_weights
from tumorseg_training.slice_cache import CachedCase, fill_cache, open_cache
from tumorseg_training.slices import Patients, Slices
from TumorSegLib.errors import InputError

Report = Callable[[str], None]


class DataModule(lightning.LightningDataModule):
    """Slices of the cases to train on, and whole patients to validate on."""

    def __init__(self, config: TrainingConfig, selection: Selection, report: Report) -> None:
        """Say by `report` which cases are left out."""
        super().__init__()
        self.config = config
        self.selection = selection
        self.report = report
        self.cache = Path(config.data.cache).expanduser()
        self.training: list[CachedCase] = []
        self.synthetic: list[CachedCase] = []
        self.validation: list[CachedCase] = []

    def prepare_data(self) -> None:
        """Decode what is not cached yet; one process a machine does."""
        for line in self.selection.notes:
            self.report(line)
        for item in self.selection.unusable:
            self.report(left_out(item))
        chosen = self.selection
        cases = (*chosen.training, *chosen.synthetic, *chosen.validation)
        for line in noted(cases):
            self.report(line)
        if self.config.data.cache == Data.cache and self.cache.is_dir():  # as it was made once
            with suppress(OSError):
                self.cache.chmod(0o700)
        filled = fill_cache(cases, self.config.model.input, self.cache)
        for item in filled.unusable:
            self.report(left_out(item))
        opened = self._open((*chosen.training, *chosen.synthetic))
        if opened and not any(case.foreground.any() for case in opened):
            raise InputError(
                f"{self.config.data.folder}: no case to train on shows a structure of the model's;"
                " see in data.labels what the annotation's values become"
            )
        empty = [case.name for case in self._open(chosen.training) if not case.foreground.any()]
        if empty:
            self.report(f"without any structure, kept as background: {', '.join(empty)}")

    def setup(self, stage: str) -> None:
        """Open the cached cases."""
        self.training = self._open(self.selection.training)
        self.synthetic = self._open(self.selection.synthetic)
        self.validation = self._open(self.selection.validation)
        if not self.training:
            raise InputError(f"{self.config.data.folder}: no case could be decoded")
        if self.selection.validation and not self.validation:
            raise InputError(f"{self.config.data.folder}: no case to validate on could be decoded")

    @property
    def split(self) -> dict[str, list[str]]:
        """Patients of the cases that are open, by what they are used for."""
        return split_of(self.training, self.validation)

    def _open(self, cases: Sequence[Case]) -> list[CachedCase]:
        return open_cache(cases, self.config.model.input, self.cache)

    @property
    def slices_per_epoch(self) -> int:
        """Slices that all processes together draw an epoch."""
        real = sum(len(case.masks) for case in self.training)
        return self.config.optimisation.slices_per_epoch or real

    @property
    def batches(self) -> int:
        """Steps an epoch; unlike Lightning's estimate, known without starting the loader."""
        assert self.trainer is not None
        mine = self.slices_per_epoch // self.trainer.world_size
        return mine // self.config.optimisation.batch_size

    @property
    def slices(self) -> Slices:
        """The slices to train on, randomly changed."""
        config = self.config
        rows = self.training[0].masks.shape[1]
        changes = config.augmentation
        return Slices(
            [*self.training, *self.synthetic],
            config.model,
            transform=augmentation(changes, config.model, rows),
            oblique_degrees=changes.oblique,
            oblique_share=changes.oblique_share if changes.oblique else 0.0,
            context_step=changes.context_step,
            within_intensities=config.optimisation.within_intensities,
        )

    def sampler(self, slices: Slices, *, rank: int = 0, processes: int = 1) -> EpochSampler:
        """Return what decides which slices an epoch shows."""
        settings = self.config.optimisation
        real = sum(len(case.masks) for case in self.training)
        synthesis = self.config.synthesis
        popularity = slices.foreground.astype(np.float64)
        if self.config.data.balanced:
            popularity = balanced_popularity(slices.shows(), slices.cases_of_slices)
        weights = draw_weights(
            popularity,
            self.config.data.foreground_share,
            np.arange(len(slices)) >= real,
            synthesis.share if synthesis is not None else 0.0,
        )
        return EpochSampler(
            weights,
            len(slices),
            self.slices_per_epoch,
            seed=settings.seed,
            rank=rank,
            processes=processes,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of this process's share of the slices."""
        assert self.trainer is not None
        settings = self.config.optimisation
        slices = self.slices
        sampler = self.sampler(
            slices, rank=self.trainer.global_rank, processes=self.trainer.world_size
        )
        # the loader's processes start to draw before Lightning tells a resumed run its epoch
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        sampler.set_epoch(progress.processed)
        if self.batches == 0:
            raise InputError(
                f"optimisation.batch_size: {settings.batch_size} is more than the {len(sampler)}"
                " slices an epoch of each process"
            )
        return DataLoader(
            slices,
            settings.batch_size,
            sampler=sampler,
            drop_last=True,
            num_workers=settings.workers,
            persistent_workers=settings.workers > 0,
            worker_init_fn=partial(begin_worker, rank=self.trainer.global_rank),
            collate_fn=as_arrays,
        )

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return a batch of the loader's processes as tensors, in whose memory it lies."""
        return [torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in batch]

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the loader of this process's share of the patients, as many in each process."""
        assert self.trainer is not None
        config = self.config
        within_intensities = config.optimisation.within_intensities
        patients = Patients(self.validation, config.model, within_intensities)
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        rounds = -(-len(patients) // processes)
        order = [(rank + turn * processes) % len(patients) for turn in range(rounds)]
        return DataLoader(patients, batch_size=None, sampler=order)


def as_arrays(samples: list[tuple[torch.Tensor, ...]]) -> list[NDArray[Any]]:
    """Return a batch as arrays, which go through the pipe between two processes.

    Tensors would go through shared memory, which a container may have 64 MB of, and a socket, whose
    path in a long temporary folder is longer than the 107 bytes that it may have: the loader's
    process then fails and the run waits for ever.
    """
    return [torch.stack(parts).numpy() for parts in zip(*samples, strict=True)]


def begin_worker(worker: int, *, rank: int) -> None:
    """Seed a loader's process as Lightning does, and let it leave an interrupted run in silence."""
    pl_worker_init_function(worker, rank)
    Thread(target=_end_with_parent, daemon=True).start()
    shown = sys.excepthook

    def hook(kind: Any, error: Any, trace: Any) -> None:
        if not issubclass(kind, ConnectionError):
            shown(kind, error, trace)

    sys.excepthook = hook


def _end_with_parent() -> None:
    """End this process when the run is killed: nobody takes its batches from the pipe any more."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def left_out(item: SkippedCase) -> str:
    """Return the line that says which case is not used, and why."""
    return f"left out: {item.name}: {item.reason}"
