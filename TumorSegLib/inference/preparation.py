"""From volumes to the network's input, slab by slab: axial slices, normalised, on its grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, SliceIndices
from TumorSegLib.image.in_plane import MAXIMUM_SIZE, FieldOfView, resize
from TumorSegLib.image.normalisation import IntensityTransform, Window, with_plain_air
from TumorSegLib.image.volume import Volume
from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.inference.head_field import HeadField, small_head
from TumorSegLib.model.specification import Input, Label
from TumorSegLib.support.arrays import tensor_from_array

CPU = torch.device("cpu")


class PreparedVolume:
    """The axial slices of a volume and its further sequences as the network wants them.

    Nothing is computed until a slab is asked for, so memory does not grow with the number of
    slices.

    Attributes:
        view: the axial view of the volume's grid.
        count: number of axial slices.
        shape: rows and columns of a slice on the volume's own grid.
        network_shape: rows and columns of a slice on the network's grid.
        head: the part of the slices that the network sees, where an MRI's head is small in them.
        replaced: names of the channels that were missing and what stands in for them.
    """

    def __init__(self, volumes: Mapping[str, Volume], specification: Input) -> None:
        """Prepare `volumes`, by channel name, all on the grid of the first channel.

        Raises:
            InputError: a needed channel is missing, or one is unknown or lies on another grid.
        """
        self.specification = specification
        self.replaced: dict[str, str] = {}
        inputs = self._choose(volumes)
        grid = inputs[0].grid
        self.view = AxialView.of(grid)
        views = [self.view.apply(volume.voxels) for volume in inputs]
        spacing = self.view.spacing_zyx[1:]
        self.head: HeadField | None = None
        if not isinstance(specification.normalisation, Window):
            views = [with_plain_air(view) for view in views]
            if isinstance(specification.in_plane, FieldOfView):
                self.head = small_head(views[0], spacing)
        fitted = views if self.head is None else [view[self.head.box] for view in views]
        self._channels = [
            (view, specification.normalisation.fit(part))
            for view, part in zip(views, fitted, strict=True)
        ]
        self.count, *shape = self._channels[0][0].shape
        self.shape = (shape[0], shape[1])
        self.network_shape = self._network_shape(spacing)
        if max(self.network_shape) > MAXIMUM_SIZE:
            raise InputError(
                f"{inputs[0].name}: its slices of {self.shape[1]}x{self.shape[0]} pixels at spacing"
                f" {grid.spacing} mm would be {self.network_shape[1]}x{self.network_shape[0]} for"
                f" the network, expected at most {MAXIMUM_SIZE}; correct the spacing"
            )

    def _network_shape(self, spacing: tuple[float, float]) -> tuple[int, int]:
        in_plane = self.specification.in_plane
        if self.head is not None and isinstance(in_plane, FieldOfView):
            return in_plane.grid(self.shape, spacing, self.head.side_mm)
        return in_plane.grid(self.shape, spacing)

    def _choose(self, volumes: Mapping[str, Volume]) -> list[Volume]:
        """Return a volume for each channel, with replacements noted."""
        channels = self.specification.channels
        names = [channel.name for channel in channels]
        if unknown := sorted(set(volumes) - set(names)):
            raise InputError(f"channel {unknown[0]}: the model takes {', '.join(names)}")
        inputs = []
        for channel in channels:
            source = self.specification.stand_in(channel.name, volumes)
            if source is None:
                raise InputError(f"channel {channel.name}: missing, and the model needs it")
            if source != channel.name:
                self.replaced[channel.name] = source
            inputs.append(volumes[source])
        for channel, volume in zip(channels, inputs, strict=True):
            if not volume.grid.geometry_equal(inputs[0].grid):
                raise InputError(
                    f"channel {channel.name}: {volume.name} lies on another grid than"
                    f" {inputs[0].name}; resample it first"
                )
        return inputs

    @property
    def first_channel(self) -> tuple[NDArray[Any], IntensityTransform]:
        """Return the first channel's voxels in axial order, and what normalises them."""
        return self._channels[0]

    def channels(self, slices: SliceIndices, device: torch.device = CPU) -> Tensor:
        """Return `slices` as float32 (n, channels, H, W) in [0, 1]; context is not in.

        They lie on `device`; on a GPU they are also normalised and resampled there.
        """
        slab = torch.empty(len(slices), len(self._channels), *self.shape, device=device)
        for index, (voxels, intensity) in enumerate(self._channels):
            part = on_device(voxels[slices], device)
            slab[:, index] = part.mul_(intensity.gain).add_(intensity.offset).clamp_(0, 1)
        resized = resize(slab, self.network_shape)
        for index, (_, intensity) in enumerate(self._channels):
            if intensity.curve is not None:
                resized[:, index] = intensity.bent_tensor(resized[:, index])
        return resized

    def beyond(
        self, slices: SliceIndices, labels: Sequence[Label]
    ) -> list[NDArray[np.bool_] | None]:
        """Return for each label (n, h, w): where its intensities do not admit it; None: nowhere.

        The slices are on the volume's own grid; the first channel's intensities count.
        """
        if all(label.intensities is None for label in labels):
            return [None] * len(labels)
        voxels = self._channels[0][0][slices]
        return [
            None
            if label.intensities is None
            else (voxels < label.intensities[0]) | (voxels > label.intensities[1])
            for label in labels
        ]

    def occupied(self) -> NDArray[np.bool_]:
        """Return (h, w): where any slice of any channel exceeds air on the volume's own grid."""
        occupied = np.zeros(self.shape, np.bool_)
        for voxels, intensity in self._channels:
            if intensity.gain > 0:
                air = -intensity.offset / intensity.gain
                for start in range(0, self.count, 16):
                    occupied |= (voxels[start : start + 16] > air).any(axis=0)
        return occupied

    def slab(self, slices: SliceIndices, device: torch.device = CPU) -> Tensor:
        """Return the network's input for `slices`, (n, network channels, H, W)."""
        context = self.specification.context
        if context == 0:
            return self.channels(slices, device)
        neighbours = _neighbours(slices, self.count, context)
        needed, places = np.unique(neighbours, return_inverse=True)
        return _stacked(self.channels(needed, device), places.reshape(neighbours.shape))


