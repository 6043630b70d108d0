"""Lesions that no patient of the set has: painted, hollowed out, or taken from another patient.

Lower-grade gliomas of a few dozen patients are seldom small, faint or at the cortex, and never
necrotic. Painted ones are; and a lesion of one patient in the brain of another is a new neighbour
for both. Most slices stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tumorseg_training.device_training.brain_pack import Heads
from tumorseg_training.device_training.random_fields import blurred, chosen, smooth_fields, uniform

PAINTED_SHARE, PASTED_SHARE, HOLLOW_SHARE = 0.08, 0.1, 0.1
FIELD_MM = 230.0
"""Width of the slices, roughly."""
RADIUS_MM = (4.0, 26.0)
BRIGHTER = (0.1, 0.45)
"""On FLAIR, in ranks; on the others as much darker at the most."""
RING_SHARE, RING = 0.3, (0.15, 0.5)
CORTEX_SHARE, CORTEX = 0.5, 5.0
"""Lesions near the brain's surface, and what is near, in pixels of depth."""
ABSENT_SHARE = 0.25
"""Lesions that a neighbouring slice does not show."""
HOLLOW = (0.05, 0.7)
"""Ranks of what is hollow on FLAIR."""
FLATTENED = 0.25
"""Part of a tumour's own texture that is left where it is hollow."""
OEDEMA = 0.7
TURN, RESIZED = math.radians(40), math.log(1.4)


@dataclass
class Changes:
    """Slices (B, D, C, h, w), masks (B, 1, h, w), depths, and which slices get a lesion pasted."""

    images: Tensor
    masks: Tensor
    depth: Tensor
    paste: slice


