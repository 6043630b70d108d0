"""Forests, thresholds and lesion by lesion figures from saved probabilities, nested by folds.

    python -m tumorseg_training.device_training.liver_candidates PACKS OUT [--model unet]

The runs of `tumorseg_training.device_training.liver` have left what each fold's network finds in
patients that it never saw. What is measured on a fold is chosen on the others: the threshold of
the lesions, the likelihood below which a candidate is given up, up to which volume, and the
smallest volume.
While choosing, the forest that judges a fold is grown without that fold and without the outer one.
Figures are of the network's grid; those to publish come from `liver_bundles`, on the images' own.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.candidates import RIGHT_FROM, Examples, fit_forest
from tumorseg_training.config import read_config
from tumorseg_training.device_training.liver import CONFIGS
from tumorseg_training.device_training.liver_pack import PackedVolume, read_packs
from tumorseg_training.device_training.liver_prediction import DETECTED_SHARE, dice
from tumorseg_training.device_training.liver_runs import mean
from TumorSegLib.errors import InputError
from TumorSegLib.image.components import components_of
from TumorSegLib.inference.candidates import SegmentedVolume, find_candidates
from TumorSegLib.inference.labelmap import labelmap_from_probabilities
from TumorSegLib.inference.postprocessing import postprocess
from TumorSegLib.model.candidate_features import FEATURES
from TumorSegLib.model.postprocessing import RemoveSmall
from TumorSegLib.model.specification import ModelSpecification

LARGE_ML = 2.0
LESION = 2
THRESHOLDS = (0.3, 0.4, 0.5, 0.6)
LIKELIHOODS = (0.0, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
LIMITS_ML = (20.0, 50.0, 1e6)
SMALLEST_ML = (0.1, 0.3, 0.5)


@dataclass(frozen=True)
class Choice:
    """What is chosen on other patients.

    Attributes:
        threshold: probability from which on a voxel is lesion.
        likelihood: below which a candidate is given up.
        up_to_ml: above which it stays in any case.
        smallest_ml: below which it is given up in any case.
    """

    threshold: float
    likelihood: float
    up_to_ml: float
    smallest_ml: float


@dataclass(frozen=True)
class LesionFigures:
    """Of one volume; nan where it has no lesion.

    Attributes:
        organ: Dice of the organ with its lesions.
        lesion: Dice of the lesions.
        large: lesions of at least `LARGE_ML`.
        large_found: of these, those of which `DETECTED_SHARE` is marked.
        false: marked components that meet no lesion.
    """

    organ: float
    lesion: float
    large: int
    large_found: int
    false: int


@dataclass(frozen=True)
class Marked:
    """The components marked as lesion in a volume, at one threshold.

    Attributes:
        organ: Dice of the organ.
        examples: features, and which components are right.
        millilitres: (n,).
        sizes: (n,), voxels.
        overlaps: (n, lesions), voxels that a component shares with a lesion of the reference.
        lesions: (lesions,), voxels.
        voxel_ml: volume of a voxel.
    """

    organ: float
    examples: Examples
    millilitres: NDArray[np.float64]
    sizes: NDArray[np.int64]
    overlaps: NDArray[np.int64]
    lesions: NDArray[np.int64]
    voxel_ml: float

    def kept(self, choice: Choice, likelihoods: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which components stay."""
        likely = (likelihoods >= choice.likelihood) | (self.millilitres > choice.up_to_ml)
        return likely & (self.millilitres >= choice.smallest_ml)

    def figures(self, kept: NDArray[np.bool_]) -> LesionFigures:
        """Return the figures with the components that are kept."""
        hit = self.overlaps[kept].sum(axis=0)
        marked, true = int(self.sizes[kept].sum()), int(self.lesions.sum())
        large = self.lesions * self.voxel_ml >= LARGE_ML
        return LesionFigures(
            organ=self.organ,
            lesion=2 * int(hit.sum()) / (marked + true) if true else math.nan,
            large=int(large.sum()),
            large_found=int((large & (hit >= DETECTED_SHARE * self.lesions)).sum()),
            false=int((self.overlaps[kept].sum(axis=1) == 0).sum()),
        )


def marked_in(
    volume: PackedVolume,
    probabilities: NDArray[np.uint8],
    model: ModelSpecification,
    threshold: float,
) -> Marked:
    """Segment a volume from its probabilities (n, K, H, W), as a run does, and look at the result.

    Args:
        volume: with its reference.
        probabilities: of its slices.
        model: whose labels and post-processing are used, but for the smallest lesion.
        threshold: of the lesions.
    """
    labels = tuple(
        replace(label, threshold=threshold) if label.value == LESION else label
        for label in model.labels
    )
    parts = [np.ascontiguousarray(probabilities[:, index]) for index in range(len(labels))]
    labelmap = labelmap_from_probabilities(parts, labels, [label.threshold for label in labels])
    voxel_ml = math.prod(volume.spacing_zyx) / 1000
    steps = [step for step in model.postprocessing if step.label != LESION]
    steps.append(RemoveSmall(LESION, min(SMALLEST_ML)))
    postprocess(labelmap, steps, voxel_ml=voxel_ml, labels=labels)
    image = volume.volume(model).voxels
    intensity = model.input.normalisation.fit(image)
    segmented = SegmentedVolume(image, intensity, parts, labelmap, volume.spacing_zyx)
    assert model.candidates is not None
    found = find_candidates(segmented, labels, model.candidates)
    true, lesions = components_of(volume.masks == LESION)
    organ = dice(labelmap > 0, volume.masks > 0)
    if found is None:
        none = Examples(np.zeros((0, len(FEATURES)), np.float32), np.zeros(0, np.bool_))
        empty = np.zeros(0, np.int64)
        overlaps = np.zeros((0, len(lesions) - 1), np.int64)
        return Marked(organ, none, np.zeros(0), empty, overlaps, lesions[1:], voxel_ml)
    count = len(found.millilitres)
    pairs = found.components.astype(np.int64) * len(lesions) + true[found.box]
    table = np.bincount(pairs.ravel(), minlength=(count + 1) * len(lesions))
    table = table.reshape(count + 1, len(lesions))[1:]
    sizes, overlaps = table.sum(axis=1), table[:, 1:]
    examples = Examples(found.features, overlaps.sum(axis=1) >= RIGHT_FROM * sizes)
    return Marked(organ, examples, found.millilitres, sizes, overlaps, lesions[1:], voxel_ml)


