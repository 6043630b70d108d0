"""Random changes of cropped slices, a whole batch at once.

`tumorseg_training.lesion_augmentation` says why.

Images are (B, C, h, w) in [0, 1], channels being neighbouring slices; masks are bool (B, h, w).
The organ's mask includes its lesions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, pi

import torch
from torch import Tensor
from torch.nn import functional

from tumorseg_training.device_training.liver_geometry import random_pixels
from tumorseg_training.device_training.random_fields import chance, uniform

WINDOW_HU = 200.0
RADIUS_MM = (2.5, 60.0)
DARKER_HU = (-75.0, -12.0)
BRIGHTER_HU = (12.0, 50.0)
DARKER_SHARE = 0.85
RIM_HU = (4.0, 16.0)
RIM_SHARE = 0.15
CORE_HU = (-40.0, -5.0)
CORE_SHARE = 0.2
"""Lesions that are darker still in their middle."""
FLAT_SHARE = 0.7
"""Lesions through which no vessel goes."""
ABSENT_SHARE = 0.25
"""Neighbouring slices that a lesion does not reach."""
EDGE = (0.4, 2.0)
"""Widths in pixels of a painted lesion's border."""
MOST = 3
ROOM_MM2 = 400.0
WITHIN = (0.15, 0.92)
"""Levels between which an organ is moved."""
BLACK = 0.02
"""Level up to which pixels are below the window, or as good as."""
DARK, BRIGHT = 0.25, 0.85
"""Levels of an organ from which on lesions can only be brighter, or only darker."""


@dataclass
class Crops:
    """Cropped slices and what is known of them; the changes are made in place.

    Attributes:
        image: (B, C, h, w).
        organ: where the organ is, its lesions included.
        lesion: where its lesions are, as far as they are known.
        painted: where lesions were put, which are known in any case.
        pixel_mm: size of a pixel.
    """

    image: Tensor
    organ: Tensor
    lesion: Tensor
    painted: Tensor
    pixel_mm: float

    @property
    def has_room(self) -> Tensor:
        """Which slices show more of the organ than a snippet, (B,)."""
        return self.organ.flatten(1).sum(1) * self.pixel_mm**2 >= ROOM_MM2

    def organ_level(self) -> Tensor:
        """Return the median of the organ without lesions on the middle slices, (B,)."""
        middle = self.image[:, self.image.shape[1] // 2, ::2, ::2]
        free = (self.organ & ~self.lesion)[:, ::2, ::2]  # a quarter of the pixels tells it as well
        values = middle.masked_fill(~free, torch.nan).flatten(1)
        return values.nanmedian(dim=1).values.nan_to_num(0.5)


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Return a batch (B, C, h, w) blurred by a Gaussian of `sigma` pixels."""
    radius = ceil(2.5 * sigma)
    line = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (line / sigma) ** 2)
    kernel /= kernel.sum()
    planes = image.flatten(0, 1)[:, None]
    planes = functional.pad(planes, (radius, radius, radius, radius), mode="replicate")
    planes = functional.conv2d(planes, kernel.view(1, 1, -1, 1))
    planes = functional.conv2d(planes, kernel.view(1, 1, 1, -1))
    return planes.view(image.shape)


def smooth_noise(shape: tuple[int, int, int, int], cells: int, device: torch.device) -> Tensor:
    """Return normally distributed noise that varies over about a `cells`-th of a slice."""
    coarse = torch.randn(*shape[:2], cells + 2, cells + 2, device=device)
    fine = functional.interpolate(coarse, shape[2:], mode="bicubic", align_corners=True)
    return fine / fine.std().clamp(min=1e-6)


def shift_organ(crops: Crops, share: float, most_hu: float) -> None:
    """Change the organ's attenuation, its lesions' with it, as fat and contrast agent do.

    It stays within the window, and with it what its lesions are told by.
    """
    count, device = len(crops.image), crops.image.device
    level = crops.organ_level()
    shift = uniform(count, -most_hu, most_hu, device) / WINDOW_HU
    shift = (level + shift).clamp(*WITHIN) - level
    shift = shift * (chance(count, share, device) & (level > WITHIN[0]) & (level < WITHIN[1]))
    crops.image += per_slice(shift) * blurred(crops.organ[:, None].float(), 0.7)
    crops.image.clamp_(0, 1)


def transplant_lesions(crops: Crops, share: float) -> None:
    """Put real lesions of other slices of the batch into the organs of a part of the slices."""
    count, device = len(crops.image), crops.image.device
    level = crops.organ_level()
    donors = torch.randperm(count, device=device)
    seen, lesion = crops.image[donors], crops.lesion[donors]
    if torch.rand(()) < 0.5:
        seen, lesion = seen.flip(-1), lesion.flip(-1)
    if torch.rand(()) < 0.5:
        seen, lesion = seen.mT, lesion.mT
    source, given = random_pixels(lesion)
    target, taken = random_pixels(crops.organ & ~crops.lesion)
    active = chance(count, share, device) & given & taken & crops.has_room
    places, within = _moved(crops.organ.shape[1:], (target - source).long())
    put = lesion.flatten(1).gather(1, places).view(crops.lesion.shape) & within
    put = put & crops.organ & active[:, None, None]
    channels = places[:, None].expand(-1, seen.shape[1], -1)
    seen = seen.flatten(2).gather(2, channels).view(crops.image.shape)
    seen = seen + per_slice(level - level[donors])
    soft = (2 * blurred(put[:, None].float(), 0.8)).clamp(max=1) * crops.organ[:, None]
    crops.image += soft * (seen - crops.image)
    crops.image.clamp_(0, 1)
    crops.lesion |= put
    crops.painted |= put


def _moved(shape: torch.Size, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Return from which pixel (B, h * w) each is filled after a `shift` (B, 2), and where one is.

    Pixels that are filled from beyond the border are false in the second, bool (B, h, w).
    """
    rows, columns = shape
    y = torch.arange(rows, device=shift.device)[None, :, None] - shift[:, 0, None, None]
    x = torch.arange(columns, device=shift.device)[None, None, :] - shift[:, 1, None, None]
    within = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    places = y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1)
    return places.flatten(1), within


