"""Trains the brain models in every outer fold and on all patients, in a given time.

    python -m tumorseg_training.device_training.brain PACKS OUT --seconds 480 --workers 2

Nothing is chosen here: schedules follow the clock, weights are the average at the end, and what is
held out is only predicted. Several workers are processes that share the runs and the GPU.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch

from tumorseg_training.device_training.brain_plans import EVERYBODY, PLANS, Plan, planned_runs, tiny
from tumorseg_training.device_training.brain_results import archive, table
from tumorseg_training.device_training.brain_runs import Worker

CLOSING_SECONDS = 12.0
"""Kept at the end for tables and archives; workers that are late get half of it."""

THREADS = 4
"""On the CPU, of each worker."""


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
    if options.device == "cuda":
        torch.set_num_threads(THREADS)
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
    worker.work(planned_runs(plans, folds, index, options.workers))


def _start_workers(count: int, deadline: float, arguments: Sequence[str] | None) -> None:
    """Run the workers, and wait until the last has ended."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = [sys.executable, "-m", "tumorseg_training.device_training.brain", *given]
    extra = ["--deadline", str(deadline)]
    processes = [
        subprocess.Popen([*command, *extra, "--worker", str(index)]) for index in range(count)
    ]
    for process in processes:
        try:
            process.wait(max(0.5, deadline + CLOSING_SECONDS / 2 - time.time()))
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