class Nested:
    """Figures of every fold, with what is chosen on the other folds."""

    def __init__(self, marked: Mapping[str, Mapping[float, Sequence[Marked]]]) -> None:
        """Take what is marked, by fold and threshold, a volume at a time."""
        self.marked = marked
        self.choices = [
            Choice(*values)
            for values in product(sorted(_thresholds(marked)), LIKELIHOODS, LIMITS_ML, SMALLEST_ML)
        ]
        self.likelihoods = cache(self._likelihoods)

    def _likelihoods(
        self, fold: str, threshold: float, without: frozenset[str]
    ) -> list[NDArray[np.float64]]:
        """Return what a forest grown `without` some folds says of a fold's components."""
        learnt = [
            item.examples
            for other, by_threshold in self.marked.items()
            if other not in without
            for item in by_threshold[threshold]
        ]
        mine = self.marked[fold][threshold]
        if not learnt:
            return [np.ones(len(item.sizes)) for item in mine]
        try:
            forest = fit_forest(learnt)
        except InputError:  # nothing to tell apart
            return [np.ones(len(item.sizes)) for item in mine]
        return [
            forest.probabilities(item.examples.features) if len(item.sizes) else np.zeros(0)
            for item in mine
        ]

    def figures(self, fold: str, choice: Choice, without: frozenset[str]) -> list[LesionFigures]:
        """Return a fold's figures."""
        likelihoods = self.likelihoods(fold, choice.threshold, without)
        volumes = self.marked[fold][choice.threshold]
        return [
            item.figures(item.kept(choice, likely))
            for item, likely in zip(volumes, likelihoods, strict=True)
        ]

    def choose(self, outer: str | None) -> Choice:
        """Return the choice with the highest mean Dice of lesions on all folds but `outer`."""
        others = [fold for fold in self.marked if fold != outer]

        def score(choice: Choice) -> float:
            found = []
            for fold in others:
                without = frozenset({fold} if outer is None else {fold, outer})
                found += [item.lesion for item in self.figures(fold, choice, without)]
            return mean(found)

        return max(self.choices, key=score)


def _thresholds(marked: Mapping[str, Mapping[float, Sequence[Marked]]]) -> set[float]:
    return set(next(iter(marked.values())))


def read_found(source: Path, model: str) -> dict[str, NDArray[np.uint8]]:
    """Return the saved probabilities (n, K, H, W) by volume.

    Raises:
        InputError: there are none.
    """
    found: dict[str, NDArray[np.uint8]] = {}
    for path in sorted(source.glob(f"{model}-*-probabilities-*.npz")):
        with np.load(path) as content:
            found.update({name: content[name] for name in content.files})
    if not found:
        raise InputError(f"{source}: no probabilities {model}-<run>-probabilities-<k>.npz")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Choose, judge and measure; see the module's text."""
    parser = argparse.ArgumentParser(prog="liver_candidates", description=__doc__)
    parser.add_argument("packs", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--model", default="unet", choices=("unet", "munet"))
    parser.add_argument("--slices", type=int, default=None, help="that were looked at of a volume")
    options = parser.parse_args(arguments)
    model = read_config(CONFIGS / f"liver-ct-{options.model}.toml").model
    found = read_found(options.source, options.model)
    volumes = read_packs(sorted(options.packs.glob("*.pack")), limit=options.slices)
    measured = [volume for volume in volumes if volume.fold and volume.name in found]
    marked: dict[str, dict[float, list[Marked]]] = {}
    for volume, threshold in product(measured, THRESHOLDS):
        item = marked_in(volume, found[volume.name], model, threshold)
        marked.setdefault(volume.fold, {}).setdefault(threshold, []).append(item)
    nested = Nested(marked)
    rows, lines = {}, []
    for fold in sorted(marked):
        choice = nested.choose(fold)
        lines.append(f"{fold}: {choice}")
        names = [volume.name for volume in measured if volume.fold == fold]
        figures = nested.figures(fold, choice, frozenset({fold}))
        rows.update(dict(zip(names, figures, strict=True)))
    lines += [
        f"{name:12} liver {row.organ:.3f} tumour {row.lesion:.3f} of 2 ml and more"
        f" {row.large_found}/{row.large}, false {row.false}"
        for name, row in rows.items()
    ]
    large = sum(row.large for row in rows.values())
    lines += [
        f"liver {mean([row.organ for row in rows.values()]):.3f}, tumour"
        f" {mean([row.lesion for row in rows.values()]):.3f}, of 2 ml and more"
        f" {sum(row.large_found for row in rows.values())}/{large}, false a volume"
        f" {mean([float(row.false) for row in rows.values()]):.2f}",
        f"to publish: {nested.choose(None)}",
    ]
    print("\n".join(lines))  # noqa: T201
    path = options.source / f"{options.model}-nested.json"
    path.write_text(
        json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1), "utf-8"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
