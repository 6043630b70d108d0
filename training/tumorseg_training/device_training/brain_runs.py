"""The runs of one process, one after the other: training, predicting what was held out, writing."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tumorseg_training.device_training.brain_augmentation import Augmenter
from tumorseg_training.device_training.brain_draws import Draws
from tumorseg_training.device_training.brain_lesions import Painter
from tumorseg_training.device_training.brain_loss import overlap_loss
from tumorseg_training.device_training.brain_pack import Heads, read_folds, read_packs
from tumorseg_training.device_training.brain_plans import (
    CONTEXT,
    EVERYBODY,
    BrainStage,
    Plan,
    PlannedRun,
)
from tumorseg_training.device_training.brain_prediction import (
    VARIANTS,
    Examiner,
    dice,
    engine_of,
    summary,
)
from tumorseg_training.device_training.later import Later
from tumorseg_training.device_training.loop import Example, Learned, train
from tumorseg_training.device_training.saving import save_weights

THRESHOLDS = (0.4, 0.5)

KEPT = ("all", "flair")
"""Variants whose probabilities are written; of others only the figures."""


class Worker:
    """A process's runs, one after the other, and their results in `out`."""

    def __init__(
        self,
        packs: Path,
        out: Path,
        *,
        device: torch.device,
        deadline: float,
        seed: int,
        log: Callable[[str], None],
    ) -> None:
        """Read everything and put it on the device.

        Raises:
            InputError: packs or folds are missing.
        """
        self.out = out
        self.deadline = deadline
        self.seed = seed
        self.log = log
        self.folds = read_folds(packs / "folds.json")
        heads = read_packs(packs, "lgg-*.npz")
        self.further: Heads | None = None
        if any(packs.glob("further-*.npz")):
            self.further = read_packs(packs, "further-*.npz")
        log(f"{len(heads.names)} heads, {len(heads.images)} slices read")
        self.heads = heads.to(device)
        self.examiner = Examiner(heads, heads.names, device)
        self._augmenters: dict[tuple[int, ...], Augmenter] = {}
        self._later = Later(log)
        self._spent = 2.0

    def work(self, runs: Sequence[PlannedRun]) -> None:
        """Do the runs; one that fails is logged, and the next goes on."""
        for index, run in enumerate(runs):
            if time.time() > self.deadline:
                self.log(f"{run.name} LEFT OUT for want of time")
                continue
            try:
                augmenter = self._augmenter(run.plan)
                self._run(run, augmenter, self._seconds(runs[index:]))
            except Exception:
                self.log(f"{run.name} FAILED\n{traceback.format_exc()}")
        self._later.finish()

    def _seconds(self, runs: Sequence[PlannedRun]) -> float:
        """Return the first run's share of the time that is left for training."""
        usable = self.deadline - time.time() - self._spent * len(runs)
        return max(0.5, usable * runs[0].plan.share / sum(run.plan.share for run in runs))

    def _run(self, run: PlannedRun, augmenter: Augmenter, seconds: float) -> None:
        plan = run.plan
        self.log(f"{run.name}: {seconds:.1f} s")
        held_out = self.folds.get(run.fold, [])
        learners = [name for name in self.heads.names if name not in held_out]
        torch.manual_seed(self.seed)
        network = plan.build()
        draws = Draws(self.heads, learners, self.seed)
        learned = train(
            network,
            plan.stages,
            partial(examples, draws, augmenter),
            plan.fitting,
            device=augmenter.device,
            seconds=seconds,
            log=lambda line: self.log(f"{run.name} {line}"),
        )
        self.examiner.wait()
        begun = time.time()
        save_weights(learned.network, self.out / f"weights-{run.name}")
        figures = self._examine(run, learned.network)
        self._record(run, learned, seconds, figures)
        self._spent = time.time() - begun

    def _augmenter(self, plan: Plan) -> Augmenter:
        sizes = tuple(stage.size for stage in plan.stages)
        if sizes not in self._augmenters:
            self._augmenters[sizes] = Augmenter(self.heads, list(sizes), CONTEXT)
        return self._augmenters[sizes]

    def _examine(self, run: PlannedRun, network: nn.Module) -> dict[str, dict[str, float]]:
        """Predict what the run did not see; return Dice by threshold and variant, and patient."""
        probabilities: dict[str, NDArray[np.uint8]] = {}
        figures: dict[str, dict[str, float]] = {}
        examiner, heads = self.examiner, self.examiner.heads
        variants: tuple[str, ...] = VARIANTS
        if run.fold != EVERYBODY:
            names = tuple(name for name in self.folds[run.fold] if name in heads.names)
        elif self.further is not None:
            heads, names, variants = self.further, self.further.names, ("flair",)
            examiner = Examiner(heads, names, self.heads.images.device)
        else:
            return {}
        engine = engine_of(network, examiner.device)
        for name in names:
            part = heads.slices_of(name)
            mask = heads.masks[part.start : part.stop].to(examiner.device)
            for variant in variants:
                found = examiner.predict(
                    engine, name, variant=variant, size=run.plan.size, context=CONTEXT
                )
                if variant in KEPT:
                    probabilities[f"{name}/{variant}"] = found
                for threshold in THRESHOLDS:
                    key = f"{variant} {threshold}"
                    figures.setdefault(key, {})[name] = dice(found, mask, threshold)
        kind = "further" if run.fold == EVERYBODY else "heldout"
        path = self.out / f"{kind}-{run.name}.npz"
        self._later.write(_save, path, probabilities)
        for key, by_patient in figures.items():
            self.log(f"{run.name} {kind} {key}: {summary(by_patient)}")
        return figures

    def _record(
        self,
        run: PlannedRun,
        learned: Learned,
        seconds: float,
        figures: dict[str, dict[str, float]],
    ) -> None:
        rates = ", ".join(f"{rate:.0f}" for rate in learned.rates)
        self.log(
            f"{run.name} DONE: {learned.steps} steps, {learned.images} images ({rates} a second),"
            f" {learned.skipped} skipped, loss {learned.loss:.4f}"
        )
        content = {
            "plan": asdict(run.plan),
            "fold": run.fold,
            "seconds": seconds,
            "steps": learned.steps,
            "images": learned.images,
            "skipped": learned.skipped,
            "loss": learned.loss,
            "rates": learned.rates,
            "dice": figures,
        }
        path = self.out / f"run-{run.name}.json"
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def examples(draws: Draws, augmenter: Augmenter, stage: BrainStage) -> Iterator[Example]:
    """Yield what a run learns from at a stage, without end."""
    while True:
        slices, tumours = draws.batch(stage.batch, Painter.roomy(stage.batch))
        sources = draws.tumours(Painter.pasted(stage.batch))
        inputs, targets = augmenter.batch(slices, sources, stage.size, stage.crop, tumours)
        yield Example(inputs, partial(overlap_loss, targets=targets))


def _save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez_compressed(path, **arrays)
