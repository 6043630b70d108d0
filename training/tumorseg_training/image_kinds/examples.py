"""Images whose kind is known, as they are and changed, by the numbers that tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tumorseg_training.case import Case, ReaderOptions
from tumorseg_training.image_kinds.changes import Image, changed, made_up_t2, without_skull
from tumorseg_training.readers import read_cases
from TumorSegLib.inference.image_features import (
    MIDDLE,
    SLICES,
    blocks_of,
    features_of,
    middle_slices,
)
from TumorSegLib.model.specification import Channel

SEQUENCES = ("flair", "t1", "t1c")
CHANGED, SINGLE = 8, 4
"""Changed examples of each image, and single slices of it without the skull."""
WINDOW = (-40.0, 160.0)
"""HU that the pictures of LiTS have been clipped to."""


@dataclass(frozen=True)
class Example:
    """An image by its numbers.

    Attributes:
        patient: whom it shows.
        kind: "flair", "t1", "t1c", "t2" or "ct".
        how: "whole", "coarse" or "stripped" (the skull taken off), with which is measured, or
            "changed".
        features: float32 (features,).
    """

    patient: str
    kind: str
    how: str
    features: NDArray[np.float32]


def head_examples(folder: Path) -> Iterator[Example]:
    """Yield examples of the patients of `kaggle_3m`; a sequence that FLAIR replaces is left out."""
    channels = tuple(Channel(name, name) for name in SEQUENCES)
    for case in read_cases(folder, "kaggle_3m", ReaderOptions(channels, (1,))).cases:
        volumes = case.decode().volumes
        flair = volumes["flair"].voxels
        mm = volumes["flair"].grid.spacing[0]
        images = {
            name: volume.voxels
            for name, volume in volumes.items()
            if name == "flair" or not np.array_equal(volume.voxels, flair)
        }
        rng = _generator(case)
        for kind, voxels in images.items():
            halved = blocks_of(voxels, 2, 2)
            draw = _drawn_from(halved)
            yield from _measured(case.patient, kind, voxels, mm)
            yield from _made(case.patient, kind, draw, 2 * mm, rng)
        if "t1" in images:
            t1, halved = blocks_of(images["t1"], 2, 2), blocks_of(flair, 2, 2)
            draw = _t2_from(t1, halved, 2 * mm)
            yield from _made(case.patient, "t2", draw, 2 * mm, rng)
            middle = made_up_t2(middle_slices(t1), middle_slices(halved), 2 * mm, rng)
            yield from _described(case.patient, "t2", "whole", middle, 2 * mm)


def ct_examples(folder: Path) -> Iterator[Example]:
    """Yield examples of CT volumes (`png_pairs`) clipped to a window, as they are and narrower."""
    reading = ReaderOptions(
        (Channel("ct", "CT"),), (1, 2), modality="CT", spacing=(1.1, 1.1, 2.0), window=WINDOW
    )
    for case in read_cases(folder, "png_pairs", reading).cases:
        volume = case.decode().volumes["ct"]
        slices, mm = volume.voxels.astype(np.float32), volume.grid.spacing[0]
        rng = _generator(case)
        yield from _described(case.patient, "ct", "whole", middle_slices(slices), mm)
        for _ in range(CHANGED):
            low = rng.uniform(WINDOW[0], 40)
            high = rng.uniform(low + 80, WINDOW[1])
            part = np.clip(_some(slices, rng), low, high)
            noise = rng.normal(0, rng.uniform(0, 15), part.shape)
            part = np.clip(part + noise, low, high)
            yield from _described(case.patient, "ct", "changed", part, mm * rng.uniform(0.8, 1.2))


Draw = Callable[[Generator, bool], Image]
"""Returns some slices, or a single one."""


def _measured(patient: str, kind: str, voxels: NDArray[np.uint8], mm: float) -> Iterator[Example]:
    """Yield an image as it is, and as coarse as the panel looks at it, for training, too."""
    yield from _described(patient, kind, "whole", middle_slices(voxels), mm)
    yield from _described(patient, kind, "coarse", middle_slices(voxels[:, ::2, ::2]), 2 * mm)


def _made(patient: str, kind: str, draw: Draw, mm: float, rng: Generator) -> Iterator[Example]:
    for _ in range(CHANGED):
        slices, size = changed(draw(rng, False), mm, rng)
        yield from _described(patient, kind, "changed", slices, size)
    for _ in range(SINGLE):
        slices, size = changed(draw(rng, True), mm, rng, skull=False)
        yield from _described(patient, kind, "changed", slices, size)
    stripped = without_skull(draw(rng, False), mm, rng)
    yield from _described(patient, kind, "stripped", stripped, mm)


def _described(
    patient: str, kind: str, how: str, slices: NDArray[np.generic], mm: float
) -> Iterator[Example]:
    found = features_of(slices, (mm, mm))
    if found is not None:
        yield Example(patient, kind, how, found)


def _drawn_from(slices: Image) -> Draw:
    return lambda rng, single: slices[_range(len(slices), rng, single)]


def _t2_from(t1: Image, flair: Image, mm: float) -> Draw:
    def draw(rng: Generator, single: bool) -> Image:
        some = _range(len(t1), rng, single)
        return made_up_t2(t1[some], flair[some], mm, rng)

    return draw


def _range(count: int, rng: Generator, single: bool) -> slice:
    """Return a range like that of `middle_slices`, somewhat displaced."""
    if single:
        place = int(rng.integers(int(count * 0.3), int(count * 0.8)))
        return slice(place, place + 1)
    low, high = (int(count * (part + rng.uniform(-0.1, 0.1))) for part in MIDDLE)
    every = -(-(high + 1 - low) // int(rng.integers(4, SLICES + 1)))
    return slice(low + every // 2, high + 1, every)


def _some(slices: Image, rng: Generator) -> Image:
    count = min(int(rng.integers(1, SLICES + 1)), len(slices))
    first = int(rng.integers(0, len(slices) - count + 1))
    return slices[first : first + count]


def _generator(case: Case) -> Generator:
    return np.random.default_rng(crc32(case.name.encode()))
