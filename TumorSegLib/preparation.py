"""From volumes to the network's input, slab by slab: axial slices, normalised, on its grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from TumorSegLib.errors import InputError
from TumorSegLib.grid import AxialView
from TumorSegLib.in_plane import MAXIMUM_SIZE, resize
from TumorSegLib.specification import Input
from TumorSegLib.volume import Volume


class PreparedVolume:
    """The axial slices of a volume and its further sequences as the network wants them.

    Nothing is computed until a slab is asked for, so memory does not grow with the number of
    slices.

    Attributes:
        view: the axial view of the volume's grid.
        count: number of axial slices.
        shape: rows and columns of a slice on the volume's own grid.
        network_shape: rows and columns of a slice on the network's grid.
        replaced: names of the channels that were missing and what stands in for them.
    """

    def __init__(self, volumes: Mapping[str, Volume], specification: Input) -> None:
        """Prepare `volumes`, by channel name, all on the grid of the first channel.

        Raises:
            InputError: a needed channel is missing, or one is unknown or lies on another grid.
        """
        self.specification = specification
        self.replaced: dict[str, str] = {}
        chosen = self._choose(volumes)
        grid = chosen[0].grid
        self.view = AxialView.of(grid)
        self._channels = [
            (
                self.view.apply(volume.voxels),
                specification.normalisation.fit(self.view.apply(volume.voxels)),
            )
            for volume in chosen
        ]
        self.count, *shape = self._channels[0][0].shape
        self.shape = (shape[0], shape[1])
        spacing = self.view.spacing_zyx
        self.network_shape = specification.in_plane.grid(self.shape, (spacing[1], spacing[2]))
        if max(self.network_shape) > MAXIMUM_SIZE:
            raise InputError(
                f"{chosen[0].name}: its slices of {self.shape[1]}x{self.shape[0]} pixels at spacing"
                f" {grid.spacing} mm would be {self.network_shape[1]}x{self.network_shape[0]} for"
                f" the network, expected at most {MAXIMUM_SIZE}; correct the spacing"
            )

    def _choose(self, volumes: Mapping[str, Volume]) -> list[Volume]:
        """Return a volume for each channel, with replacements noted."""
        channels = self.specification.channels
        names = [channel.name for channel in channels]
        if unknown := sorted(set(volumes) - set(names)):
            raise InputError(f"channel {unknown[0]}: the model takes {', '.join(names)}")
        chosen = []
        for channel in channels:
            source = channel.name
            while source not in volumes:
                replacement = next(c.replaced_by for c in channels if c.name == source)
                if replacement is None:
                    raise InputError(f"channel {channel.name}: missing, and the model needs it")
                source = replacement
            if source != channel.name:
                self.replaced[channel.name] = source
            chosen.append(volumes[source])
        for channel, volume in zip(channels, chosen, strict=True):
            if not volume.grid.same_as(chosen[0].grid):
                raise InputError(
                    f"channel {channel.name}: {volume.name} lies on another grid than"
                    f" {chosen[0].name}; resample it first"
                )
        return chosen

    def channels(self, start: int, stop: int) -> Tensor:
        """Return slices start..stop as float32 (n, channels, H, W) in [0, 1]; context is not in."""
        slab = torch.empty(stop - start, len(self._channels), *self.shape)
        for index, (voxels, intensity) in enumerate(self._channels):
            part = torch.from_numpy(np.ascontiguousarray(voxels[start:stop], dtype=np.float32))
            slab[:, index] = part.mul_(intensity.gain).add_(intensity.offset).clamp_(0, 1)
        return resize(slab, self.network_shape)

    def slab(self, start: int, stop: int) -> Tensor:
        """Return the network's input for slices start..stop, (n, network channels, H, W)."""
        context = self.specification.context
        first, last = max(0, start - context), min(self.count, stop + context)
        channels = self.channels(first, last)
        if context == 0:
            return channels
        return stack_context(channels, torch.arange(start - first, stop - first), context)


def stack_context(channels: Tensor, indices: Tensor, context: int) -> Tensor:
    """Gather slices with their neighbours: (n, C, H, W) -> (m, C * (2 * context + 1), H, W).

    Neighbours beyond the first and last slice are those slices themselves. Each channel's slices
    stand together, the lowest first.
    """
    offsets = torch.arange(-context, context + 1)
    neighbours = (indices[:, None] + offsets).clamp(0, len(channels) - 1)
    return channels[neighbours].transpose(1, 2).flatten(1, 2)
