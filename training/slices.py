"""Cached slices as a PyTorch data set, drawn with a chosen share of foreground."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, WeightedRandomSampler

from training.slice_cache import CachedCase
from TumorSegLib.preparation import stack_context
from TumorSegLib.specification import Label

Transform = Callable[[dict[str, Tensor]], dict[str, Tensor]]


class Slices(Dataset[tuple[Tensor, Tensor]]):
    """Every slice of every case: the network's input (C, H, W) and its targets (K, H, W)."""

    def __init__(
        self,
        cases: Sequence[CachedCase],
        labels: Sequence[Label],
        *,
        context: int = 0,
        transform: Transform | None = None,
    ) -> None:
        self.cases = cases
        self.labels = labels
        self.context = context
        self.transform = transform
        self.index = [(case, z) for case in cases for z in range(len(case.masks))]
        self.foreground = np.concatenate([case.foreground for case in cases])

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        case, z = self.index[item]
        first, last = max(0, z - self.context), min(len(case.masks), z + self.context + 1)
        channels = torch.from_numpy(case.images[first:last].astype(np.float32) / 255)
        image = stack_context(channels, torch.tensor([z - first]), self.context)[0]
        data = {"image": image, "mask": torch.from_numpy(case.masks[z][None].astype(np.float32))}
        if self.transform is not None:
            data = self.transform(data)
        image = torch.as_tensor(data["image"]).clamp(0, 1)
        return image, targets(torch.as_tensor(data["mask"])[0], self.labels)

    def sampler(self, foreground_share: float, count: int, seed: int) -> WeightedRandomSampler:
        """Draw `count` slices an epoch, `foreground_share` of them with a structure on them."""
        positive = max(1, int(self.foreground.sum()))
        negative = max(1, len(self) - positive)
        weights = np.where(
            self.foreground, foreground_share / positive, (1 - foreground_share) / negative
        )
        generator = torch.Generator().manual_seed(seed)
        return WeightedRandomSampler(weights.tolist(), count, generator=generator)


class Patients(Dataset[tuple[Tensor, Tensor]]):
    """Every case whole: the network's inputs (n, C, H, W) and targets (n, K, H, W)."""

    def __init__(
        self, cases: Sequence[CachedCase], labels: Sequence[Label], *, context: int = 0
    ) -> None:
        self.parts = [Slices([case], labels, context=context) for case in cases]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        part = self.parts[item]
        slices, maps = zip(*(part[z] for z in range(len(part))), strict=True)
        return torch.stack(slices), torch.stack(maps)


def targets(mask: Tensor, labels: Sequence[Label]) -> Tensor:
    """Return one float map a label: (H, W) label values to (K, H, W); parts count as the whole."""
    maps = []
    for label in labels:
        whole = mask == label.value
        for part in label.includes:
            whole |= mask == part
        maps.append(whole)
    return torch.stack(maps).float()
