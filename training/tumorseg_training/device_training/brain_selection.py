"""Thresholds, filters and averages chosen on four folds and looked at on the fifth, once.

    python -m tumorseg_training.device_training.brain_selection PACKS OUT selection.json

reads what the runs of `tumorseg_training.device_training.brain` left in OUT. Every figure comes
from a fold that took no part in any choice: neither the network's training, whose schedule is
fixed, nor that of the setting, which is made for all sequences and FLAIR alone together, by the
mean of both.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from tumorseg_training.readers.kaggle_3m import ASSUMED_SPACING
from tumorseg_training.statistics import compare, estimate
from TumorSegLib.image.components import components_of
from TumorSegLib.image.in_plane import resize
from TumorSegLib.image.voxel_box import bounding_box

MODELS = ("brain-lgg-munet", "brain-lgg-unet", "brain-lgg-linknet")
VARIANTS = ("all", "flair")
"""All sequences; FLAIR in place of the others."""
VOXEL_ML = ASSUMED_SPACING[0] * ASSUMED_SPACING[1] * ASSUMED_SPACING[2] / 1000
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
MILLILITRES = (0.0, 0.25, 0.5, 1.0, 2.0)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5)
PEAKS = (0.0, 0.7, 0.8, 0.9, 0.95)

Volume = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """What turns probabilities into a tumour.

    Attributes:
        threshold: from which on a voxel is marked.
        millilitres: components that are smaller go.
        share: components smaller than this part of the largest one go.
        peak: components without a voxel of this probability go (hysteresis).
    """

    threshold: float
    millilitres: float = 0.0
    share: float = 0.0
    peak: float = 0.0


@dataclass(frozen=True)
class Predictor:
    """A way to probabilities: a network, or an average.

    Attributes:
        name: in the table.
        weights: of the probabilities of `MODELS`.
        smoothing: standard deviation of a Gaussian along the slices.
        flair: weight of what FLAIR alone gives, beside what all sequences give.
    """

    name: str
    weights: tuple[float, float, float]
    smoothing: float = 0.0
    flair: float = 0.0

    def probabilities(self, found: Mapping[tuple[str, str], Volume], variant: str) -> Volume:
        """Return the average (z, y, x) of what the networks gave by model and variant."""
        total = sum(
            weight * found[model, variant]
            for model, weight in zip(MODELS, self.weights, strict=True)
            if weight
        )
        average = np.asarray(total, np.float32) / sum(self.weights)
        if self.flair and variant == "all":
            plain = Predictor(self.name, self.weights)
            average += self.flair * (plain.probabilities(found, "flair") - average)
        if self.smoothing:
            average = gaussian_filter1d(average, self.smoothing, axis=0, mode="nearest")
        return average


SINGLE = tuple(
    Predictor(model, tuple(float(model == other) for other in MODELS))  # type: ignore[arg-type]
    for model in MODELS
)
AVERAGES = tuple(
    Predictor("average of " + " : ".join(f"{weight:g}" for weight in weights), weights)
    for weights in ((1, 1, 1), (2, 1, 1), (1, 1, 0), (2, 1, 0), (2, 0, 1))
)
SMOOTHED = tuple(
    Predictor(f"mU-Net, {slices:g} slices of smoothing", (1, 0, 0), smoothing=slices)
    for slices in (0.5, 0.8)
)
WITH_FLAIR = tuple(
    Predictor(f"{one.name}, {share:g} from FLAIR alone", one.weights, flair=share)
    for one, shares in (
        *((one, (0.25, 0.5)) for one in SINGLE),
        (AVERAGES[0], (0.5,)),
        (AVERAGES[1], (0.5,)),
        (AVERAGES[3], (0.25, 0.5)),
    )
    for share in shares
)
PREDICTORS = (*SINGLE, *AVERAGES, *SMOOTHED, *WITH_FLAIR)


def settings(peaks: Sequence[float] = (0.0,)) -> list[Setting]:
    """Return all settings that are tried."""
    return [
        Setting(*values) for values in itertools.product(THRESHOLDS, MILLILITRES, SHARES, peaks)
    ]


def all_dice(
    probabilities: Volume, mask: NDArray[np.bool_], tried: Sequence[Setting]
) -> NDArray[np.float64]:
    """Return a head's Dice with each setting; components are found once a threshold."""
    wanted = int(mask.sum())
    least, shares, peaks = (
        np.array([getattr(setting, name) for setting in tried])
        for name in ("millilitres", "share", "peak")
    )
    thresholds = np.array([setting.threshold for setting in tried])
    results = np.empty(len(tried))
    for threshold in np.unique(thresholds):
        here = thresholds == threshold
        sizes, overlaps, highest = _components(probabilities, mask, threshold)
        limits = np.maximum(least[here] / VOXEL_ML, shares[here] * sizes.max(initial=0))
        kept = (sizes >= limits[:, None]) & (highest >= peaks[here][:, None])
        areas = wanted + kept @ sizes
        results[here] = np.where(areas, 2 * (kept @ overlaps) / np.maximum(areas, 1), 1.0)
    return results


