"""`python -m failure_gallery docs [MODEL ...]`: segments the cases and writes page and pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from failure_gallery.cases import Case, brain_cases, fat_cases, liver_cases
from failure_gallery.drawing import draw
from TumorSegLib.errors import TumorSegError
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import SHIPPED, Catalogue
from TumorSegLib.support.words import counted

PAGE = "failures.md"

INTRODUCTION = """\
# Where the models fail

Phantoms, made up by a program and altered in ways in which images go wrong: no patient is shown.
Dashed in cyan is what is there; red, and yellow for an organ, is what the model marked, on the
slice with most of it. The table has the whole volume. It shows what a failure looks like, not how
often it happens: for that, each card has measured figures, and a list of known failures. A model
that does well here has not been shown to do well anywhere else. Written by
`PYTHONPATH=tools:. python -m failure_gallery docs`, on the CPU in fp32, with the shipped weights.

*What is said* are the warnings, which come before the run where they concern the image.
"""


@dataclass(frozen=True)
class Outcome:
    """What a model made of a case.

    Attributes:
        labelmap: what it marked (z, y, x).
        figures: for the picture, a line.
        cells: of the table: there, found, Dice.
        said: warnings.
    """

    labelmap: NDArray[np.uint8]
    figures: str
    cells: tuple[str, str, str]
    said: tuple[str, ...]


def main(words: Sequence[str]) -> int:
    """Write page and pictures; of models that are named, pictures only: their parts are printed.

    Ensembles are left out: they do about as their members do.
    """
    folder, wanted = Path(words[0]), words[1:]
    bundles = [
        bundle
        for bundle in Catalogue.of([SHIPPED]).bundles
        if (bundle.id in wanted if wanted else not bundle.specification.members)
    ]
    makers = {"brain": brain_cases, "liver": liver_cases, "fat": fat_cases}
    cases: dict[str, list[Case]] = {}
    page = [INTRODUCTION]
    for bundle in bundles:
        family = bundle.id.partition("-")[0]
        if family not in cases:
            cases[family] = makers[family]()
        print(f"{bundle.id} ...", flush=True)
        page.append(_section(bundle, cases[family], folder))
        if wanted:
            print(page[-1])
        else:
            (folder / PAGE).write_text("\n".join(page), "utf-8")
    return 0


def _section(bundle: Bundle, cases: Sequence[Case], folder: Path) -> str:
    """Write a model's picture; return its part of the page."""
    outcomes = [_outcome(bundle, case) for case in cases]
    picture = f"failures-{bundle.id}.png"
    labels = bundle.specification.labels
    maps = [outcome.labelmap for outcome in outcomes]
    draw(folder / "images" / picture, cases, maps, [one.figures for one in outcomes], labels)
    lines = [
        f"## {bundle.id}\n",
        f"{bundle.specification.title}, version {bundle.specification.version}.\n",
        f"![{bundle.specification.title}: phantoms and what was marked](images/{picture})\n",
        "| image | there | found | Dice | what is said |",
        "|---|---|---|---|---|",
    ]
    for case, outcome in zip(cases, outcomes, strict=True):
        said = "; ".join(line.replace("|", "/") for line in outcome.said) or "nothing"
        lines.append(f"| {case.title} | {' | '.join(outcome.cells)} | {said} |")
    return "\n".join(lines) + "\n"


def _outcome(bundle: Bundle, case: Case) -> Outcome:
    segmenter = Segmenter(bundle, RunOptions(precision="fp32"), device="cpu")
    if bundle.specification.task == "detection":
        return _slices(segmenter, case)
    channels = [channel.name for channel in bundle.specification.input.channels]
    volumes = {name: case.volumes[name] for name in channels if name in case.volumes}
    result = segmenter.segment(volumes)
    labels = bundle.specification.labels
    millilitres = next(iter(volumes.values())).grid.voxel_ml
    structures = [
        (one.name, case.truth == one.value, result.labelmap == one.value) for one in labels
    ]
    if bundle.id.startswith("liver"):  # a liver's tumours are part of it
        structures[0] = ("Liver", case.truth > 0, result.labelmap > 0)
    if bundle.id.startswith("fat"):  # the phantom does not tell the two kinds apart
        structures = [("Fat", case.truth > 0, result.labelmap > 0)]
    there = [f"{name.lower()} {true.sum() * millilitres:.1f} ml" for name, true, _ in structures]
    found = [f"{name.lower()} {mine.sum() * millilitres:.1f} ml" for name, _, mine in structures]
    dices = [_dice(true, mine) for _, true, mine in structures]
    return Outcome(
        result.labelmap,
        _caption([name for name, _, _ in structures], dices, found),
        (", ".join(there), ", ".join(found), ", ".join(dices)),
        result.warnings,
    )


def _slices(segmenter: Segmenter, case: Case) -> Outcome:
    """Return what a detector says slice by slice; it marks nothing."""
    result = segmenter.detect(case.volumes)
    called = np.array(result.probabilities) >= 0.5
    shows = case.truth.any(axis=(1, 2))
    text = (
        f"{(called & shows).sum()} of {shows.sum()} slices found, {(called & ~shows).sum()} falsely"
    )
    cells = (counted(int(shows.sum()), "slice"), counted(int(called.sum()), "slice"), "")
    return Outcome(np.zeros_like(case.truth), text, cells, result.warnings)


def _dice(true: NDArray[np.bool_], mine: NDArray[np.bool_]) -> str:
    both = true.sum() + mine.sum()
    return f"{2 * (true & mine).sum() / both:.2f}" if true.any() else "none is there"


def _caption(names: Sequence[str], dices: Sequence[str], found: Sequence[str]) -> str:
    if "none is there" in dices:
        return "marked: " + ", ".join(found)
    return "Dice: " + ", ".join(
        f"{name.lower()} {dice}" for name, dice in zip(names, dices, strict=True)
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except TumorSegError as error:
        sys.exit(str(error))