def admitted(probabilities: Tensor, beyond: Sequence[NDArray[np.bool_] | None]) -> Tensor:
    """Return probabilities (n, K, H, W), 0 where a label's are `beyond` its intensities.

    On the network's grid: a pixel is beyond them where most of what it covers is.
    """
    if all(one is None for one in beyond):
        return probabilities
    parts = []
    for part, outside in zip(probabilities.unbind(1), beyond, strict=True):
        if outside is not None:
            share = resize(tensor_from_array(outside).float(), (part.shape[1], part.shape[2]))
            part = part.masked_fill(share.to(part.device) > 0.5, 0)
        parts.append(part)
    return torch.stack(parts, dim=1)


def on_device(voxels: NDArray[Any], device: torch.device) -> Tensor:
    """Return `voxels`, which nobody else holds, as float32 on `device`.

    8 and 16-bit integers travel as they are.
    """
    if device.type == "cpu" or voxels.dtype not in (np.uint8, np.int8, np.int16):
        return tensor_from_array(np.ascontiguousarray(voxels, np.float32)).to(device)
    return tensor_from_array(np.ascontiguousarray(voxels)).to(device).float()


def stack_context(channels: Tensor, slices: SliceIndices, context: int) -> Tensor:
    """Gather slices with their neighbours: (n, C, H, W) -> (m, C * (2 * context + 1), H, W).

    Neighbours beyond the first and last slice are those slices themselves. Each channel's slices
    stand together, the lowest first.
    """
    return _stacked(channels, _neighbours(slices, len(channels), context))


def _neighbours(slices: SliceIndices, count: int, context: int) -> SliceIndices:
    """Return (m, 2 * context + 1) indices of slices and of those beside them."""
    offsets = np.arange(-context, context + 1)
    neighbours: SliceIndices = np.clip(slices[:, None] + offsets, 0, count - 1)
    return neighbours


def _stacked(channels: Tensor, places: SliceIndices) -> Tensor:
    return channels[tensor_from_array(places)].transpose(1, 2).flatten(1, 2)


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, rows and columns half-open."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def index(self) -> tuple[EllipsisType, slice, slice]:
        """Index that cuts the box out of (..., H, W)."""
        return (..., slice(*self.rows), slice(*self.columns))


def whole_slice(prepared: PreparedVolume) -> Box:
    """Return the box that cuts nothing off."""
    return Box((0, prepared.network_shape[0]), (0, prepared.network_shape[1]))


def field_of_view(prepared: PreparedVolume) -> Box:
    """Return the box that a network sees: whole slices, or the surroundings of a small head."""
    in_plane = prepared.specification.in_plane
    if prepared.head is None or not isinstance(in_plane, FieldOfView):
        return whole_slice(prepared)
    spans = []
    parts = zip(prepared.head.box[1:], prepared.shape, prepared.network_shape, strict=True)
    for part, source, target in parts:
        size = min(in_plane.size, target)
        middle = (part.start + part.stop) / 2 * target / source
        start = min(max(0, round(middle - size / 2)), target - size)
        spans.append((start, start + size))
    return Box(spans[0], spans[1])


def body_box(prepared: PreparedVolume, *, margin: int = 32, multiple: int = 32) -> Box:
    """Return the box on the network's grid outside which every slice is air.

    Air is what normalisation turns into 0, the value with which networks pad, so that a crop
    differs from the whole slice only by what the network makes of the distance to the border:
    hence `margin` pixels around, and sides that are multiples of `multiple` (the deepest stride).
    """
    body = bounding_box(prepared.occupied())
    if body is None:
        return Box((0, 0), (0, 0))
    spans = []
    for part, source, target in zip(body, prepared.shape, prepared.network_shape, strict=True):
        scale = target / source
        start = max(0, int(part.start * scale) - margin)
        stop = min(target, int(np.ceil(part.stop * scale)) + margin)
        size = min(target, -(-(stop - start) // multiple) * multiple)
        start = min(start, target - size)
        spans.append((start, start + size))
    return Box(spans[0], spans[1])
