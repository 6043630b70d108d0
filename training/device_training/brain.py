"""Trains the brain models in every outer fold and on all patients, in a given time.

    python -m training.device_training.brain PACKS OUT --seconds 480 --workers 2

Nothing is chosen here: schedules follow the clock, weights are the average at the end, and what is
held out is only predicted. Several workers are processes that share the runs and the GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.device_training.augment import Augmenter
from training.device_training.data import Heads, read_folds, read_packs
from training.device_training.draws import Draws
from training.device_training.evaluate import VARIANTS, Examiner, dice, engine_of, summary
from training.device_training.loop import Learned, Stage, train
from training.device_training.saving import save_weights
from TumorSegLib.networks import build_network

THRESHOLDS = (0.4, 0.5)
EVERYBODY = "all"
THREADS = 4
"""On the CPU, of each worker."""

KEPT = ("all", "flair")
"""Variants whose probabilities are written; of others only the figures."""

ARCHIVE_BYTES = 16_000_000
CONTEXT = 1
CLOSING_SECONDS = 12.0
"""Kept at the end for what is still being written."""


@dataclass(frozen=True)
class Plan:
    """How one network is trained.

    Attributes:
        id: of its model.
        network: its name in `TumorSegLib.networks`.
        width: of its first stage.
        share: of the time of all networks.
        size: of the grid on which it is measured and ships.
        stages: of each run.
        learning_rate: at its peak.
        weight_decay: of AdamW.
    """

    id: str
    network: str
    width: int
    share: float
    size: int
    stages: tuple[Stage, ...]
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2

    def build(self) -> nn.Module:
        """Return the network with random weights."""
        inputs = 3 * (2 * CONTEXT + 1)
        arguments = {"in_channels": inputs, "out_channels": 1, "width": self.width}
        return build_network(self.network, arguments)


FINE = (Stage(0.45, 128, 112, 48), Stage(0.85, 192, 160, 32), Stage(1.0, 192, 192, 32))
PLANS = (
    Plan("brain-lgg-munet", "mU-Net", 24, 0.45, 192, FINE),
    Plan("brain-lgg-unet", "U-Net", 32, 0.35, 192, FINE),
    Plan(
        "brain-lgg-linknet",
        "LinkNet",
        64,
        0.2,
        256,
        (Stage(0.4, 128, 128, 64), Stage(0.85, 256, 192, 48), Stage(1.0, 256, 256, 32)),
    ),
)


@dataclass(frozen=True)
class Work:
    """One run: a plan, and the fold that it leaves out, or `EVERYBODY`."""

    plan: Plan
    fold: str

    @property
    def name(self) -> str:
        """What its files are called after."""
        return f"{self.plan.id}-{self.fold}"


def works(plans: Sequence[Plan], folds: Sequence[str], worker: int, workers: int) -> list[Work]:
    """Return the runs of one of several workers; each network's runs are dealt out in turn."""
    return [Work(plan, fold) for plan in plans for fold in folds[worker::workers]]


