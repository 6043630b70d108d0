"""Slices of many volumes as one tensor on the device, each in the middle of a common canvas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tumorseg_training.device_training.liver_pack import PackedVolume


class SliceStore:
    """Slices of volumes on a canvas of air.

    Attributes:
        volumes: whose slices these are.
        volume_of: (N,), the number of the volume that a slice is of, in memory, not on the device.
        canvas: S, its rows and columns, a multiple of 16.
        images: uint8 (N, S, S); of label volumes empty.
        masks: uint8 (N, S, S), label values or numbers of tissues.
        first: (N,), place of the lowest slice of the same volume.
        last: (N,), place of its highest slice; single slices have no neighbours.
        sizes: (N, 2), rows and columns of the slice itself.
    """

    def __init__(self, volumes: Sequence[PackedVolume], device: torch.device) -> None:
        self.volumes = volumes
        counts = [len(volume.masks) for volume in volumes]
        largest = max(max(volume.masks.shape[1:]) for volume in volumes)
        self.canvas = -(-largest // 16) * 16
        self.volume_of = np.repeat(np.arange(len(volumes)), counts)
        self.images = self._placed([volume.images for volume in volumes]).to(device)
        self.masks = self._placed([volume.masks for volume in volumes]).to(device)
        ends = np.cumsum(counts)
        places = np.arange(len(self.volume_of))
        single = np.array([volume.kind == "organ_only" for volume in volumes])[self.volume_of]
        first = np.where(single, places, (ends - counts)[self.volume_of])
        last = np.where(single, places, ends[self.volume_of] - 1)
        self.first, self.last = torch.tensor(first).to(device), torch.tensor(last).to(device)
        sizes = np.array([volume.masks.shape[1:] for volume in volumes])[self.volume_of]
        self.sizes = torch.tensor(sizes).to(device)

    def _placed(self, stacks: Sequence[NDArray[np.uint8]]) -> Tensor:
        placed = np.zeros((sum(len(stack) for stack in stacks), self.canvas, self.canvas), np.uint8)
        start = 0
        for stack in stacks:
            rows, columns = stack.shape[1:]
            top, left = (self.canvas - rows) // 2, (self.canvas - columns) // 2
            part = placed[start : start + len(stack)]
            part[:, top : top + rows, left : left + columns] = stack
            start += len(stack)
        return torch.from_numpy(placed)

    def around(self, places: Tensor, offsets: Tensor) -> Tensor:
        """Return the places (B, C) of slices that lie `offsets` (B, C) from `places` (B,)."""
        wanted = places[:, None] + offsets
        first, last = self.first[places][:, None], self.last[places][:, None]
        return wanted.maximum(first).minimum(last)

    def shows(self, condition: Callable[[Tensor], Tensor]) -> NDArray[np.bool_]:
        """Return which slices hold a pixel of whose mask `condition` is true, (N,)."""
        parts = torch.split(self.masks, 256)
        found = [condition(part).flatten(1).any(1).cpu() for part in parts]
        return np.asarray(torch.cat(found).numpy())


def skin_depth(masks: Tensor, most: int) -> Tensor:
    """Return how many pixels lie between each pixel and the outside, uint8, up to `most`.

    Args:
        masks: uint8 (N, S, S), 0 outside the body.
        most: at which counting ends.
    """
    depth = torch.zeros_like(masks)
    for start in range(0, len(masks), 256):
        left = (masks[start : start + 256] > 0)[:, None].float()
        for step in range(most):
            depth[start : start + 256] += left[:, 0].to(torch.uint8)
            if step % 3 == 2:  # a diagonal step now and then: an octagon is nearly a circle
                left = -torch.nn.functional.max_pool2d(-left, 3, 1, 1)
            else:
                rows = -torch.nn.functional.max_pool2d(-left, (3, 1), 1, (1, 0))
                left = rows.minimum(-torch.nn.functional.max_pool2d(-left, (1, 3), 1, (0, 1)))
    return depth
