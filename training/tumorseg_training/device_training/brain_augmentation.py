"""Random changes of brain slices in batches on the GPU, from values of files to a network's input.

What changes ranks comes before the ranks: the skull taken off, brighter or darker fat, a few slices
for a whole head, other fields of view. Every change is drawn for each slice by itself. Nothing here
waits for the GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tumorseg_training.device_training.brain_equalisation import (
    LEVELS,
    Histograms,
    apply_curves,
    curves,
    enlarged,
)
from tumorseg_training.device_training.brain_lesions import Painter
from tumorseg_training.device_training.brain_pack import Heads
from tumorseg_training.device_training.random_fields import blurred, chosen, smooth_fields, uniform
from TumorSegLib.image.in_plane import resize

ROTATE = math.radians(20)
SCALE = math.log(1.25)
SHEAR = 0.1
SHIFT = 0.06
AFFINE_SHARE = 0.85
ELASTIC_SHARE, ELASTIC = 0.25, 0.025
BIAS_SHARE, BIAS = 0.3, 0.25
FAT_SHARE, FAT = 0.25, (math.log(0.3), math.log(2.5))
STRIPPED_SHARE = 0.3
SLAB_SHARE, STRIPPED_SLAB_SHARE = 0.15, 0.5
"""Heads ranked by a few slices only, as where only these are given."""
AIR_SHARE, AIR = 0.3, (math.log(0.3), math.log(2.0))
BLUR_SHARE, BLUR = 0.2, (0.3, 1.6)
GAIN_SHARE, GAIN, SHIFT_BY = 0.5, 0.25, 0.1
GAMMA_SHARE, GAMMA = 0.3, math.log(1.5)
NOISE_SHARE, NOISE = 0.2, 0.04
FLAIR_ALONE_SHARE, MISSING_SHARE = 0.5, 0.12
STEP_SHARES = (0.25, 0.55, 0.2)
"""Of neighbours that are the slice itself, the next slices, and those beyond."""
RESIZED_AT_ONCE = 64


@dataclass(frozen=True)
class Resized:
    """All slices on one grid, (N, C, s, s) and (N, s, s): uint8; depths: pixels, float16."""

    images: Tensor
    masks: Tensor
    depth: Tensor


class Augmenter:
    """Draws training batches; everything it needs lies on one device."""

    def __init__(self, heads: Heads, sizes: list[int], context: int) -> None:
        """Resize all slices to `sizes`, as inference does, and count their values."""
        self.device = heads.images.device
        self.context = context
        self.sizes = {size: _resized(heads, size) for size in dict.fromkeys(sizes)}
        self.histograms = Histograms(heads)
        starts = torch.tensor(heads.starts, device=self.device)
        head = torch.repeat_interleave(starts.diff())
        self.first, self.stop = starts[head], starts[head + 1]
        self.painter = Painter(heads)
        self._steps = torch.tensor(STEP_SHARES, device=self.device)
        self._levels = torch.tensor(LEVELS, device=self.device)

    def batch(
        self, slices: Tensor, sources: Tensor, size: int, crop: int, tumours: int
    ) -> tuple[Tensor, Tensor]:
        """Return the network's input (B, C, crop, crop) and targets (B, 1, crop, crop).

        Args:
            slices: (B,) to change; the first `tumours` of them show a tumour.
            sources: (n,) slices whose lesions may be pasted into some of the others.
            size: of the grid.
            crop: of what is cut out of it.
            tumours: how many show one.
        """
        data, count = self.sizes[size], len(slices)
        step = torch.multinomial(self._steps, count, replacement=True)
        stack = self._neighbours(slices, step)
        grid = random_grids(count, size, crop, self.device)
        images, depth, masks = _sampled(data, stack, grid)
        histogram, images = self._changed(slices, images, depth)
        shown = apply_curves(images, curves(histogram))
        changes = self.painter.paint(shown, depth, masks, step, tumours)
        pasted = self.painter.placed(sources, changes.paste, depth, size, crop, step)
        if pasted is not None:
            source = self._neighbours(sources, step[changes.paste])
            lesion, _, outline = _sampled(data, source, pasted, all_masks=True)
            ranks = curves(self._whole(sources))
            self.painter.paste(changes, apply_curves(lesion, ranks), outline)
        shown = _intensities(changes.images)
        shown = _without_sequences(shown)
        inputs = shown.transpose(1, 2).flatten(1, 2).clamp(0, 1)
        return inputs, (changes.masks > 0.5).float()

    def _neighbours(self, slices: Tensor, step: Tensor) -> Tensor:
        """Return (B, D) slices with their neighbours, which end with the head."""
        offsets = torch.arange(-self.context, self.context + 1, device=self.device)
        found = slices[:, None] + step[:, None] * offsets
        last = self.stop[slices, None] - 1
        return torch.minimum(torch.maximum(found, self.first[slices, None]), last)

    def _whole(self, slices: Tensor) -> Tensor:
        """Return the histograms (B, C, values) of the slices' heads."""
        return self.histograms.between(self.first[slices], self.stop[slices]).sum(2)

    def _changed(self, slices: Tensor, images: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Return histograms (B, C, values) and images (B, D, C, h, w), changed alike."""
        count = len(slices)
        stripped = chosen(count, STRIPPED_SHARE, self.device)
        slab = torch.where(
            stripped > 0,
            chosen(count, STRIPPED_SLAB_SHARE, self.device),
            chosen(count, SLAB_SHARE, self.device),
        )
        first, stop = self._range(slices, slab)
        histogram = self.histograms.between(first, stop)
        fat = uniform(count, *FAT, self.device).exp()
        fat = torch.where(chosen(count, FAT_SHARE, self.device) > 0, fat, torch.ones_like(fat))
        histogram = _with_fat(histogram, fat)
        level = torch.randint(len(LEVELS), (count,), device=self.device)
        histogram = _without_skull(histogram, level, stripped > 0)
        air = uniform(count, *AIR, self.device).exp()
        air = torch.where(chosen(count, AIR_SHARE, self.device) > 0, air, torch.ones_like(air))
        histogram[..., 0] *= air[:, None]

        outside = (LEVELS[0] - depth).clamp(0, 1)[:, :, None]
        images = images * (1 + outside * (fat.view(-1, 1, 1, 1, 1) - 1))
        cut = self._levels[level].view(-1, 1, 1, 1)
        kept = ((depth - cut) * 2 + 0.5).clamp(0, 1)
        kept = torch.where(stripped.view(-1, 1, 1, 1) > 0, kept, torch.ones_like(kept))
        images = _shaded(images.clamp(max=255) * kept[:, :, None])
        return histogram, _softened(images)

    def _range(self, slices: Tensor, slab: Tensor) -> tuple[Tensor, Tensor]:
        """Return first and last slice by which to rank: all of the head, or a part of it."""
        first, stop = self.first[slices], self.stop[slices]
        length = (stop - first).float()
        kept = torch.exp(torch.rand_like(length) * length.log()).round().clamp(min=1)
        before = (torch.rand_like(kept) * kept).long()
        begin = torch.maximum(slices - before, first)
        end = torch.minimum(begin + kept.long(), stop)
        end = torch.maximum(end, slices + 1)
        return torch.where(slab > 0, begin, first), torch.where(slab > 0, end, stop)


def random_grids(count: int, size: int, crop: int, device: torch.device) -> Tensor:
    """Return where to sample slices of `size` for crops, (count, crop, crop, 2), from -1 to 1."""
    half = (size - crop) / 2 + SHIFT * size
    centre = uniform(2 * count, -half, half, device).view(count, 2)
    matrix = random_matrices(count, device)
    ramp = torch.arange(crop, device=device) - (crop - 1) / 2
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    points = torch.stack([x, y], -1).view(1, -1, 2) + centre[:, None]
    points = points @ matrix.transpose(1, 2)
    moved = smooth_fields(2 * count, crop, 5, device).view(count, 2, -1).transpose(1, 2)
    bent = chosen(count, ELASTIC_SHARE, device) * uniform(count, 0, ELASTIC * size, device)
    points = points + moved * bent[:, None, None]
    return (points * (2 / size)).view(count, crop, crop, 2)


def random_matrices(count: int, device: torch.device) -> Tensor:
    """Return random turns, scales, shears and mirrorings (count, 2, 2); some only mirror."""
    changed = chosen(count, AFFINE_SHARE, device)
    angle = uniform(count, -ROTATE, ROTATE, device) * changed
    scale = (uniform(count, -SCALE, SCALE, device) * changed).exp()
    shear = uniform(count, -SHEAR, SHEAR, device) * changed
    mirror = 1 - 2 * chosen(count, 0.5, device)
    sine, cosine = angle.sin() * scale, angle.cos() * scale
    first = torch.stack([cosine, sine * 0 + shear * scale - sine], -1)
    second = torch.stack([sine, cosine], -1)
    matrix = torch.stack([first, second], 1)
    return matrix * torch.stack([mirror, torch.ones_like(mirror)], -1)[:, :, None]


def _resized(heads: Heads, size: int) -> Resized:
    parts = []
    for start in range(0, len(heads.images), RESIZED_AT_ONCE):
        part = slice(start, start + RESIZED_AT_ONCE)
        images = resize(heads.images[part].float(), (size, size)).round().to(torch.uint8)
        masks = resize(heads.masks[part].float(), (size, size)) >= 0.5
        parts.append((images, masks.to(torch.uint8), enlarged(heads.depth[part], size).half()))
    images, masks, depth = (torch.cat(found) for found in zip(*parts, strict=True))
    return Resized(images, masks, depth)


def _sampled(
    data: Resized, stack: Tensor, grid: Tensor, *, all_masks: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return images (B, D, C, h, w), depth (B, D, h, w) and masks (B, 1 or D, h, w) at `grid`."""
    deep = stack.shape[1]
    images = data.images[stack].flatten(1, 2).float()
    inside = data.depth[stack].float() + 100  # beyond the slice it is 0: far outside
    wanted = stack if all_masks else stack[:, deep // 2, None]
    everything = torch.cat([images, inside, data.masks[wanted].float()], 1)
    found = functional.grid_sample(everything, grid, align_corners=False)
    channels = images.shape[1]
    images = found[:, :channels].reshape(len(found), deep, -1, *found.shape[-2:])
    return images, found[:, channels : channels + deep] - 100, found[:, channels + deep :]


def _with_fat(histogram: Tensor, fat: Tensor) -> Tensor:
    """Return histograms (B, C, R, V) whose outermost region is brighter by a factor."""
    values = torch.arange(histogram.shape[-1], device=histogram.device)
    moved = (values * fat[:, None]).clamp(max=255).round().long()
    index = moved[:, None].expand(-1, histogram.shape[1], -1)
    outside = torch.zeros_like(histogram[:, :, 0]).scatter_add_(-1, index, histogram[:, :, 0])
    return torch.cat([outside[:, :, None], histogram[:, :, 1:]], 2)


def _without_skull(histogram: Tensor, level: Tensor, stripped: Tensor) -> Tensor:
    """Return (B, C, V) of (B, C, R, V); of heads stripped at a level what lies outside is 0."""
    regions = torch.arange(histogram.shape[2], device=histogram.device)
    kept = (regions > level[:, None]) | ~stripped[:, None]
    inside = (histogram * kept[:, None, :, None]).sum(2)
    inside[..., 0] += (histogram * ~kept[:, None, :, None]).sum((2, 3))
    return inside


def _shaded(images: Tensor) -> Tensor:
    """Return images (B, D, C, h, w), some in the uneven field of a coil."""
    count, _, channels = images.shape[:3]
    fields = smooth_fields(count * channels, images.shape[-1], 3, images.device)
    strength = chosen(count, BIAS_SHARE, images.device) * uniform(count, 0, BIAS, images.device)
    shade = fields.view(count, 1, channels, *images.shape[-2:]) * strength.view(-1, 1, 1, 1, 1)
    return images * shade.exp()


def _softened(images: Tensor) -> Tensor:
    """Return images of which a part is blurred, as by coarser pixels, along either axis or both."""
    some = max(1, round(BLUR_SHARE * len(images)))
    part = torch.randint(len(images) - some + 1, (1,)).item()
    chosen_ones = slice(int(part), int(part) + some)
    sigma = uniform(2 * some, *BLUR, images.device).view(some, 2)
    images[chosen_ones] = blurred(images[chosen_ones], sigma)
    return images


def _intensities(shown: Tensor) -> Tensor:
    """Return ranks (B, D, C, h, w) with other gains, offsets, curves and noise by sequence."""
    count, _, channels = shown.shape[:3]
    both = count * channels

    def each(share: float, low: float, high: float) -> Tensor:
        drawn = uniform(both, low, high, shown.device) * chosen(both, share, shown.device)
        return drawn.view(count, 1, channels, 1, 1)

    shown = shown.clamp(0, 1) ** each(GAMMA_SHARE, -GAMMA, GAMMA).exp()
    shown = shown * (1 + each(GAIN_SHARE, -GAIN, GAIN)) + each(GAIN_SHARE, -SHIFT_BY, SHIFT_BY) * (
        shown > 0
    )
    return shown + torch.randn_like(shown) * each(NOISE_SHARE, 0, NOISE)


def _without_sequences(shown: Tensor) -> Tensor:
    """Return (B, D, C, h, w) with FLAIR in place of all other sequences, or of one, in some."""
    count, _, channels = shown.shape[:3]
    everything = chosen(count, FLAIR_ALONE_SHARE, shown.device)[:, None]
    one = chosen(count * (channels - 1), MISSING_SHARE, shown.device).view(count, -1)
    missing = torch.maximum(everything.expand_as(one), one)
    missing = functional.pad(missing, (1, 0)).view(count, 1, channels, 1, 1)
    return torch.where(missing > 0, shown[:, :, :1], shown)
