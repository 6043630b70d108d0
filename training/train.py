"""One training run, from a config to weights."""

from __future__ import annotations

import json
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from training.augmentation import augmentation
from training.case import Case
from training.config import Data, TrainingConfig
from training.module import SegmentationModule
from training.readers import READERS
from training.slice_cache import CachedCase, cached_cases
from training.slices import Patients, Slices
from TumorSegLib.errors import InputError


def train(config: TrainingConfig, folder: Path, *, resume: bool = False) -> Path:
    """Train as `config` says, with logs and checkpoints in `folder`; return the last checkpoint."""
    lightning.seed_everything(config.optimisation.seed, workers=True)
    training, validation = load_cases(config)
    model, settings = config.model, config.optimisation
    transform = augmentation(config.augmentation, model.input, training[0].masks.shape[1])
    slices = Slices(training, model.labels, context=model.input.context, transform=transform)
    count = settings.slices_per_epoch or len(slices)
    share = config.data.foreground_share
    sampler = slices.sampler(
        float(slices.foreground.mean()) if share is None else share, count, settings.seed
    )
    loader = DataLoader(
        slices,
        settings.batch_size,
        sampler=sampler,
        drop_last=True,
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
    )
    patients = Patients(validation, model.labels, context=model.input.context)
    module = SegmentationModule(config, steps=len(loader) * settings.epochs)
    if settings.start_from is not None:
        checkpoint = torch.load(settings.start_from, weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoints = ModelCheckpoint(
        folder, filename="best", monitor="dice", mode="max", save_last=True
    )
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=settings.epochs,
        precision=settings.precision,
        gradient_clip_val=settings.gradient_clip,
        callbacks=[checkpoints, EMAWeightAveraging(decay=settings.average_decay)],
        logger=CSVLogger(folder, name="", version=""),
        num_sanity_val_steps=0,
        check_val_every_n_epoch=2,
        log_every_n_steps=20,
    )
    last = folder / "last.ckpt"
    interrupted = last if resume and last.exists() else None
    trainer.fit(module, loader, DataLoader(patients, batch_size=None), ckpt_path=interrupted)
    return last


def load_cases(config: TrainingConfig) -> tuple[list[CachedCase], list[CachedCase]]:
    """Return the cases to train and to validate on, patients apart."""
    data = config.data
    found = READERS[data.layout](Path(data.folder).expanduser())
    kept_aside = validation_patients(data)
    cache = Path(data.cache).expanduser()

    def cached(cases: list[Case]) -> list[CachedCase]:
        return cached_cases(cases, config.model.input, cache)

    training = [case for case in found.cases if case.patient not in kept_aside]
    validation = [case for case in found.cases if case.patient in kept_aside]
    if not training:
        raise InputError(f"{data.folder}: no cases to train on in layout {data.layout}")
    return cached(training), cached(validation)


def validation_patients(data: Data) -> set[str]:
    """Return the patients of the fold that is kept for validation."""
    if data.folds is None or data.validate is None:
        return set()
    folds = json.loads(Path(data.folds).expanduser().read_text(encoding="utf-8"))
    if data.validate not in folds:
        raise InputError(f"data.validate: found {data.validate!r}, folds are {', '.join(folds)}")
    return set(folds[data.validate])