class Painter:
    """Paints on batches of which the first slices show tumours."""

    def __init__(self, heads: Heads) -> None:
        """Find the middle of the tumour on each slice."""
        masks = heads.masks
        ramp = torch.arange(masks.shape[-1], device=masks.device, dtype=torch.float32)
        ramp = (ramp + 0.5) / masks.shape[-1] - 0.5
        rows, columns = masks.sum(2).float(), masks.sum(1).float()
        area = rows.sum(1).clamp(min=1)
        self.centres = torch.stack([columns @ ramp / area, rows @ ramp / area], -1)

    @staticmethod
    def pasted(count: int) -> int:
        """Return into how many slices of a batch lesions are pasted."""
        return round(PASTED_SHARE * count)

    @staticmethod
    def roomy(count: int) -> int:
        """Return how many slices after those with tumours should show plenty of brain."""
        return Painter.pasted(count) - Painter.pasted(count) // 2 + round(PAINTED_SHARE * count)

    def paint(
        self, images: Tensor, depth: Tensor, masks: Tensor, step: Tensor, tumours: int
    ) -> Changes:
        """Hollow out some tumours and paint lesions on some slices without, the first of these.

        Args:
            images: ranks (B, D, C, h, w), FLAIR first; changed in place.
            depth: (B, D, h, w), pixels inside the brain.
            masks: (B, 1, h, w).
            step: (B,) between a slice and its neighbours; 0: they are the slice itself.
            tumours: how many slices, the first, show a tumour.
        """
        count = len(images)
        hollow = slice(0, min(tumours, round(HOLLOW_SHARE * count)))
        pasted = self.pasted(count)
        begin = min(max(0, tumours - pasted // 2), count - pasted)
        painted = slice(begin + pasted, min(count, begin + pasted + round(PAINTED_SHARE * count)))
        changes = Changes(images, masks, depth, slice(begin, begin + pasted))
        if hollow.stop > hollow.start:
            _hollow(changes, hollow)
        if painted.stop > painted.start:
            _paint(changes, painted, step[painted])
        return changes

    def placed(
        self, sources: Tensor, paste: slice, depth: Tensor, size: int, crop: int, step: Tensor
    ) -> Tensor | None:
        """Return where to sample the source slices so that their lesions come to lie in brains."""
        inside = depth[paste, depth.shape[1] // 2]
        if len(inside) == 0:
            return None
        count, device = len(inside), depth.device
        places = _places(inside).flip(-1) - (crop - 1) / 2
        angle = uniform(count, -TURN, TURN, device)
        scale = uniform(count, -RESIZED, RESIZED, device).exp()
        mirror = 1 - 2 * chosen(count, 0.5, device)
        sine, cosine = angle.sin() * scale, angle.cos() * scale
        matrix = torch.stack([cosine * mirror, -sine * mirror, sine, cosine], -1).view(-1, 2, 2)
        ramp = torch.arange(crop, device=device) - (crop - 1) / 2
        y, x = torch.meshgrid(ramp, ramp, indexing="ij")
        points = torch.stack([x, y], -1).view(1, -1, 2) - places[:, None]
        points = points @ matrix.transpose(1, 2) + self.centres[sources, None] * size
        return (points * (2 / size)).view(count, crop, crop, 2)

    def paste(self, changes: Changes, lesions: Tensor, outlines: Tensor) -> None:
        """Blend lesions (n, D, C, h, w) within outlines (n, D, h, w), fitted to the brain there."""
        part = changes.paste
        images, brain = changes.images[part], (changes.depth[part] > 0).float()
        sigma = torch.full((len(images), 2), 1.2, device=images.device)
        soft = (blurred(outlines, sigma) * brain)[:, :, None]
        middle = images.shape[1] // 2
        wide = (blurred(outlines[:, middle], 3 * sigma) * (1 - outlines[:, middle]))[:, None]
        under = soft[:, middle]
        there = (images[:, middle] * under).sum((2, 3)) / under.sum((2, 3)).clamp(min=1e-3)
        around = (lesions[:, middle] * wide).sum((2, 3)) / wide.sum((2, 3)).clamp(min=1e-3)
        fitted = lesions + 0.5 * (there - around)[:, None, :, None, None]
        changes.images[part] = images * (1 - soft) + fitted.clamp(0, 1) * soft
        mask = outlines[:, middle, None] * brain[:, middle, None]
        changes.masks[part] = torch.maximum(changes.masks[part], mask)


def _places(inside: Tensor) -> Tensor:
    """Return a random pixel (n, 2) of each brain (n, h, w), often near its surface."""
    near = chosen(len(inside), CORTEX_SHARE, inside.device)
    limit = (CORTEX + (1 - near) * 1e3)[:, None, None]
    score = torch.rand_like(inside) * ((inside > 0) & (inside < limit))
    place = score.flatten(1).argmax(1)
    return torch.stack([place // inside.shape[-1], place % inside.shape[-1]], -1).float()


def _distance(count: int, places: Tensor, radius: Tensor, size: int) -> Tensor:
    """Return distances from places over those of lumpy ellipses' borders, (n, size, size)."""
    ramp = torch.arange(size, device=places.device)
    dy = ramp[:, None] - places[:, :1, None]
    dx = ramp - places[:, 1:, None]
    turn = uniform(count, 0, math.pi, places.device)[:, None, None]
    ratio = uniform(count, 0.6, 1, places.device)[:, None, None]
    along = dx * turn.cos() + dy * turn.sin()
    across = (dy * turn.cos() - dx * turn.sin()) / ratio
    angle = torch.atan2(across, along)
    border = torch.ones_like(angle)
    for waves in (2, 3, 5):
        depth = uniform(count, 0, 0.14, places.device)[:, None, None]
        phase = uniform(count, 0, 2 * math.pi, places.device)[:, None, None]
        border += depth * torch.cos(waves * angle + phase)
    return torch.hypot(along, across) / (radius[:, None, None] * border)


def _paint(changes: Changes, part: slice, step: Tensor) -> None:
    """Paint a lesion that is brighter than the brain on FLAIR, darker on the others."""
    images, depth = changes.images[part], changes.depth[part]
    count, deep, channels, size = images.shape[:4]
    device, middle = images.device, deep // 2
    low, high = (math.log(mm * size / FIELD_MM) for mm in RADIUS_MM)
    radius = uniform(count, low, high, device).exp()
    distance = _distance(count, _places(depth[:, middle]), radius, size)
    texture = 1 + 0.3 * smooth_fields(count, size, 24, device)
    bright = uniform(count, *BRIGHTER, device)
    dark = -bright[:, None] * torch.rand(count, channels - 1, device=device)
    change = torch.cat([bright[:, None], dark], 1)[:, :, None, None] * texture[:, None]
    ring = chosen(count, RING_SHARE, device) * uniform(count, *RING, device)
    sharpness = (radius / uniform(count, 0.7, 2.0, device))[:, None, None]
    for index in range(deep):
        moved = (step > 0).float() * (index != middle)
        grown = 1 + moved * (uniform(count, 0.5, 1.05, device) - 1)
        there = 1 - moved * chosen(count, ABSENT_SHARE, device)
        inward = (1 - distance / grown[:, None, None]) * sharpness
        soft = torch.sigmoid(2 * inward) * (depth[:, index] > 0) * there[:, None, None]
        images[:, index] += soft[:, None] * change
        edge = torch.exp(-(inward**2) / 2) * soft * ring[:, None, None]
        images[:, index, -1] += edge
    images.clamp_(0, 1)
    mask = ((distance < 1) & (depth[:, middle] > 0)).float()
    changes.masks[part] = torch.maximum(changes.masks[part], mask[:, None])


def _hollow(changes: Changes, part: slice) -> None:
    """Brighten tumours on FLAIR, and make their middles dark, with a bright ring after contrast."""
    images, mask = changes.images[part], changes.masks[part, 0]
    count, device, size = len(images), images.device, images.shape[-1]
    pixels = uniform(2 * count, 1.5, 3.0, device).view(count, 2) * size / 192
    within = blurred(mask, pixels)
    rough = 0.12 * smooth_fields(count, size, 20, device)
    level = uniform(count, 0.7, 0.95, device)[:, None, None]
    core = torch.sigmoid((within + rough - level) * 14)
    oedema = (uniform(count, 0, OEDEMA, device)[:, None, None] * within)[:, None]
    ring = 4 * core * (1 - core) * uniform(count, *RING, device)[:, None, None]
    values = uniform(count * images.shape[2], *HOLLOW, device).view(count, -1, 1, 1, 1)
    values = values.transpose(1, 2).clone()
    values[:, :, 1:] *= 0.6
    images[:, :, 0] += oedema * (1 - images[:, :, 0])
    soft = core[:, None, None]
    hollow = values.view(count, 1, -1, 1, 1) + FLATTENED * (images - 0.5)
    images.copy_(images * (1 - soft) + hollow * soft)
    images[:, :, -1] += ring[:, None]
    images.clamp_(0, 1)
