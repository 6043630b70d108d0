"""How well figures of a slice find the slices that need correction, on patients with references.

    python benchmarks/review.py data/kaggle_3m --layout kaggle_3m --model brain-lgg-linknet \
        --patients folds.json --fold fold0

Takes the arguments of `tumorseg evaluate` and prints the table of `docs/review.md`. Every patient
is segmented as users do it; the truth of a slice is its number of wrong pixels.
"""

from __future__ import annotations

import statistics
import sys
from argparse import ArgumentParser, Namespace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tumorseg_training.commands.evaluate import add_arguments, cases_for
from tumorseg_training.metrics import roc_auc
from TumorSegLib.image.grid import AxialView
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.inference.uncertainty_ranking import unsure_slices
from TumorSegLib.model.catalogue import default_catalogue

Figures = NDArray[np.float64]

WRONG_ML = (0.25, 0.5, 1.0)
"""A slice counts as wrong from here on."""

SHARES = (0.1, 0.2)


def main() -> None:
    """Segment, compare, print."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    arguments = parser.parse_args()
    scores, wrong = measured(arguments)
    print_table(scores, wrong)
    print_unsure(scores["expected correction"], wrong)


def measured(arguments: Namespace) -> tuple[dict[str, list[Figures]], list[Figures]]:
    """Return figures by name, and wrong millilitres; an array over slices for each case."""
    bundle = default_catalogue().find(arguments.models[0])
    mirrored, plain = (
        Segmenter(bundle, RunOptions(arguments.device, arguments.precision, mirror_tta=mirror))
        for mirror in (True, False)
    )
    scores: dict[str, list[Figures]] = {}
    wrong = []
    for case in cases_for(bundle, arguments):
        content = case.decode()
        result = mirrored.segment(content.volumes)
        view = AxialView.of(result.volume.grid)
        differs = view.apply(result.labelmap != content.labelmap)
        wrong.append(differs.sum(axis=(1, 2)) * result.volume.grid.voxel_ml)
        other = plain.segment(content.volumes).probabilities
        for name, values in candidates(result, other).items():
            scores.setdefault(name, []).append(values)
        print(f"{case.name}: {wrong[-1].sum():.1f} ml wrong", file=sys.stderr)
    return scores, wrong


def candidates(result: SegmentationResult, plain: NDArray[np.uint8]) -> dict[str, Figures]:
    """Return figures of each slice by name; `plain` are probabilities without mirrored slices."""
    view = AxialView.of(result.volume.grid)
    labels = view.apply(result.labelmap)
    p = view.apply(result.probabilities.max(axis=0)) / 255
    apart = np.abs(p - view.apply(plain.max(axis=0)) / 255)
    between = np.count_nonzero(labels[1:] != labels[:-1], axis=(1, 2))
    neighbours = (np.insert(between, 0, between[0]) + np.append(between, between[-1])) / 2
    area = np.count_nonzero(labels, axis=(1, 2)).astype(float)
    padded = np.pad(area, 1, mode="edge")
    return {
        "expected correction": np.array([figure.correction_mm2 for figure in result.slices]),
        "expected wrong pixels": np.minimum(p, 1 - p).sum(axis=(1, 2)),
        "difference from neighbours": neighbours,
        "jump of the area": np.abs(area - (padded[:-2] + padded[2:]) / 2),
        "difference between mirrored slices": apart.sum(axis=(1, 2)),
        "uncertainty (a share)": np.array([figure.uncertainty for figure in result.slices]),
        "area": area,
    }


def print_table(scores: dict[str, list[Figures]], wrong: list[Figures]) -> None:
    """Print areas under the ROC curve, rank correlation and shares found, pooled and by case."""
    truth = np.concatenate(wrong)
    print(f"{len(wrong)} cases, {len(truth)} slices, {truth.sum():.0f} ml wrong")
    columns = [f"AUC > {ml:g} ml" for ml in WRONG_ML] + ["AUC by case", "Spearman"]
    columns += [f"wrong in top {share:.0%}" for share in SHARES]
    print(f"| figure of a slice | {' | '.join(columns)} |")
    print("|" + "---|" * (len(columns) + 1))
    rows = {**scores, "by chance": [np.zeros(len(case)) for case in wrong], "(the truth)": wrong}
    for name, values in rows.items():
        pooled = np.concatenate(values)
        cells = [roc_auc(pooled, truth > ml) for ml in WRONG_ML]
        pairs = list(zip(values, wrong, strict=True))
        cells.append(float(np.nanmean([roc_auc(v, w > WRONG_ML[1]) for v, w in pairs])))
        cells.append(_correlation(pooled, truth))
        cells += [statistics.fmean(found(v, w, share) for v, w in pairs) for share in SHARES]
        print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")


def print_unsure(scores: list[Figures], wrong: list[Figures]) -> None:
    """Print what looking at the unsure slices only would find."""
    chosen = [unsure_slices(list(values)) for values in scores]
    seen = statistics.fmean(len(c) / len(w) for c, w in zip(chosen, wrong, strict=True))
    held = [w[c].sum() / w.sum() for c, w in zip(chosen, wrong, strict=True) if w.any()]
    print(
        f"unsure slices: {seen:.0%} of a case's slices hold {statistics.fmean(held):.0%} of its"
        f" wrong pixels ({min(held):.0%} in the worst case)"
    )


def found(scores: Figures, wrong: Figures, share: float) -> float:
    """Return the part of a case's wrong pixels that its top slices hold; ties share alike."""
    if not wrong.any():
        return 1.0
    count = max(1, int(np.ceil(share * len(wrong))))
    cut = np.sort(scores)[::-1][count - 1]
    above, tied = scores > cut, scores == cut
    part = (count - above.sum()) / tied.sum()
    return float((wrong[above].sum() + part * wrong[tied].sum()) / wrong.sum())


def _correlation(scores: Figures, truth: Figures) -> float:
    return float(stats.spearmanr(scores, truth)[0]) if np.ptp(scores) else 0.0


if __name__ == "__main__":
    main()
