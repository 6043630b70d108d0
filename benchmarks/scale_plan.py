"""What a study takes here, and from it a plan for very many.

    python benchmarks/scale_plan.py [--studies 100000] [--days 7] [--core-hour 0.04]
                                    [--terabyte-month 20] [--write docs/scale.md]

CTs (DICOM of 512 x 512 x 120) and MRIs (three sequences of 256 x 256 x 24) of phantoms are
segmented by one worker of one thread, the CTs with DICOM objects. Everything is counted for one
core of this computer; whoever plans gives the prices.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cohort
import numpy as np
import SimpleITK as sitk
from dicom_writing import write_slices

from TumorSegLib.image.itk import to_sitk
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

CT, CT_SPACING = (120, 512, 512), (0.75, 0.75, 2.5)
MR, MR_SPACING = (24, 256, 256), (0.9, 0.9, 5.5)
STUDIES = 6
ONE_CORE = ("--workers", "1", "--threads", "1")
MARKS = ("<!-- plan: begin -->", "<!-- plan: end -->")


@dataclass(frozen=True)
class Cost:
    """What a study of one kind takes.

    Attributes:
        files: that it comes in.
        read: bytes of them.
        written: bytes of its results.
        processor: seconds of the worker.
        network: seconds of these in which the network is at work.
        listing: seconds in which it is found and its headers are looked at.
    """

    files: float
    read: float
    written: float
    processor: float
    network: float
    listing: float


def main() -> int:
    """Measure and plan; print or write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--days", type=float, default=7.0, help="in which they are to be done")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price of a core for an hour")
    parser.add_argument("--terabyte-month", type=float, default=20.0, help="price of a disk")
    parser.add_argument("--write", type=Path, help="page in which the tables are replaced")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tumorseg-plan-") as scratch:
        folder = Path(scratch)
        ct = ("--model", "liver-ct-unet", "--dicom-seg", "--sr")
        mr = ("--model", "brain-lgg-munet")
        kinds = {
            "CT of 512 x 512 x 120, liver": measured(folder / "ct", write_ct, *ct),
            "MRI, 3 x 256 x 256 x 24, brain": measured(folder / "mr", write_mr, *mr),
        }
    load = f"Load of the machine at the end ({os.cpu_count()} cores): {os.getloadavg()[0]:.1f}."
    tables = "\n\n".join([figures(kinds), plan(kinds, options), load])
    print(tables)
    if options.write is not None:
        cohort.replace_between(options.write, MARKS, tables)
    return 0


def measured(folder: Path, write: Callable[[Path, int], None], *words: str) -> Cost:
    """Run a cohort of one kind by one worker of one thread."""
    for number in range(STUDIES):
        write(folder / "in" / f"s{number}", number)
    environment = cohort.variables(folder)
    run = cohort.start(folder, environment, *ONE_CORE, *words)
    processor = cohort.processor_seconds(run, folder / "out" / "cases")
    done = cohort.finished(run, folder, 0.0)
    assert len(done.said["segmented"]) == STUDIES, done.said
    results = sorted((folder / "out" / "cases").glob("*/result.json"))
    stages = [json.loads(path.read_text("utf-8"))["seconds"] for path in results]
    again = seconds_of_plan(folder, environment, *words)
    nothing = seconds_of_plan(folder, environment, *words, "--exclude", "s*")
    return Cost(
        files=len(files(folder / "in")) / STUDIES,
        read=size(folder / "in") / STUDIES,
        written=size(folder / "out" / "cases") / STUDIES,
        processor=processor,
        network=statistics.median(stage["network"] for stage in stages),
        listing=(again - nothing) / STUDIES,
    )


def seconds_of_plan(folder: Path, environment: dict[str, str], *words: str) -> float:
    """Return how long the command takes that says what there is to do."""
    began = time.perf_counter()
    cohort.start(folder, environment, *words, "--plan").communicate()
    return time.perf_counter() - began


def files(folder: Path) -> list[Path]:
    """Return all files in a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in files(folder))


def write_ct(folder: Path, number: int) -> None:
    """Write a CT as uncompressed DICOM."""
    volume, _ = abdomen_phantom(number, shape=CT, spacing=CT_SPACING)
    where = [(0.0, 0.0, CT_SPACING[2] * index) for index in range(CT[0])]
    uid = f"1.2.9.{number}"
    slices = list(volume.voxels.astype(np.int16))
    spacing = CT_SPACING[1], CT_SPACING[0]
    write_slices(folder, slices, where, series=f"{uid}.1", spacing=spacing, StudyInstanceUID=uid)


def write_mr(folder: Path, number: int) -> None:
    """Write three sequences as compressed NIfTI."""
    folder.mkdir(parents=True)
    volumes, _ = brain_phantom(number, shape=MR, spacing=MR_SPACING)
    for name, volume in volumes.items():
        image = to_sitk(volume.voxels, volume.grid)
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))


def figures(kinds: dict[str, Cost]) -> str:
    """Return the table of what was measured."""
    rows = {
        "files it comes in": [f"{cost.files:.0f}" for cost in kinds.values()],
        "megabytes of them": [f"{cost.read / 1e6:.1f}" for cost in kinds.values()],
        "megabytes of results": [f"{cost.written / 1e6:.2f}" for cost in kinds.values()],
        "core-seconds of the worker": [f"{cost.processor:.1f}" for cost in kinds.values()],
        "of these in the network": [f"{cost.network:.1f}" for cost in kinds.values()],
        "seconds of the command to find it": [f"{cost.listing:.2f}" for cost in kinds.values()],
    }
    return table("a study, measured", kinds, rows)


def plan(kinds: dict[str, Cost], options: argparse.Namespace) -> str:
    """Return the table of what very many studies take, by simple proportion."""
    count, days = options.studies, options.days
    prices = f"{options.core_hour:g} a core-hour and {options.terabyte_month:g} a terabyte-month"
    rows: dict[str, list[str]] = {}
    for cost in kinds.values():
        hours = cost.processor * count / 3600
        stored = (cost.read + cost.written) * count
        price = hours * options.core_hour + stored / 1e12 * options.terabyte_month
        values = {
            "images, terabytes": f"{cost.read * count / 1e12:.2f}",
            "results, terabytes": f"{cost.written * count / 1e12:.3f}",
            "hours of the command to find them": f"{cost.listing * count / 3600:.1f}",
            "core-hours": f"{hours:,.0f}",
            f"cores for {days:g} days": f"{hours / 24 / days:.0f}",
            f"megabits a second, {days:g} days": f"{stored * 8e-6 / (days * 86400):.0f}",
            "core-hours beside a GPU": f"{(cost.processor - cost.network) * count / 3600:,.0f}",
            f"price, at {prices}": f"{price:,.0f}",
        }
        for name, value in values.items():
            rows.setdefault(name, []).append(value)
    return table(f"{count:,} studies, by proportion", kinds, rows)


def table(title: str, kinds: dict[str, Cost], rows: dict[str, list[str]]) -> str:
    """Return rows as Markdown, a column for each kind of study."""
    head = [f"| {title} | {' | '.join(kinds)} |", f"|---{'|--:' * len(kinds)}|"]
    return "\n".join(head + [f"| {name} | {' | '.join(row)} |" for name, row in rows.items()])


if __name__ == "__main__":
    sys.exit(main())
