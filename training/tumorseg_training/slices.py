"""Cached slices as a PyTorch data set."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tumorseg_training.oblique import oblique_slice
from tumorseg_training.sampling import Draw
from tumorseg_training.slice_cache import CachedCase
from TumorSegLib.image.normalisation import Window
from TumorSegLib.inference.preparation import stack_context
from TumorSegLib.model.specification import ModelSpecification

NOT_COUNTED = -1.0
"""Stands in masks where no label's intensities admit the pixel, in targets where none is known."""


class Transform(Protocol):
    """Random changes of {"image": (C, H, W), "mask": (1, H, W)} that a seed repeats."""

    def __call__(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the changed slice."""

    def seed(self, seed: int) -> None:
        """Choose what the next call does."""


class Slices(Dataset[tuple[Tensor, Tensor]]):
    """Every slice of every case: the network's input (C, H, W) and its targets.

    Indices are plain for the slices as they are, and `Draw`s for randomly changed ones. With
    `within_intensities` pixels that no label's `intensities` admit belong to no class.
    """

    def __init__(
        self,
        cases: Sequence[CachedCase],
        model: ModelSpecification,
        *,
        transform: Transform | None = None,
        oblique_degrees: float = 0.0,
        oblique_share: float = 0.0,
        context_step: int = 0,
        within_intensities: bool = False,
    ) -> None:
        self.cases = cases
        self.model = model
        self.context = model.input.context
        self.transform = transform
        self.oblique_radians = float(np.radians(oblique_degrees))
        self.oblique_share = oblique_share
        self.context_step = context_step
        self.within_intensities = within_intensities
        self.index = [(case, z) for case in cases for z in range(len(case.masks))]
        self.foreground = np.concatenate([case.foreground for case in cases])

    def __len__(self) -> int:
        return len(self.index)

    @property
    def cases_of_slices(self) -> NDArray[np.intp]:
        """The number of the case that each slice is of."""
        return np.repeat(np.arange(len(self.cases)), [len(case.masks) for case in self.cases])

    def shows(self) -> NDArray[np.bool_]:
        """Return (slices, labels): which slices show which structures; reads every mask."""
        shown = []
        for case in self.cases:
            found = [np.isin(case.masks, label.whole).any((1, 2)) for label in self.model.labels]
            shown.append(np.stack(found, axis=1))
        return np.concatenate(shown)

    def __getitem__(self, item: int | Draw) -> tuple[Tensor, Tensor]:
        image, mask = self.slice(item)
        case, _ = self.index[item if isinstance(item, int) else item.place]
        return image, targets(mask[0], self.model, case.annotated)

    def slice(self, item: int | Draw) -> tuple[Tensor, Tensor]:
        """Return the network's input (C, H, W) and the label values (1, H, W)."""
        if isinstance(item, int):
            image, mask = self._axial(*self.index[item], step=1)
            return image, self._marked(image, mask)
        case, z = self.index[item.place]
        generator = np.random.default_rng(item.seed)
        if generator.random() < self.oblique_share:
            limit = self.oblique_radians
            tilt = (generator.uniform(-limit, limit), generator.uniform(-limit, limit))
            image, mask = oblique_slice(case, z, tilt, self.context)
        else:
            apart = self.context_step > 0 and generator.random() < 0.5
            step = int(generator.integers(self.context_step, endpoint=True)) if apart else 1
            image, mask = self._axial(case, z, step)
        mask = self._marked(image, mask)
        if self.transform is not None:
            self.transform.seed(item.seed)
            data = self.transform({"image": image, "mask": mask})
            image, mask = torch.as_tensor(data["image"]), torch.as_tensor(data["mask"])
        return image.clamp(0, 1), mask

    def _marked(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the mask with the pixels marked that do not count, by the slice's intensities."""
        window = self.model.input.normalisation
        if not self.within_intensities or not isinstance(window, Window):
            return mask
        pixels = image[self.context] * (window.high - window.low) + window.low
        counted = torch.zeros_like(pixels, dtype=torch.bool)
        for label in self.model.labels:
            if label.intensities is not None:
                counted |= (pixels >= label.intensities[0]) & (pixels <= label.intensities[1])
        return mask.where(counted, NOT_COUNTED)

    def _axial(self, case: CachedCase, z: int, step: int) -> tuple[Tensor, Tensor]:
        """Return slice `z` with neighbours that lie `step` slices apart; 0: with itself."""
        offsets = step * np.arange(-self.context, self.context + 1)
        places = np.clip(z + offsets, 0, len(case.masks) - 1)
        channels = torch.from_numpy(case.images[places].astype(np.float32) / 255)
        image = stack_context(channels, np.array([self.context]), self.context)[0]
        return image, torch.from_numpy(case.masks[z][None].astype(np.float32))


class Patients(Dataset[tuple[int, Tensor, Tensor]]):
    """Every case whole: its index, the network's inputs (n, C, H, W) and its targets (n, ...)."""

    def __init__(
        self, cases: Sequence[CachedCase], model: ModelSpecification, within_intensities: bool
    ) -> None:
        self.parts = [
            Slices([case], model, within_intensities=within_intensities) for case in cases
        ]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        part = self.parts[item]
        slices, maps = zip(*(part[z] for z in range(len(part))), strict=True)
        return item, torch.stack(slices), torch.stack(maps)


def targets(
    mask: Tensor, model: ModelSpecification, annotated: Collection[int] | None = None
) -> Tensor:
    """Return what the network should answer for label values (H, W).

    Sigmoid: one float map a label (K, H, W), 1 on the structure and on the parts it includes; where
    a label is not among the `annotated` values, `NOT_COUNTED` where its pixels may be.
    Softmax: one map a class (K + 1, H, W), background first; every pixel belongs to one, but for
    those that do not count, which belong to none.
    Detection: (K,), 1 where the slice shows the structure or a part of it.
    """
    if model.activation == "softmax" and model.task == "segmentation":
        values = torch.tensor([0, *(label.value for label in model.labels)])
        return (mask == values[:, None, None]).float()
    maps = []
    for label in model.labels:
        whole = mask == label.value
        for part in label.includes:
            whole |= mask == part
        maps.append(whole)
    stacked = torch.stack(maps)
    if model.task == "detection":
        return stacked.any(dim=(1, 2)).float()
    answers = stacked.float()
    if annotated is None:
        return answers
    for answer, label in zip(answers, model.labels, strict=True):
        if label.value in annotated:
            continue
        holders = [
            holder.value
            for holder in model.labels
            if label.value in holder.includes and holder.value in annotated
        ]
        may_be = torch.isin(mask, mask.new_tensor(holders)) if holders else answer == 0
        answer[may_be] = NOT_COUNTED
    return answers
