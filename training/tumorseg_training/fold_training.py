"""Trains the runs of a cross-validation, here one after the other or by workers on Ray."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tumorseg_training.config import TrainingConfig
from tumorseg_training.publishing import Published
from tumorseg_training.whole_run import Running, train_and_publish
from TumorSegLib.cohort.settings import WorkSharing
from TumorSegLib.errors import TumorSegError

Run = tuple[str, TrainingConfig]
"""A fold and the config that keeps it aside."""
Answer = tuple[str, Published | TumorSegError | None]
"""A fold and its model; nothing in processes that only help."""


@dataclass(frozen=True)
class FoldTrainer:
    """Trains run after run, in this process or in a worker's.

    Attributes:
        folder: in which each has one of its own.
        running: how they are carried out.
    """

    folder: Path
    running: Running

    def __call__(self, threads: int) -> FoldTrainer:
        """Get a worker ready."""
        import torch

        torch.set_num_threads(threads)
        return self

    def run(self, task: Run) -> Answer:
        """Train a fold's model and measure it on that fold."""
        name, config = task
        try:
            return name, train_and_publish(config, self.folder / name, self.running)
        except TumorSegError as error:
            return name, error


def trained_folds(
    configs: Mapping[str, TrainingConfig], folder: Path, running: Running, work: WorkSharing | None
) -> Generator[tuple[str, Published | None], None, None]:
    """Yield the model of each fold as soon as it is trained.

    Args:
        configs: by fold.
        folder: in which each has one of its own.
        running: how they are carried out.
        work: shared out among workers on Ray, each of which trains one at a time; None: none is.

    Raises:
        TumorSegError: a run cannot be carried out, or its worker ended.
    """
    if work is None:
        for name, config in configs.items():
            running.report(f"fold {name}")
            yield name, train_and_publish(config, folder / name, running)
        return
    from TumorSegLib.cohort.ray_pool import answers

    trainer = FoldTrainer(folder.absolute(), replace(running, progress=False))
    running.report(f"{len(configs)} folds, shared out; each writes a log into its own folder")
    for name, answer in answers(configs.items(), trainer, _gone, work):
        if isinstance(answer, TumorSegError):
            raise answer
        running.report(f"fold {name} is trained")
        yield name, answer


def _gone(task: Run, reason: str) -> Answer:
    return task[0], TumorSegError(f"fold {task[0]}: {reason}")
