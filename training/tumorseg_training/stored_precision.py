"""Whether a model stored as int8 gives what the same model in floating point gives.

    python -m tumorseg_training.stored_precision DATASET --layout LAYOUT --model ID -o FOLDER

writes FOLDER/ID, the model stored as int8, runs both on the annotated cases of DATASET and prints
how well they agree: by each label's Dice, or for detectors by the slices that are called
differently. It ends with 1 where a Dice is below 0.999 or a slice differs. Weights with fewer than
`--float16-below` values stay float16: they are those of the finest levels, where rounding shows
first, and a small part of the whole. Options of `tumorseg evaluate` choose the cases.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.torch import load
from torch import nn

from tumorseg_training.case import LabelledCase
from tumorseg_training.case_figures import whole
from tumorseg_training.commands.evaluate import add_arguments, cases_for
from TumorSegLib.commands.terminal import say
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import Bundle, load_forest, load_network, write_bundle
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.model.stored_weights import SCALE, to_bytes

ENOUGH = 0.999
"""Dice from which on two segmentations are the same to whoever looks at them."""


def small_weights(network: nn.Module, below: int) -> list[str]:
    """Return the names of the weights that int8 suits and that have fewer values than `below`."""
    stored = load(to_bytes(network, "int8"))
    return [
        name for name, part in stored.items() if name + SCALE in stored and part.numel() < below
    ]


def as_int8(bundle: Bundle, folder: Path, float16_below: int = 0) -> Bundle:
    """Write a bundle with its weights stored as int8; nothing else changes.

    Args:
        bundle: with weights of its own.
        folder: of the new bundle.
        float16_below: weights with fewer values than this stay float16.

    Raises:
        ModelError: the bundle cannot be read.
        OutputError: the folder cannot be written.
    """
    network = load_network(bundle)
    return write_bundle(
        folder,
        replace(bundle.specification, weights=None),
        network,
        dtype="int8",
        float16=small_weights(network, float16_below),
        forest=load_forest(bundle),
        card=(bundle.folder / "README.md").read_text(encoding="utf-8"),
    )


def agreement(one: Segmenter, other: Segmenter, content: LabelledCase) -> Mapping[str, float]:
    """Return how well two models agree on a case.

    Returns:
        Dice by label name, 1 where neither marks anything; for detectors, under "slices", the
        share of slices that both call alike.
    """
    labels = one.specification.labels
    if one.specification.task == "detection":
        calls = [
            np.array(model.detect(content.volumes).probabilities) >= labels[0].threshold
            for model in (one, other)
        ]
        return {"slices": float((calls[0] == calls[1]).mean())}
    found = [model.segment(content.volumes).labelmap for model in (one, other)]
    figures = {}
    for label in labels:
        first, second = (whole(labelmap, label) for labelmap in found)
        areas = int(first.sum()) + int(second.sum())
        figures[label.name] = 2 * int((first & second).sum()) / areas if areas else 1.0
    return figures


def main() -> int:
    """Convert models, and compare them with what they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--float16-below", metavar="VALUES", type=int, default=0)
    arguments = parser.parse_args()
    worst = math.inf
    for name in arguments.models:
        bundle = default_catalogue().find(name)
        stored = as_int8(bundle, arguments.output / bundle.id, arguments.float16_below)
        say(f"{bundle.id}: {_checksum(bundle)} and {_checksum(stored)}")
        options = {"device": arguments.device, "precision": arguments.precision}
        one, other = Segmenter(bundle, **options), Segmenter(stored, **options)
        for case in cases_for(bundle, arguments):
            figures = agreement(one, other, case.decode())
            say(f"{case.name}: {', '.join(f'{key} {value:.5f}' for key, value in figures.items())}")
            enough = 1.0 if bundle.specification.task == "detection" else ENOUGH
            worst = min(worst, *(value - enough for value in figures.values()))
    return int(worst < 0)


def _checksum(bundle: Bundle) -> str:
    path = bundle.folder / "weights.safetensors"
    content = path.read_bytes()
    return f"{len(content)} bytes, {hashlib.sha256(content).hexdigest()[:12]}"


if __name__ == "__main__":
    sys.exit(main())
