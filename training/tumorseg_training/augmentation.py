"""Random changes of training slices, image and mask together, by MONAI."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.data import set_track_meta
from monai.transforms import (
    Lambdad,
    MapTransform,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    Randomizable,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
    SpatialPadd,
)
from torch import Tensor

from tumorseg_training.config import Augmentation
from tumorseg_training.lesion_augmentation import PaintLesions, PaintMimics, ShiftOrgan
from TumorSegLib.model.specification import Input, ModelSpecification

BOTH = ("image", "mask")
MODES = ("bilinear", "nearest")


class RandomChanges:
    """Transforms applied one after the other, all drawing from one seeded source."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps
        self.random = np.random.RandomState()
        for step in steps:
            _share(step, self.random)

    def seed(self, seed: int) -> None:
        """Choose what the next call does. MONAI's own way, a source a transform, takes 2 ms."""
        self.random.seed(seed)

    def __call__(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the changed slice."""
        for step in self.steps:
            data = step(data)
        return data


def _share(transform: Any, random: np.random.RandomState) -> None:
    """Let a transform and those within it draw from `random`."""
    transform.R = random
    for part in vars(transform).values():
        if isinstance(part, Randomizable):
            _share(part, random)


def augmentation(config: Augmentation, model: ModelSpecification, rows: int) -> RandomChanges:
    """Return the changes of {"image": (C, H, W) in [0, 1], "mask": (1, H, W)}.

    Raises:
        InputError: an organ is to change, and the model has none.
    """
    set_track_meta(False)  # slices carry no geometry here; tracking it doubles the time a slice
    depth = 2 * model.input.context + 1
    steps = [*_geometric(config, rows), *_crop(config), *_intensity(config, depth)]
    if config.drop_channels:
        steps.insert(0, DropChannels(model.input, config.drop_channels))
    if config.lesions:
        steps.insert(0, PaintLesions(model, config.lesions))
    if config.mimics:
        steps.insert(0, PaintMimics(model, config.mimics))
    if config.organ_shift:
        steps.insert(0, ShiftOrgan(model, 1 / 3, config.organ_shift))
    return RandomChanges(steps)


def _geometric(config: Augmentation, rows: int) -> list[Any]:
    steps: list[Any] = []
    if config.flip:
        steps.append(RandFlipd(BOTH, prob=0.5, spatial_axis=1))
    if config.rotate or config.scale or config.shear or config.shift:
        steps.append(
            RandAffined(
                BOTH,
                prob=0.8,
                rotate_range=float(np.radians(config.rotate)),
                scale_range=(config.scale, config.scale),
                shear_range=(config.shear, config.shear),
                translate_range=(config.shift * rows, config.shift * rows),
                mode=MODES,
                padding_mode="zeros",
            )
        )
    if config.elastic:
        grid = rows / 8
        steps.append(
            Rand2DElasticd(
                BOTH,
                spacing=(grid, grid),
                magnitude_range=(0, config.elastic * rows),
                prob=0.2,
                mode=MODES,
                padding_mode="zeros",
            )
        )
    return steps


def _crop(config: Augmentation) -> list[Any]:
    if not config.crop:
        return []
    size = (config.crop, config.crop)
    return [SpatialPadd(BOTH, size), RandSpatialCropd(BOTH, size, random_size=False)]


def _intensity(config: Augmentation, depth: int) -> list[Any]:
    """Return changes of brightness; each sequence has `depth` slices, which change alike."""
    steps: list[Any] = []
    if config.gain:
        steps.append(RandScaleIntensityd("image", config.gain, prob=0.5, channel_wise=True))
    if config.bias:
        steps.append(RandShiftIntensityd("image", config.bias, prob=0.5, channel_wise=True))
    if steps and depth > 1:
        by_sequence = partial(torch.unflatten, dim=0, sizes=(-1, depth))
        by_slice = partial(torch.flatten, start_dim=0, end_dim=1)
        steps = [Lambdad("image", by_sequence), *steps, Lambdad("image", by_slice)]
    if config.gamma:
        gamma = (1 - config.gamma, 1 + config.gamma)
        steps.append(RandAdjustContrastd("image", prob=0.3, gamma=gamma))
    if config.bias_field:
        steps.append(RandBiasFieldd("image", prob=0.2, coeff_range=(0, config.bias_field)))
    if config.blur:
        sigma = (0.25, config.blur)
        steps.append(RandGaussianSmoothd("image", prob=0.15, sigma_x=sigma, sigma_y=sigma))
    if config.noise:
        steps.append(RandGaussianNoised("image", prob=0.15, std=config.noise))
    return steps


class DropChannels(MapTransform, Randomizable):
    """Replace each replaceable sequence, as inference does where it is missing.

    With probability `prob` all replaceable sequences go together, with the same probability each
    by itself.
    """

    def __init__(self, specification: Input, prob: float) -> None:
        super().__init__("image")
        self.specification = specification
        self.depth = 2 * specification.context + 1
        self.replaceable = [
            channel.name for channel in specification.channels if channel.replaced_by is not None
        ]
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with "image" changed."""
        result = dict(data)
        everything = self.R.random() < self.prob
        gone = [name for name in self.replaceable if everything or self.R.random() < self.prob]
        if gone:
            names = [channel.name for channel in self.specification.channels]
            given = [name for name in names if name not in gone]
            sources = [self.specification.stand_in(name, given) for name in names]
            image = result["image"].unflatten(0, (-1, self.depth))
            order = [names.index(source) for source in sources if source is not None]
            result["image"] = image[order].flatten(0, 1)
        return result