def _components(
    probabilities: Volume, mask: NDArray[np.bool_], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return sizes, overlaps with the mask and highest probabilities of the components."""
    marked = probabilities >= threshold
    box = bounding_box(marked)
    if box is None:
        empty = np.zeros(0, np.int64)
        return empty, empty, np.zeros(0, np.float32)
    components, sizes = components_of(marked[box])
    count = len(sizes)
    overlaps = np.bincount(components[mask[box]], minlength=count)
    peaks = np.zeros(count, np.float32)
    np.maximum.at(peaks, components[marked[box]], probabilities[box][marked[box]])
    return sizes[1:], overlaps[1:], peaks[1:]


def nested(
    dice: NDArray[np.float64], folds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[int], int]:
    """Choose a candidate for each fold on the other folds.

    Args:
        dice: (candidates, variants, patients).
        folds: of each patient.

    Returns:
        Dice (variants, patients) with the candidate chosen without the patient's fold; the
        candidates of the folds; the candidate that all folds together choose.
    """
    score = dice.mean(axis=1)
    outer = np.empty(dice.shape[1:])
    chosen = []
    for fold in np.unique(folds):
        aside = folds == fold
        chosen.append(int(score[:, ~aside].mean(axis=1).argmax()))
        outer[:, aside] = dice[chosen[-1]][:, aside]
    return outer, chosen, int(score.mean(axis=1).argmax())


def measure(name: str, packs: Path, out: Path, fold: str, tried: Sequence[Setting]) -> Any:
    """Return a head's Dice (predictors, settings, variants)."""
    torch.set_num_threads(1)
    mask = read_mask(packs, name)
    shape = (mask.shape[1], mask.shape[2])
    found: dict[tuple[str, str], Volume] = {}
    for model in MODELS:
        with np.load(out / f"heldout-{model}-{fold}.npz") as content:
            for variant in VARIANTS:
                stored = torch.from_numpy(content[f"{name}/{variant}"]).float() / 255
                found[model, variant] = resize(stored, shape).numpy()
    rows = []
    for predictor in PREDICTORS:
        by_variant = [predictor.probabilities(found, variant) for variant in VARIANTS]
        rows.append(np.stack([all_dice(one, mask, tried) for one in by_variant], axis=1))
    return np.stack(rows)


def read_mask(packs: Path, name: str) -> NDArray[np.bool_]:
    """Return the reference (z, y, x) of a head in one of the packs."""
    for path in sorted(packs.glob("lgg-*.npz")):
        with np.load(path) as content:
            if f"{name}/mask" in content:
                shape = content[f"{name}/shape"]
                bits = np.unpackbits(content[f"{name}/mask"], count=int(np.prod(shape)))
                return bits.reshape(shape).astype(np.bool_)
    raise KeyError(name)


def select(
    dice: NDArray[np.float64], folds: NDArray[np.int64], tried: Sequence[Setting]
) -> list[dict[str, Any]]:
    """Return a row of the table for each group of candidates.

    Args:
        dice: (predictors, settings, variants, patients).
        folds: of each patient.
        tried: the settings.
    """
    plain = [index for index, setting in enumerate(tried) if setting.peak == 0]
    bare = [index for index in plain if (tried[index].millilitres, tried[index].share) == (0, 0)]
    everything = list(range(len(tried)))
    groups: list[tuple[str, Sequence[Predictor], list[int]]] = [
        *((f"{one.name}, threshold alone", [one], bare) for one in SINGLE),
        *((one.name, [one], plain) for one in PREDICTORS),
        *(
            (f"{one.name}, share of FLAIR alone chosen, too", _alike(one), plain)
            for one in (*SINGLE, *AVERAGES)
        ),
        ("averages, weights chosen, too", AVERAGES, plain),
        ("averages, weights and share chosen, too", _several(PREDICTORS), plain),
        ("mU-Net or an average, chosen, too", (SINGLE[0], *AVERAGES), plain),
        ("mU-Net, smoothing or share chosen, too", (*_alike(SINGLE[0]), *SMOOTHED), plain),
        ("all of these, chosen, too", PREDICTORS, plain),
        ("mU-Net, with a least peak", [SINGLE[0]], everything),
        ("average of 2 : 1 : 1, with a least peak", [AVERAGES[1]], everything),
    ]
    rows = []
    best = None
    for name, predictors, allowed in groups:
        candidates = [(PREDICTORS.index(one), index) for one in predictors for index in allowed]
        stack = np.stack([dice[one, index] for one, index in candidates])
        outer, chosen, shipped = nested(stack, folds)
        if name == MODELS[0]:
            best = outer
        row: dict[str, Any] = {"name": name}
        for index, variant in enumerate(VARIANTS):
            row[variant] = asdict(estimate(outer[index].tolist())) | {
                "under_0.6": int((outer[index] < 0.6).sum()),
                "values": outer[index].tolist(),
            }
        row["folds"] = [_described(candidates[choice], tried) for choice in chosen]
        row["to_ship"] = _described(candidates[shipped], tried)
        row["optimistic"] = stack[shipped].mean(axis=1).tolist()
        rows.append(row)
    for row in rows:
        if best is not None:
            found = compare(row["all"]["values"], best[0].tolist())
            row["beside_munet"] = asdict(found)
    return rows


def _alike(one: Predictor) -> list[Predictor]:
    """Return all predictors by the same networks, without smoothing."""
    return [other for other in PREDICTORS if (other.weights, other.smoothing) == (one.weights, 0)]


def _several(predictors: Sequence[Predictor]) -> list[Predictor]:
    """Return those that average networks."""
    return [one for one in predictors if sum(weight > 0 for weight in one.weights) > 1]


def _described(candidate: tuple[int, int], tried: Sequence[Setting]) -> dict[str, Any]:
    return {"predictor": PREDICTORS[candidate[0]].name} | asdict(tried[candidate[1]])


def main() -> None:
    """Select, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packs", type=Path, help="folder of the packs and folds.json")
    parser.add_argument("out", type=Path, help="folder of the runs' results")
    parser.add_argument("table", type=Path, help="JSON to write")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    by_fold: dict[str, list[str]] = json.loads((arguments.packs / "folds.json").read_text("utf-8"))
    pairs = [(name, fold) for fold, names in by_fold.items() for name in names]
    tried = settings(PEAKS)
    work = partial(measure, packs=arguments.packs, out=arguments.out, tried=tried)
    with ProcessPoolExecutor(arguments.processes) as pool:
        waiting = [pool.submit(work, name, fold=fold) for name, fold in pairs]
        dice = np.stack([item.result() for item in waiting], axis=-1)
    np.save(arguments.table.with_suffix(".npy"), dice.astype(np.float32))
    folds = np.array([list(by_fold).index(fold) for _, fold in pairs])
    rows = select(dice, folds, tried)
    content = {"patients": [name for name, _ in pairs], "folds": folds.tolist(), "rows": rows}
    arguments.table.write_text(json.dumps(content, indent=1), "utf-8")
    for row in rows:
        figures = "; ".join(
            f"{row[v]['mean']:.4f} ({row[v]['low']:.3f} to {row[v]['high']:.3f}),"
            f" median {row[v]['median']:.3f}, {row[v]['under_0.6']} low"
            for v in VARIANTS
        )
        print(f"{row['name']}: {figures}; ship {row['to_ship']}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