def paint_lesions(crops: Crops, share: float) -> None:
    """Paint up to `MOST` lesions into the organs of a part of the slices."""
    count, device = len(crops.image), crops.image.device
    level = crops.organ_level()
    wanted = chance(count, share, device) & crops.has_room
    number = torch.randint(1, MOST + 1, (count,), device=device)
    for index in range(MOST):
        _paint(crops, level, wanted & (number > index))


def _paint(crops: Crops, level: Tensor, active: Tensor) -> None:
    """Paint a lesion into each slice that is `active`; neighbours show it smaller or not at all."""
    count, channels = crops.image.shape[:2]
    device, middle = crops.image.device, channels // 2
    centre, free = random_pixels(crops.organ & ~crops.lesion)
    active = active & free
    radius = torch.exp(uniform(count, log(RADIUS_MM[0]), log(RADIUS_MM[1]), device))
    radius = radius / crops.pixel_mm
    distance = _distance(centre, radius, crops.organ.shape[1:])[:, None]
    size = torch.empty(count, channels, 1, 1, device=device).uniform_(0.6, 1.05)
    present = torch.rand(count, channels, 1, 1, device=device) >= ABSENT_SHARE
    size[:, middle], present[:, middle] = 1, True
    depth = (1 - distance / size) * per_slice(radius / uniform(count, *EDGE, device))
    rim = uniform(count, *RIM_HU, device) * chance(count, RIM_SHARE, device) / WINDOW_HU
    flat = per_slice(chance(count, FLAT_SHARE, device).float())
    change = _contrast(distance, level) + per_slice(rim) * torch.exp(-(depth**2) / 2)
    change = change + flat * (per_slice(level) - blurred(crops.image, 2.0))
    soft = torch.sigmoid(depth.clamp(-30, 30)) * crops.organ[:, None] * present
    crops.image += soft * change * per_slice(active.float())
    crops.image.clamp_(0, 1)
    put = crops.organ & (distance[:, 0] < 1) & active[:, None, None]
    crops.lesion |= put
    crops.painted |= put


