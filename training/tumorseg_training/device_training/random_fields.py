"""Random numbers, fields and blurs in batches on the device where they are needed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def uniform(count: int, low: float, high: float, device: torch.device) -> Tensor:
    """Return (count,) numbers between `low` and `high`."""
    return torch.rand(count, device=device) * (high - low) + low


def chance(count: int, share: float, device: torch.device) -> Tensor:
    """Return bool (count,), true with probability `share`."""
    return torch.rand(count, device=device) < share


def chosen(count: int, share: float, device: torch.device) -> Tensor:
    """Return (count,), 1 with probability `share`, else 0."""
    return chance(count, share, device).float()


def smooth_fields(count: int, size: int, knots: int, device: torch.device) -> Tensor:
    """Return (count, size, size) smooth fields of normally distributed knots."""
    coarse = torch.randn(count, 1, knots, knots, device=device)
    return functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[:, 0]


def blurred(images: Tensor, sigma: Tensor, radius: int = 4) -> Tensor:
    """Return images (B, ..., h, w) after a Gaussian of (B, 2) pixels along rows and columns."""
    flat = images.flatten(1, -3) if images.ndim > 3 else images[:, None]
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.exp(-(offsets**2) / (2 * sigma[..., None] ** 2))
    weights = weights / weights.sum(-1, keepdim=True)
    count, channels = flat.shape[:2]
    planes = flat.reshape(1, count * channels, *flat.shape[-2:])
    for axis in (0, 1):
        shape = (-1, 1) if axis == 0 else (1, -1)
        kernel = weights[:, axis].repeat_interleave(channels, 0).view(count * channels, 1, *shape)
        padding = (radius, 0) if axis == 0 else (0, radius)
        planes = functional.conv2d(planes, kernel, padding=padding, groups=count * channels)
    return planes.view_as(images)
