"""Random crops of slices: turned, scaled, sheared and bent in one resampling of a whole batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tumorseg_training.device_training.random_fields import chance, uniform

ELASTIC_CELLS = 6


@dataclass(frozen=True)
class Geometry:
    """Ranges of the random changes.

    Attributes:
        rotate: radians to either side.
        scale: standard deviation of the logarithm of the size.
        shear: ratio to either side.
        elastic: largest displacement in pixels of the crop.
        elastic_share: of the slices that are bent.
        focus_share: of the slices whose crop is put where a pixel in focus lies in it.
    """

    rotate: float = 0.26
    scale: float = 0.12
    shear: float = 0.1
    elastic: float = 5.0
    elastic_share: float = 0.3
    focus_share: float = 0.6


def random_pixels(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return a random pixel of each mask (B, h, w) as (B, 2), row and column, and which have one.

    Where a mask is empty the pixel is any.
    """
    scores = torch.rand(masks.shape, device=masks.device).mul_(masks).flatten(1)
    score, place = scores.max(dim=1)
    width = masks.shape[-1]
    pixels = torch.stack([place.div(width, rounding_mode="floor"), place % width], dim=1)
    return pixels.float(), score > 0


def crop_centres(focus: Tensor, sizes: Tensor, crop: float, share: float) -> Tensor:
    """Return where on the canvas the crops' centres lie, (B, 2), rows and columns.

    Anywhere such that the crop lies within the slice; with probability `share` only where a random
    pixel in focus lies in it, too.

    Args:
        focus: bool (B, S, S).
        sizes: (B, 2) of the slices in the middle of the canvas.
        crop: rows and columns of the crop, in the canvas's pixels.
        share: of the crops that are put by the focus.
    """
    count, canvas = len(focus), focus.shape[-1]
    middle = (canvas - 1) / 2
    room = (sizes.float() - crop).clamp(min=0) / 2
    anywhere = middle + (torch.rand(count, 2, device=focus.device) * 2 - 1) * room
    pixels, there = random_pixels(focus)
    beside = pixels + (torch.rand(count, 2, device=focus.device) - 0.5) * 0.8 * crop
    beside = beside.minimum(middle + room).maximum(middle - room)
    by_focus = there & chance(count, share, focus.device)
    return torch.where(by_focus[:, None], beside, anywhere)


def sampling_grid(
    centres: Tensor, canvas: int, crop: int, ratio: float, geometry: Geometry
) -> Tensor:
    """Return where to sample, (B, crop, crop, 2), as `grid_sample` wants it (not aligned).

    Args:
        centres: (B, 2), on the canvas.
        canvas: its rows and columns.
        crop: rows and columns of the result.
        ratio: pixels of the canvas along one of the result.
        geometry: of the random changes.
    """
    count, device = len(centres), centres.device
    angle = uniform(count, -geometry.rotate, geometry.rotate, device)
    size = ratio * torch.exp(geometry.scale * torch.randn(count, device=device).clamp(-2, 2))
    shear = uniform(count, -geometry.shear, geometry.shear, device)
    cosine, sine = angle.cos() * size, angle.sin() * size
    rows = torch.stack([cosine, -sine + shear * cosine], dim=1)
    columns = torch.stack([sine, cosine + shear * sine], dim=1)
    matrix = torch.stack([rows, columns], dim=1)
    line = torch.arange(crop, device=device) - (crop - 1) / 2
    offsets = torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]
    bent = uniform(count, 0, geometry.elastic / 2, device)
    bent *= chance(count, geometry.elastic_share, device)
    coarse = torch.randn(count, 2, ELASTIC_CELLS, ELASTIC_CELLS, device=device)
    smooth = functional.interpolate(
        coarse * bent[:, None, None, None], (crop, crop), mode="bicubic", align_corners=True
    )
    moved = (matrix @ (offsets + smooth).flatten(2)).view(count, 2, crop, crop)
    places: Tensor = moved + centres[:, :, None, None]
    scaled = (places + 0.5) * (2 / canvas) - 1
    return scaled.flip(1).permute(0, 2, 3, 1)
