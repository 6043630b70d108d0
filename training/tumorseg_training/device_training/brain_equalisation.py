"""`TumorSegLib.image.normalisation.HistogramEqualisation` for many 8-bit slices at once.

A slice's histogram is kept by regions from the scalp inwards, and the histograms of consecutive
slices can be added. So a batch on the GPU gets the ranks that its heads would have without the
skull, with brighter fat, or cut to a few slices, without looking at the heads again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tumorseg_training.device_training.brain_mask import DEPTH_STEPS, OUTLINE
from tumorseg_training.device_training.brain_pack import Heads

VALUES = 256
LEVELS = (-1.5, 0.5, 2.5)
"""Depths in the brain, in its pixels, between the regions; at each the skull may come off."""

STEPS = 4
"""Of a curve between two neighbouring values."""


class Histograms:
    """Histograms of all slices, by sequence and region, of which any range can be had."""

    def __init__(self, heads: Heads, chunk: int = 64) -> None:
        """Count the values of all slices, on the device where they are."""
        regions = len(LEVELS) + 1
        count, sequences = heads.images.shape[:2]
        shape = (sequences, regions, VALUES)
        counts = [torch.zeros(1, *shape, dtype=torch.int64, device=heads.images.device)]
        for start in range(0, count, chunk):
            images = heads.images[start : start + chunk].long()
            depth = enlarged(heads.depth[start : start + chunk], images.shape[-1])
            region = torch.bucketize(depth, depth.new_tensor(LEVELS))
            place = torch.arange(len(images), device=images.device)[:, None, None, None]
            sequence = torch.arange(sequences, device=images.device)[:, None, None]
            index = (place * sequences + sequence) * regions + region[:, None]
            bins = len(images) * sequences * regions * VALUES
            found = torch.bincount((index * VALUES + images).ravel(), minlength=bins)
            counts.append(found.view(-1, *shape))
        self._cumulative = torch.cat(counts).cumsum(0)

    def between(self, first: Tensor, stop: Tensor) -> Tensor:
        """Return (B, sequences, regions, values) of the slices first..stop, (B,) each."""
        return (self._cumulative[stop] - self._cumulative[first]).float()


def enlarged(depth: Tensor, size: int) -> Tensor:
    """Return stored depths (n, h, w) as pixels inside the outline, (n, size, size)."""
    inside = (depth[:, None].float() - OUTLINE) / DEPTH_STEPS
    return torch.nn.functional.interpolate(inside, (size, size), mode="bilinear")[:, 0]


def curves(histogram: Tensor) -> Tensor:
    """Return each value's rank (..., values) among what exceeds the histogram's mean."""
    values = torch.arange(VALUES, device=histogram.device, dtype=histogram.dtype)
    total = histogram.sum(-1, keepdim=True).clamp(min=1)
    foreground = values > (histogram * values).sum(-1, keepdim=True) / total
    counted = histogram * foreground
    darker = counted.cumsum(-1) - counted / 2
    return foreground * darker / counted.sum(-1, keepdim=True).clamp(min=1)


def apply_curves(images: Tensor, curve: Tensor) -> Tensor:
    """Return images (B, D, C, H, W), 0 to 255, not always whole, bent by curves (B, C, values)."""
    fine = torch.nn.functional.interpolate(
        curve, (VALUES - 1) * STEPS + 1, mode="linear", align_corners=True
    )
    index = (images * STEPS + 0.5).long().clamp_(0, fine.shape[-1] - 1)
    every, depth, channels = index.shape[:3]
    table = fine[:, None].expand(every, depth, channels, -1)
    return table.gather(3, index.flatten(3)).view_as(images)
