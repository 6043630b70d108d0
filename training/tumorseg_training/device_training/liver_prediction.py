"""What a network finds in whole volumes, by the very steps that a user's run takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tumorseg_training.device_training.liver_pack import PackedVolume
from TumorSegLib.image.components import components_of
from TumorSegLib.inference.engine import Engine
from TumorSegLib.inference.labelmap import labelmap_from_probabilities
from TumorSegLib.inference.preparation import PreparedVolume, body_box, whole_slice
from TumorSegLib.model.specification import ModelSpecification

DETECTED_SHARE = 0.1


@dataclass(frozen=True)
class Figures:
    """How well a volume's structures were found, without any post-processing; nan: not there.

    Attributes:
        organ: Dice of the organ with its lesions.
        lesion: Dice of the lesions.
        lesions: components of the reference, of which so many were found.
        found: of them.
        false: components that meet none of the reference.
    """

    organ: float
    lesion: float
    lesions: int
    found: int
    false: int


def predict(
    network: nn.Module, volume: PackedVolume, model: ModelSpecification, device: torch.device
) -> NDArray[np.uint8]:
    """Return probabilities of 0 to 255 on the network's grid, (n, K, H, W).

    Args:
        network: in evaluation mode; it stays as it is.
        volume: to look at.
        model: whose input the network takes and whose labels it gives.
        device: where to run.
    """
    engine = Engine(
        [deepcopy(network)], torch.sigmoid, device=device, dtype=torch.float32, mirror=model.flips
    )
    channel = model.input.channels[0].name
    prepared = PreparedVolume({channel: volume.volume(model)}, model.input)
    box = body_box(prepared) if model.input.body_box else whole_slice(prepared)
    found = np.zeros((prepared.count, len(model.labels), *prepared.network_shape), np.uint8)
    size = engine.batch_size(prepared.network_shape)
    tuning = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False  # every volume has a size of its own
    try:
        for start in range(0, prepared.count, size):
            stop = min(start + size, prepared.count)
            cut = prepared.slab(np.arange(start, stop))[box.index]
            seen = cut.flatten(1).any(dim=1)
            if seen.any():
                probabilities = engine.probabilities(cut[seen])
                quantised = (probabilities * 255 + 0.5).clamp(0, 255).to(torch.uint8)
                found[start:stop][box.index][seen.numpy()] = quantised.cpu().numpy()
    finally:
        torch.backends.cudnn.benchmark = tuning
    return found


def measure(found: NDArray[np.uint8], volume: PackedVolume, model: ModelSpecification) -> Figures:
    """Compare probabilities (n, 2, H, W) with the reference."""
    thresholds = [label.threshold for label in model.labels]
    labelmap = labelmap_from_probabilities([found[:, 0], found[:, 1]], model.labels, thresholds)
    marked, reference = labelmap == 2, volume.masks == 2
    true, sizes = components_of(reference)
    hits = np.bincount(true[marked], minlength=len(sizes))
    detected = int((hits >= DETECTED_SHARE * sizes)[1:].sum())
    mine, own = components_of(marked)
    meeting = len(np.unique(mine[reference & marked]))
    return Figures(
        dice(labelmap > 0, volume.masks > 0),
        dice(marked, reference),
        len(sizes) - 1,
        detected,
        len(own) - 1 - meeting,
    )


def dice(found: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Return the Dice of two masks; nan where the reference is empty."""
    if not reference.any():
        return math.nan
    return float(2 * (found & reference).sum() / (found.sum() + reference.sum()))


def write_probabilities(
    folder: Path, name: str, found: Sequence[tuple[PackedVolume, NDArray[np.uint8]]], most: int
) -> list[Path]:
    """Write probabilities as compressed files `<name>-<k>.npz`, none of more than `most` bytes.

    A file has an array a volume, (n, K, H, W), under the volume's name; one that comes out too
    large is split, unless it holds a single volume.
    """
    paths: list[Path] = []
    waiting = [list(found)]
    while waiting:
        group = waiting.pop(0)
        if not group:
            continue
        path = folder / f"{name}-{len(paths)}.npz"
        arrays: dict[str, Any] = {volume.name: array for volume, array in group}
        np.savez_compressed(path, **arrays)
        if path.stat().st_size > most and len(group) > 1:
            waiting[:0] = [group[: len(group) // 2], group[len(group) // 2 :]]
        else:
            paths.append(path)
    return paths
