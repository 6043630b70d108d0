"""What all runs have left: a table, and archives small enough to be carried."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tumorseg_training.device_training.brain_plans import EVERYBODY, Plan
from tumorseg_training.device_training.brain_prediction import summary

ARCHIVE_BYTES = 16_000_000


def table(out: Path, plans: Sequence[Plan]) -> list[str]:
    """Return the figures of all runs, network by network."""
    lines = []
    for plan in plans:
        files = sorted(out.glob(f"run-{plan.id}-*.json"))
        runs = [json.loads(file.read_text("utf-8")) for file in files]
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
