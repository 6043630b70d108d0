"""Many inputs to all targets, and a table of what became of them."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.changes import Files
from fuzz.children import Sandbox, outcomes
from fuzz.outcome import FAULTS, KINDS, READ, REFUSED, Outcome
from fuzz.target import Target

MOST_KEPT = 300
"""Faulty inputs of a target that are kept."""


@dataclass
class Tally:
    """What became of a target's inputs.

    Attributes:
        target: its name.
        counts: by kind of outcome.
        checked: how many that were read were read again and compared.
        seconds: that it took.
        faults: the outcomes that should not be.
    """

    target: str
    counts: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    seconds: float = 0.0
    faults: list[Outcome] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return sum(self.counts.values())


def attack(
    target: Target,
    *,
    seed: int,
    count: int | None = None,
    seconds: float | None = None,
    first: int = 0,
    kept: Path | None = None,
) -> Tally:
    """Read inputs of a target, `count` of them or for some seconds; keep those that are faulty.

    Args:
        target: the reader.
        seed: of the inputs.
        count: how many.
        seconds: how long, where `count` is not given.
        first: number of the first.
        kept: folder for faulty inputs; nothing is kept if not given.
    """
    target.prepare()
    tally = Tally(target.name)
    began = time.monotonic()
    numbers = itertools.count(first) if count is None else iter(range(first, first + count))
    with tempfile.TemporaryDirectory(prefix="tumorseg-fuzz-", ignore_cleanup_errors=True) as folder:
        sandbox = Sandbox(Path(folder))
        while chosen := list(itertools.islice(numbers, target.batch)):
            inputs = [(number, target.input(seed, number)) for number in chosen]
            for outcome in outcomes(target, inputs, sandbox):
                _take(tally, outcome, dict(inputs)[outcome.number], target, seed, kept)
            tally.seconds = time.monotonic() - began
            if seconds is not None and count is None and tally.seconds > seconds:
                break
    return tally


def _take(
    tally: Tally, outcome: Outcome, files: Files, target: Target, seed: int, kept: Path | None
) -> None:
    tally.counts[outcome.kind] += 1
    tally.checked += outcome.checked
    if not outcome.is_fault:
        return
    tally.faults.append(outcome)
    if kept is not None and len(tally.faults) <= MOST_KEPT:
        name = f"{target.name.replace(' ', '-')}-{seed}-{outcome.number}"
        keep(kept / name, files, {"target": target.name, "seed": seed, **vars(outcome)})


def keep(folder: Path, files: Files, about: dict[str, object]) -> None:
    """Write an input to `folder`, with how it came about."""
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / "input"
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")


def kept_input(folder: Path) -> tuple[str, Files]:
    """Return the target's name and the files of an input that was kept."""
    place = folder / "input"
    files = {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }
    return json.loads((folder / "about.json").read_text())["target"], files


def replay(target: Target, files: Files) -> Outcome:
    """Read one input again, in a child of its own."""
    target.prepare()
    with tempfile.TemporaryDirectory(prefix="tumorseg-fuzz-", ignore_cleanup_errors=True) as folder:
        (found,) = outcomes(target, [(0, files)], Sandbox(Path(folder)))
    return found


def table(tallies: Sequence[Tally]) -> str:
    """Return what became of the inputs, a line a target."""
    shown = [kind for kind in FAULTS if any(tally.counts[kind] for tally in tallies)]
    total = Tally("together")
    for tally in tallies:
        total.counts += tally.counts
        total.checked += tally.checked
        total.seconds += tally.seconds
    head = ["target", "inputs", "read", "compared", "refused", "faults", *shown, "seconds"]
    rows = [head]
    for tally in (*tallies, total):
        faults = sum(tally.counts[kind] for kind in FAULTS)
        numbers = [tally.inputs, tally.counts[READ], tally.checked, tally.counts[REFUSED], faults]
        numbers += [tally.counts[kind] for kind in shown]
        rows.append([tally.target, *map(str, numbers), f"{tally.seconds:.0f}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join((name.ljust(widths[0]), *right)))
    return "\n".join(lines)


def kinds_of_fault(faults: Iterable[Outcome]) -> Counter[str]:
    """Return faults by what they have in common: kind, and the last lines of what was said."""
    return Counter(f"{fault.kind}: {_end(fault.detail)}" for fault in faults)


def _end(detail: str) -> str:
    lines = [line.strip() for line in detail.strip().splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    return " | ".join((*places[-1:], *lines[-1:]))[:300]


assert set(FAULTS) | {READ, REFUSED} == set(KINDS)
