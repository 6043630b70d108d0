"""Forests that judge a model's candidates, grown on what the model marks in patients kept aside.

What a model marks in patients it has learnt from is too often right: candidates come from
cross-validation, where each fold's model marks patients that it never saw. The forest with which a
fold is measured is grown on the candidates of the other folds, the one to be published on all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.case import Case
from tumorseg_training.evaluation import Evaluation, Report
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView
from TumorSegLib.inference.candidates import SegmentedVolume, find_candidates
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import Bundle, add_forest
from TumorSegLib.model.bundle_folder import FOREST_FILE
from TumorSegLib.model.candidate_features import FEATURES
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.forest import Forest
from TumorSegLib.model.postprocessing import FalsePositiveFilter
from TumorSegLib.model.specification import Label
from TumorSegLib.support.atomic_write import write_whole
from TumorSegLib.support.words import counted

RIGHT_FROM = 0.3
"""Part of a candidate that must lie in the reference for it to be right."""


@dataclass(frozen=True)
class Fold:
    """A model and the cases that were kept aside from it.

    Attributes:
        bundle: the model.
        cases: kept aside.
        catalogue: where an ensemble's members are found; the default one if none.
        evaluation: of the model on the cases, if it is known.
    """

    bundle: Bundle
    cases: Sequence[Case]
    catalogue: Catalogue | None = None
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Examples:
    """Candidates whose truth is known.

    Attributes:
        features: float32 (n, features).
        right: bool (n,).
    """

    features: NDArray[np.float32]
    right: NDArray[np.bool_]


def judged(
    folds: Sequence[Fold], wanted: FalsePositiveFilter, path: Path, report: Report
) -> list[Fold]:
    """Give each fold's model a forest grown on the other folds; write the one grown on all.

    Args:
        folds: two or more; one alone stays as it is.
        wanted: what to judge.
        path: where the forest of all folds goes.
        report: takes lines for the user.

    Raises:
        InputError: the candidates are all right, or all wrong.
        OutputError: a forest cannot be written.
    """
    if len(folds) < 2:
        report("candidates: not judged, as that takes two folds or more measured together")
        return list(folds)
    cases = sum(len(fold.cases) for fold in folds)
    report(f"candidates: collecting them in {counted(cases, 'case')}")
    found = [collect(fold, wanted) for fold in folds]
    report(
        f"candidates: {sum(len(item.right) for item in found)}, of which"
        f" {sum(int(item.right.sum()) for item in found)} are right"
    )
    write_whole(path, fit_forest(found).to_bytes())
    result = []
    for index, fold in enumerate(folds):
        others = [item for number, item in enumerate(found) if number != index]
        bundle = add_forest(fold.bundle, fit_forest(others), wanted)
        result.append(replace(fold, bundle=bundle, evaluation=None))
    return result


def collect(fold: Fold, wanted: FalsePositiveFilter) -> Examples:
    """Return what a fold's model, without a forest, marks in the cases kept aside."""
    model = replace(fold.bundle.specification, candidates=None)
    segmenter = Segmenter(replace(fold.bundle, specification=model), catalogue=fold.catalogue)
    examples = []
    for case in fold.cases:
        content = case.decode()
        result = segmenter.segment(content.volumes)
        view = AxialView.of(result.volume.grid)
        image = view.apply(result.volume.voxels)
        segmented = SegmentedVolume(
            image,
            model.input.normalisation.fit(image),
            [view.apply(part) for part in result.probabilities],
            view.apply(result.labelmap),
            view.spacing_zyx,
        )
        truth = view.apply(content.labelmap)
        examples.append(examples_of(segmented, truth, model.labels, wanted))
    return joined(examples)


def examples_of(
    segmented: SegmentedVolume,
    truth: NDArray[np.uint8],
    labels: Sequence[Label],
    wanted: FalsePositiveFilter,
) -> Examples:
    """Return the candidates of one segmented volume, given its reference (z, y, x)."""
    found = find_candidates(segmented, labels, wanted)
    if found is None:
        return joined([])
    numbered = found.components.ravel()
    counts = np.bincount(numbered)[1:]
    hits = np.bincount(numbered, (truth[found.box] == wanted.label).ravel())[1:]
    return Examples(found.features, hits >= RIGHT_FROM * counts)


def joined(examples: Sequence[Examples]) -> Examples:
    """Return the candidates of several volumes as one."""
    none = Examples(np.zeros((0, len(FEATURES)), np.float32), np.zeros(0, np.bool_))
    every = [none, *examples]
    return Examples(
        np.concatenate([item.features for item in every]),
        np.concatenate([item.right for item in every]),
    )


def fit_forest(examples: Sequence[Examples], *, trees: int = 100) -> Forest:
    """Return a forest that tells right candidates from wrong ones.

    Raises:
        InputError: all candidates are right, or all wrong.
    """
    from sklearn.ensemble import RandomForestClassifier

    features = np.concatenate([item.features for item in examples])
    right = np.concatenate([item.right for item in examples])
    if right.all() or not right.any():
        raise InputError(
            f"candidates: found {int(right.sum())} right ones of {len(right)}, expected right and"
            " wrong ones to tell apart; leave out model.candidates"
        )
    forest = RandomForestClassifier(
        trees, min_samples_leaf=3, max_features=0.3, class_weight="balanced", random_state=0
    ).fit(features, right)
    roots, nodes = [], 0
    parts: dict[str, list[NDArray[np.generic]]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "value")
    }
    for tree in (estimator.tree_ for estimator in forest.estimators_):
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        roots.append(nodes)
        parts["feature"].append(np.where(leaf, 0, tree.feature))
        parts["threshold"].append(np.where(leaf, 0, tree.threshold))
        parts["left"].append(nodes + np.where(leaf, own, tree.children_left))
        parts["right"].append(nodes + np.where(leaf, own, tree.children_right))
        parts["value"].append(tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1))
        nodes += tree.node_count
    rows = {name: np.concatenate(rows) for name, rows in parts.items()}
    return Forest(
        roots=np.array(roots, np.int32),
        feature=rows["feature"].astype(np.int32),
        threshold=rows["threshold"].astype(np.float32),
        left=rows["left"].astype(np.int32),
        right=rows["right"].astype(np.int32),
        value=rows["value"].astype(np.float32),
    )


def read_forest(folder: Path) -> Forest | None:
    """Return the forest that a cross-validation has left in `folder`, if it has.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / FOREST_FILE
    if not path.is_file():
        return None
    try:
        return Forest.from_bytes(path.read_bytes(), len(FEATURES))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; run the cross-validation again") from None
