"""The table of docs/performance.md: ours beside what people would otherwise run.

    python benchmarks/bench.py [--rounds 3] [--only network path ...] [--json FILE] [--page FILE]

Measures family by family, writes every sample to the JSON and the table to the page. What is not
measured again stays as it is there; `--only` without a name writes the page alone. A peer that is
not installed is left out with the reason.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from rows.pairs import Row, measured
from rows.table import markdown, replaced

from TumorSegLib.support.threads import wait_asleep

ROOT = Path(__file__).resolve().parent.parent

FAMILIES = {
    "network": "Network stage, one ready tensor",
    "path": "Whole path, file to label map, a process of its own",
    "trunk": "The same, a CT from chest to pelvis",
    "stages": "Stages of the whole path, fp32",
    "scaling": "Against the number of slices",
    "worker": "The worker process of the panel",
    "command": "The command",
    "reading": "Reading, in one process",
    "training": "Training",
    "cuda": "CUDA",
}
"""Modules of `rows`, and their titles in the table."""


def main() -> None:
    """Measure, and write what was measured after each family."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    arguments = parser.parse_args()
    wait_asleep()  # all networks in this process alike, which is to the peers' advantage
    results = json.loads(arguments.json.read_text("utf-8")) if arguments.json.exists() else {}
    for name in arguments.only:
        results[name] = family(name, arguments.rounds)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        show(results, arguments.page)
    show(results, arguments.page)


def show(results: dict[str, Any], page: Path) -> None:
    """Write the table to the page, and the plot beside its pictures."""
    page.write_text(replaced(page.read_text("utf-8"), table(results)), "utf-8")
    if "scaling" in results:
        draw(results, page.parent / "images" / "time-against-slices.png")


def family(name: str, rounds: int) -> dict[str, Any]:
    """Measure a family; return its rows and what they hold for."""
    from rows.machine import convolution_rates, description

    print(f"{FAMILIES[name]}:", flush=True)
    machine, module = description(), import_module(f"rows.{name}")
    rows: list[Row] = module.rows(rounds) if hasattr(module, "rows") else []
    for group in module.groups() if hasattr(module, "groups") else ():
        started = time.perf_counter()
        rows += measured(group, rounds, convolution_rates)
        print(f"  {group.what}: {time.perf_counter() - started:.0f} s", flush=True)
    return {"machine": machine, "rounds": rounds, "rows": [row.to_json() for row in rows]}


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the plot of time against slices."""
    from rows.scaling import plot

    plot([Row.from_json(row) for row in results["scaling"]["rows"]], path)


def table(results: dict[str, Any]) -> str:
    """Return the table of all families that have been measured."""
    return markdown(
        {
            title: [Row.from_json(row) for row in results[name]["rows"]]
            for name, title in FAMILIES.items()
            if name in results
        }
    )


if __name__ == "__main__":
    sys.exit(main())