def tiny(plan: Plan) -> Plan:
    """Return a plan that a CPU finishes in seconds, with all stages."""
    stages = tuple(
        replace(stage, size=stage.size // 4, crop=stage.crop // 4, batch=10)
        for stage in plan.stages
    )
    return replace(plan, width=8, size=plan.size // 4, stages=stages)


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
        self._writer = ThreadPoolExecutor(1)
        self._writing: list[Future[None]] = []
        self._spent = 2.0

    def work(self, runs: Sequence[Work]) -> None:
        """Do the runs; one that fails is logged, and the next goes on."""
        for index, run in enumerate(runs):
            left = sum(other.plan.share for other in runs[index:])
            usable = self.deadline - time.time() - self._spent * (len(runs) - index)
            if time.time() > self.deadline:
                self.log(f"{run.name} LEFT OUT for want of time")
                continue
            seconds = max(usable * run.plan.share / left, 0.5)
            try:
                self._run(run, seconds)
            except Exception:
                self.log(f"{run.name} FAILED\n{traceback.format_exc()}")
        self.finish()

    def finish(self) -> None:
        """Wait for what is being written."""
        for future in self._writing:
            if (error := future.exception()) is not None:
                self.log(f"WRITING FAILED: {error!r}")
        self._writing.clear()

    def _run(self, run: Work, seconds: float) -> None:
        plan = run.plan
        self.log(f"{run.name}: {seconds:.1f} s")
        held_out = self.folds.get(run.fold, [])
        learners = [name for name in self.heads.names if name not in held_out]
        torch.manual_seed(self.seed)
        learned = train(
            plan.build(),
            self._augmenter(plan),
            Draws(self.heads, learners, self.seed),
            plan.stages,
            seconds=seconds,
            learning_rate=plan.learning_rate,
            weight_decay=plan.weight_decay,
            log=lambda line: self.log(f"{run.name} {line}"),
        )
        begun = time.time()
        save_weights(learned.network, self.out / f"weights-{run.name}")
        figures = self._examine(run, learned.network)
        self._record(run, learned, seconds, figures)
        self._spent = max(self._spent, time.time() - begun)

    def _augmenter(self, plan: Plan) -> Augmenter:
        sizes = tuple(stage.size for stage in plan.stages)
        if sizes not in self._augmenters:
            self._augmenters[sizes] = Augmenter(self.heads, list(sizes), CONTEXT)
        return self._augmenters[sizes]

    def _examine(self, run: Work, network: nn.Module) -> dict[str, dict[str, float]]:
        """Predict what the run did not see; return Dice by threshold and variant, and patient."""
        probabilities: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
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
            mask = heads.masks[part.start : part.stop]
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
        self._writing.append(self._writer.submit(_save, path, probabilities))
        for key, by_patient in figures.items():
            self.log(f"{run.name} {kind} {key}: {summary(by_patient)}")
        return figures

    def _record(
        self, run: Work, learned: Learned, seconds: float, figures: dict[str, dict[str, float]]
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


def _save(path: Path, arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> None:
    np.savez_compressed(path, allow_pickle=False, **arrays)


def table(out: Path, plans: Sequence[Plan]) -> list[str]:
    """Return the figures of all runs, network by network."""
    lines = []
    for plan in plans:
        runs = [json.loads(path.read_text()) for path in sorted(out.glob(f"run-{plan.id}-*.json"))]
        by_key: dict[str, dict[str, float]] = {}
        for run in runs:
            kind = "further" if run["fold"] == EVERYBODY else "heldout"
            for key, figures in run["dice"].items():
                by_key.setdefault(f"{kind} {key}", {}).update(figures)
        images = sum(run["images"] for run in runs)
        lines.append(f"{plan.id}: {len(runs)} runs, {images} images")
        lines += [f"  {key:22} {summary(figures)}" for key, figures in sorted(by_key.items())]
    return lines


def archive(out: Path, plans: Sequence[Plan]) -> list[Path]:
    """Put everything into archives of at most `ARCHIVE_BYTES`, what matters most into the first.

    Figures and what was held out come first, then the weights of the runs on everybody, then those
    of the folds.
    """
    wishes = ["run-*.json", *(f"heldout-{plan.id}-*" for plan in plans), "further-*"]
    wishes += [f"weights-{plan.id}-{EVERYBODY}*" for plan in plans]
    wishes += [f"weights-{plan.id}-*" for plan in plans]
    files = dict.fromkeys(path for wish in wishes for path in sorted(out.glob(wish)))
    boxes: list[list[Path]] = []
    for path in files:
        size = path.stat().st_size
        roomy = (box for box in boxes if _bytes(box) + size <= ARCHIVE_BYTES)
        box = next(roomy, None)
        if box is None:
            boxes.append([path])
        else:
            box.append(path)
    paths = []
    for index, box in enumerate(boxes, start=1):
        paths.append(out / f"brain-{index:02}.zip")
        with zipfile.ZipFile(paths[-1], "w") as content:
            for path in box:
                content.write(path, path.name)
    return paths


def _bytes(files: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    begun = time.time()
    options.out.mkdir(parents=True, exist_ok=True)
    plans = [plan for plan in PLANS if not options.networks or plan.network in options.networks]
    if options.tiny:
        plans = [tiny(plan) for plan in plans]
    deadline = options.deadline or begun + options.seconds - CLOSING_SECONDS
    if options.worker is None and options.workers > 1:
        _start_workers(options.workers, deadline, arguments)
    else:
        _work(options, plans, deadline, begun)
    if options.worker is None:
        _say("\n".join(table(options.out, plans)))
        for path in archive(options.out, plans):
            with zipfile.ZipFile(path) as content:
                _say(f"{path.name} {path.stat().st_size / 1e6:.1f} MB: {content.namelist()}")
        _say(f"all over after {time.time() - begun:.0f} s")
    return 0


def _work(
    options: argparse.Namespace, plans: Sequence[Plan], deadline: float, begun: float
) -> None:
    torch.set_num_threads(THREADS)
    if options.device == "cuda":
        torch.backends.cudnn.benchmark = options.benchmark
        torch.backends.cudnn.allow_tf32 = True
    index = options.worker or 0

    def log(line: str) -> None:
        _say(f"[brain {index} {time.time() - begun:5.1f} s] {line}")

    worker = Worker(
        options.packs,
        options.out,
        device=torch.device(options.device),
        deadline=deadline,
        seed=options.seed,
        log=log,
    )
    folds = options.folds or [*worker.folds, EVERYBODY]
    worker.work(works(plans, folds, index, options.workers))


def _start_workers(count: int, deadline: float, arguments: Sequence[str] | None) -> None:
    """Run the workers, and wait until the last has ended."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = [sys.executable, "-m", "training.device_training.brain", *given]
    extra = ["--deadline", str(deadline)]
    processes = [
        subprocess.Popen([*command, *extra, "--worker", str(index)]) for index in range(count)
    ]
    for process in processes:
        try:
            process.wait(max(1.0, deadline + CLOSING_SECONDS - 1 - time.time()))
        except subprocess.TimeoutExpired:
            process.kill()
            _say("a worker did not end in time and was stopped")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packs", type=Path, help="folder of lgg-*.npz, further-*.npz, folds.json")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--seconds", type=float, default=480.0, help="of wall clock, in all")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the GPU")
    parser.add_argument("--networks", nargs="*", choices=[plan.network for plan in PLANS])
    parser.add_argument(
        "--folds", nargs="*", help="folds to leave out, and 'all'; every one if none"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--benchmark", action="store_true", help="let cuDNN try its algorithms")
    parser.add_argument("--tiny", action="store_true", help="small networks and grids, for a CPU")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
