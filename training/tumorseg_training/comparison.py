"""A retrained model beside the one that it started from, on cases that neither was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from tumorseg_training.evaluation import Evaluation
from tumorseg_training.evaluation_page import evaluation_page, write_with_page
from tumorseg_training.statistics import compare, estimate
from TumorSegLib.support.words import counted

RESULTS = "comparison.json"

NEW, OLD = "new", "old"
"""Held-out cases of the data set that was trained on, and of those mixed in against forgetting."""

FEWEST_FOR_AN_INTERVAL = 3
OLD_TOLERANCE = 0.01
"""Mean Dice that a better model may lose on old cases."""


@dataclass(frozen=True)
class Pair:
    """Both models on the same held-out cases.

    Attributes:
        cases: NEW or OLD.
        base: how the base fares.
        retrained: how the retrained model does.
    """

    cases: str
    base: Evaluation
    retrained: Evaluation

    @property
    def gain(self) -> float:
        """Mean Dice over patients and structures, retrained less base."""
        return _mean_dice(self.retrained) - _mean_dice(self.base)


@dataclass(frozen=True)
class Verdict:
    """Whether the retrained model is the better one, and why in one line."""

    better: bool
    reason: str


def verdict(pairs: Sequence[Pair]) -> Verdict:
    """Return which model is better: Dice must rise on new cases and stay on old ones."""
    gains = {pair.cases: pair.gain for pair in pairs}
    told = ", ".join(f"{gain:+.3f} on {cases} cases" for cases, gain in gains.items())
    if not gains[NEW] > 0:
        return Verdict(False, f"not better on held-out cases: mean Dice {told}")
    if gains.get(OLD, 0.0) < -OLD_TOLERANCE:
        return Verdict(False, f"better on new cases, but worse on old ones: mean Dice {told}")
    return Verdict(True, f"better on held-out cases: mean Dice {told}")


def rows(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Return a row for each set of cases and each structure, ready for JSON."""
    found = []
    for pair in pairs:
        for label in pair.base.model.labels:
            one, two = (item.by_patient(label.name, "dice") for item in (pair.base, pair.retrained))
            patients = sorted(one.keys() & two.keys())
            before, after = [one[p] for p in patients], [two[p] for p in patients]
            difference = compare(after, before)
            found.append(
                {
                    "cases": pair.cases,
                    "structure": label.name,
                    "patients": len(patients),
                    "base": estimate(before).mean,
                    "retrained": estimate(after).mean,
                    "difference": asdict(difference.difference),
                    "p_value": difference.p_value,
                    "by_patient": {p: [one[p], two[p]] for p in patients},
                }
            )
    return found


def table(comparison: Mapping[str, Any]) -> Table:
    """Return the rows of what `write_comparison` returns for a terminal."""
    base, retrained = comparison["base"], comparison["retrained"]
    shown = Table(box=None)
    for heading in ("Held-out cases", "Structure", "Patients", base, retrained, "Difference"):
        shown.add_column(heading, overflow="fold")  # names of models are not cut
    for row in comparison["rows"]:
        shown.add_row(*_cells(row))
    return shown


def in_words(compared: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of a comparison as a sentence for the model card."""
    shown = [
        f"{row['structure']} {row['retrained']:.3f}, the base {row['base']:.3f}"
        f" ({counted(row['patients'], 'held-out patient')}, {counted(row['cases'], 'case')})"
        for row in compared
    ]
    return f"Mean Dice beside the base: {'; '.join(shown)}."


def write_comparison(pairs: Sequence[Pair], folder: Path, title: str) -> dict[str, Any]:
    """Write `comparison.json` and the page beside it; return what the former holds.

    Raises:
        OutputError: they cannot be written.
    """
    judged, compared = verdict(pairs), rows(pairs)
    content = {
        "title": title,
        "base": _called(pairs[0].base),
        "retrained": _called(pairs[0].retrained),
        "better": judged.better,
        "reason": judged.reason,
        "rows": compared,
    }
    evaluations = [item for pair in pairs for item in (pair.base, pair.retrained)]
    page = partial(
        evaluation_page,
        evaluations,
        title,
        "retraining.html",
        base=content["base"],
        retrained=content["retrained"],
        reason=judged.reason,
        table=[_cells(row) for row in compared],
        rows=compared,
    )
    write_with_page(folder / RESULTS, content, page)
    return content


def _cells(row: dict[str, Any]) -> list[str]:
    difference = row["difference"]
    interval = f"{difference['mean']:+.3f}"
    if row["patients"] >= FEWEST_FOR_AN_INTERVAL:
        interval += f" ({difference['low']:+.3f} to {difference['high']:+.3f})"
    figures = (f"{row['base']:.3f}", f"{row['retrained']:.3f}")
    return [row["cases"], row["structure"], str(row["patients"]), *figures, interval]


def _called(evaluation: Evaluation) -> str:
    name, version = evaluation.model.id, evaluation.model.version
    return name if name.endswith(version) else f"{name} {version}"


def _mean_dice(evaluation: Evaluation) -> float:
    means = []
    for label in evaluation.model.labels:
        values = evaluation.by_patient(label.name, "dice").values()
        means.append(math.fsum(values) / len(values))
    return math.fsum(means) / len(means)
