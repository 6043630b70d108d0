"""One training run, from a config to a checkpoint."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from tumorseg_training.begun import check_begun, write_begun
from tumorseg_training.checkpoints import WholeCheckpoints
from tumorseg_training.config import Optimisation, TrainingConfig
from tumorseg_training.data_module import DataModule, Report
from tumorseg_training.datasets import Selection, select_cases
from tumorseg_training.epoch_log import History
from tumorseg_training.interruption import Interruption
from tumorseg_training.module import SegmentationModule
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.support.device import choose_device, has_native_bf16, is_out_of_memory
from TumorSegLib.worker.retrain_events import CHECKPOINT

LAST = CHECKPOINT
BEST = "best.ckpt"


@dataclass(frozen=True)
class Devices:
    """What a run computes on: devices a machine, and how many machines."""

    count: int = 1
    nodes: int = 1
    accelerator: str = "auto"


@dataclass(frozen=True)
class Trained:
    """What a run leaves.

    Attributes:
        checkpoint: to publish: the last, or the best by validation where that is wanted.
        split: patients by what they were used for; of cases that could be decoded alone.
        left_out: cases that could not be used, and why.
        history: figures of every epoch.
        main: whether this process is the one that reports and publishes.
    """

    checkpoint: Path
    split: dict[str, list[str]]
    left_out: tuple[str, ...]
    history: list[dict[str, float]]
    main: bool


def train(
    config: TrainingConfig,
    folder: Path,
    *,
    resume: bool = False,
    devices: Devices | None = None,
    report: Report = print,
    progress: bool = True,
    selection: Selection | None = None,
    more_callbacks: Sequence[Callback] = (),
    validate_first: bool = False,
) -> Trained:
    """Train as `config` says, with logs and checkpoints in `folder`.

    Args:
        config: of the run.
        folder: of the run's files.
        resume: go on from the last checkpoint in `folder`, if there is one.
        devices: what to compute on.
        report: takes lines for the user.
        progress: show a bar.
        selection: cases to use; those that `config` describes if not given.
        more_callbacks: that see every epoch after its figures are kept.
        validate_first: score the weights that the run starts from, too.

    Raises:
        InputError: data, starting weights or checkpoints do not fit the config, or the run to go
            on with was begun with other settings or patients.
        OutputError: the disk is full or not writable; the last checkpoint is kept.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the last checkpoint is kept.
    """
    devices = devices or Devices()
    settings = config.optimisation
    last = folder / LAST
    interrupted = last if last.exists() else None
    if interrupted and not resume:
        raise InputError(
            f"{folder}: holds a run already; go on with --resume, or choose another folder by -o"
        )
    selection = selection or select_cases(config)
    if interrupted:
        check_begun(folder, config, selection.split, report)
    quieten()
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    left_out: list[str] = []

    def noted(line: str) -> None:
        left_out.append(line)
        report(line)

    data = DataModule(config, selection, noted)
    module = SegmentationModule(config)
    if module.transferred is not None:
        report(f"started from {settings.start_from}: {module.transferred}")
    history = History(folder, report)
    interruption = Interruption()
    validated = bool(data.selection.validation)
    trainer = lightning.Trainer(
        accelerator=devices.accelerator,
        devices=devices.count,
        num_nodes=devices.nodes,
        strategy="ddp" if devices.count * devices.nodes > 1 else "auto",
        use_distributed_sampler=False,
        max_epochs=settings.epochs,
        precision=precision(settings.precision, devices.accelerator),
        gradient_clip_val=settings.gradient_clip or None,
        callbacks=[
            interruption,
            history,
            *more_callbacks,
            *callbacks(config, folder, module.score, validated=validated),
        ],
        plugins=[WholeCheckpoints()],
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        num_sanity_val_steps=-1 if validate_first and not interrupted else 0,
        limit_val_batches=1.0 if validated else 0,
        check_val_every_n_epoch=settings.validate_every,
        log_every_n_steps=20,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    if trainer.is_global_zero and not interrupted:
        write_begun(folder, config, selection.split)
    with failures_in_words(folder, settings), interruption.watching(), quiet_log_thread():
        trainer.fit(module, datamodule=data, ckpt_path=interrupted)
    best = folder / BEST
    return Trained(
        checkpoint=best if settings.keep == "best" and best.exists() else last,
        split=data.split,
        left_out=tuple(left_out),
        history=history.rows,
        main=trainer.is_global_zero,
    )


def callbacks(
    config: TrainingConfig, folder: Path, score: str, *, validated: bool
) -> list[Callback]:
    """Return what happens beside the steps: averaging, checkpoints, early stopping."""
    settings = config.optimisation
    found: list[Callback] = []
    if settings.average_decay:
        found.append(WeightAveraging(avg_fn=moving_average(settings.average_decay)))
    if validated and settings.keep == "best":
        best = ModelCheckpoint(
            folder,
            "best",
            score,
            mode="max",
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )
        found.append(best)
        if settings.patience is not None:
            rounds = -(-settings.patience // settings.validate_every)
            found.append(EarlyStopping(score, mode="max", patience=rounds))
    found.append(
        ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    )
    return found


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return the step of an exponential moving average that forgets its first steps quicker.

    As TensorFlow's ExponentialMovingAverage with `num_updates`: without that, a run of a few
    hundred steps would be published with much of its random start in the average.
    """

    def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        return kept * averaged + (1 - kept) * current

    return average


def precision(wish: str, accelerator: str) -> Any:
    """Return Lightning's word for the arithmetic; "auto" is bf16 where it is native."""
    if wish != "auto":
        return wish
    device, _ = choose_device(accelerator)
    return "bf16-mixed" if has_native_bf16(device) else "32-true"


@contextmanager
def failures_in_words(folder: Path, settings: Optimisation) -> Iterator[None]:
    """Raise what a run in `folder` may end with as `train` says it does."""
    try:
        yield
    except SystemExit:  # how Lightning ends after Ctrl-C
        raise KeyboardInterrupt from None
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
            raise
        raise InputError(
            f"there is not enough memory to train on batches of {settings.batch_size} slices; lower"
            " optimisation.batch_size, or close other programs"
        ) from None
    except OSError as error:
        raise OutputError(
            f"{folder}: {error.strerror or error}; the last checkpoint is kept: go on with --resume"
        ) from None


@contextmanager
def quiet_log_thread() -> Iterator[None]:
    """Let TensorBoard's thread fail to write without a traceback: what is logged next raises it."""
    kept = threading.excepthook

    def said(failure: threading.ExceptHookArgs) -> None:
        if not issubclass(failure.exc_type, OSError):
            kept(failure)

    threading.excepthook = said
    try:
        yield
    finally:
        threading.excepthook = kept


def quieten() -> None:
    """Hide what Lightning says about things that are as intended here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*number of training batches .* is smaller than the logging interval.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*tensorboardX.*",
        ".*recommended to use `self.log\\(.*sync_dist=True.*",  # scores are gathered by hand
    ):
        warnings.filterwarnings("ignore", message)
