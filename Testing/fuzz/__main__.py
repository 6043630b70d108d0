"""`python -m fuzz --minutes 10` reads damaged inputs; `--replay FOLDER` reads a kept one again."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[pool] = "1"  # a fork takes no threads with it

from fuzz.campaign import attack, kept_input, kinds_of_fault, replay, table  # noqa: E402
from fuzz.targets import TARGETS, target_named  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--count", type=int, help="inputs a target, however long they take")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", help="one of the table's; repeat for more")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="for faulty inputs")
    parser.add_argument("--replay", type=Path, nargs="+", help="folders with inputs that were kept")
    arguments = parser.parse_args()
    if arguments.replay:
        return show(arguments.replay)
    chosen = [target_named(name) for name in arguments.target or [t.name for t in TARGETS]]
    tallies = []
    for target in chosen:
        tally = attack(
            target,
            seed=arguments.seed,
            count=arguments.count,
            seconds=arguments.minutes * 60 / len(chosen),
            first=arguments.first,
            kept=arguments.keep,
        )
        tallies.append(tally)
        for fault, times in kinds_of_fault(tally.faults).most_common():
            print(f"{target.name}: {times} x {fault}", flush=True)
    print(table(tallies))
    if any(tally.faults for tally in tallies):
        print(f"faulty inputs are in {arguments.keep}", file=sys.stderr)
        return 1
    return 0


def show(folders: list[Path]) -> int:
    faulty = False
    for folder in folders:
        name, files = kept_input(folder)
        outcome = replay(target_named(name), files)
        print(f"{folder}: {outcome.kind}: {outcome.detail}")
        faulty |= outcome.is_fault
    return int(faulty)


if __name__ == "__main__":
    sys.exit(main())