def _contrast(distance: Tensor, level: Tensor) -> Tensor:
    """Return by how much lesions differ from the organ, (B, 1, h, w), 1 for the whole window.

    Args:
        distance: (B, 1, h, w) from the centre, 1 at the border.
        level: of the organ, (B,).
    """
    count, device = len(distance), distance.device
    darker = (chance(count, DARKER_SHARE, device) & (level > DARK)) | (level > BRIGHT)
    difference = torch.where(
        darker,
        uniform(count, *DARKER_HU, device),
        uniform(count, *BRIGHTER_HU, device),
    )
    grain = smooth_noise((count, 1, *distance.shape[2:]), 40, device)
    texture = grain * per_slice(uniform(count, 0, 0.35, device) * difference.abs())
    core = uniform(count, *CORE_HU, device) * chance(count, CORE_SHARE, device)
    within = torch.sigmoid((per_slice(uniform(count, 0.3, 0.7, device)) - distance) * 12)
    return (per_slice(difference) + texture + per_slice(core) * within) / WINDOW_HU


def _distance(centre: Tensor, radius: Tensor, shape: torch.Size) -> Tensor:
    """Return the distance from the centre over that of a lumpy ellipse's border, (B, h, w)."""
    count, device = len(centre), centre.device
    y = torch.arange(shape[0], device=device)[None, :, None] - centre[:, 0, None, None]
    x = torch.arange(shape[1], device=device)[None, None, :] - centre[:, 1, None, None]
    turn, ratio = uniform(count, 0, pi, device), uniform(count, 0.65, 1, device)
    cosine, sine = turn.cos()[:, None, None], turn.sin()[:, None, None]
    along, across = x * cosine + y * sine, (y * cosine - x * sine) / ratio[:, None, None]
    angle = torch.atan2(across, along)
    border = torch.ones_like(angle)
    for waves in (2, 3, 5):
        amplitude, phase = uniform(count, 0, 0.12, device), uniform(count, 0, 2 * pi, device)
        lumps = torch.cos(waves * angle + phase[:, None, None])
        border = border + amplitude[:, None, None] * lumps
    return torch.hypot(along, across) / (radius[:, None, None] * border)


def change_intensities(image: Tensor) -> Tensor:
    """Return a batch of images with other contrast, brightness, sharpness and noise.

    What lies below the window, air and fat, stays black.
    """
    count, device = len(image), image.device
    gain = 1 + uniform(count, -0.2, 0.2, device) * chance(count, 0.5, device)
    bias = uniform(count, -0.08, 0.08, device) * chance(count, 0.5, device)
    changed = (image - 0.5) * per_slice(gain) + 0.5 + per_slice(bias)
    image = torch.where(image > BLACK, changed, image).clamp(0, 1)
    gamma = 1 + uniform(count, -0.25, 0.25, device) * chance(count, 0.3, device)
    image = (image + 1e-6) ** per_slice(gamma)
    soft = uniform(count, 0, 1, device) * chance(count, 0.25, device)
    image = image + per_slice(soft) * (blurred(image, 1.2) - image)
    coarse = functional.interpolate(
        functional.avg_pool2d(image, 2, ceil_mode=True), image.shape[2:], mode="bilinear"
    )
    image = image + per_slice(chance(count, 0.08, device).float()) * (coarse - image)
    noise = torch.randn_like(image)
    grainy = per_slice(chance(count, 0.5, device))
    noise = torch.where(grainy, 2.5 * blurred(noise, 0.7), noise)
    strength = uniform(count, 0, 0.06, device) * chance(count, 0.3, device)
    return image + noise * per_slice(strength) * (image > BLACK)


def per_slice(values: Tensor) -> Tensor:
    """Return values (B,) that broadcast over (B, C, h, w)."""
    return values[:, None, None, None]
