"""Images painted from label volumes on the device.

`tumorseg_training.synthesis` does it on the CPU.

Every draw gets attenuations, textures and noise of its own, so that no image is shown twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from tumorseg_training.device_training.liver_changes import Crops, blurred, per_slice, smooth_noise
from tumorseg_training.device_training.liver_pack import LESION_BIT, ORGAN_BIT
from tumorseg_training.device_training.random_fields import chance, uniform
from tumorseg_training.synthesis import AIR_HU, LIVER, LIVER_TISSUE, OTHER_TISSUE, TISSUES, Tissue
from TumorSegLib.image.normalisation import Window

BODY = "skin"
TUMOUR = "livertumor"
CYST = "livercyst"
PORTAL_VEIN = "portalvein"

FAT_HU, SOFT_HU, SKIN_HU, GAS_HU = (-120.0, -80.0), (30.0, 75.0), (-20.0, 40.0), (-980.0, -700.0)
FAT_MM = (4.0, 30.0)
SKIN_MM = 2.0
GAS_DEPTH_MM = 35.0
NOISE_HU = (3.0, 20.0)
"""Less than a scanner's, as pixels of 1.5 mm are means of several."""


class TissuePainter:
    """Paints images of tissue maps.

    Attributes:
        names: of the tissues by number; 0 is outside the body.
    """

    def __init__(self, names: Sequence[str], window: Window, device: torch.device) -> None:
        self.names = list(names)
        self.window = window
        kinds = [_kind(name) for name in names]
        self.low = torch.tensor([kind.low for kind in kinds], device=device)
        self.high = torch.tensor([kind.high for kind in kinds], device=device)
        self.texture = torch.tensor([kind.texture for kind in kinds], device=device)

    def paint(self, masks: Tensor, depth_mm: Tensor, pixel_mm: float) -> Crops:
        """Return images of label volumes' masks as random scanners would see them.

        Args:
            masks: int64 (B, C, h, w), numbers of tissues with `ORGAN_BIT` and `LESION_BIT`.
            depth_mm: (B, C, h, w), below the skin.
            pixel_mm: size of a pixel.
        """
        count, channels, rows, columns = masks.shape
        device = masks.device
        tissues = masks & (LESION_BIT - 1)
        flat = tissues.flatten(1)
        image = self._attenuations(count).gather(1, flat).view(tissues.shape)
        strength = self.texture * uniform(count, 0.3, 1, device)[:, None]
        cells = int(torch.randint(12, 40, ()))
        texture = smooth_noise((count, 1, rows, columns), cells, device)
        texture = texture + 0.3 * smooth_noise((count, channels, rows, columns), cells, device)
        image = image + strength.gather(1, flat).view(tissues.shape) * texture
        image = torch.where(tissues == self.names.index(BODY), _body(depth_mm), image)
        image = _scanned(torch.where(tissues == 0, AIR_HU, image))
        low, high = self.window.low, self.window.high
        middle = masks[:, channels // 2]
        lesion = (middle & LESION_BIT) > 0
        return Crops(
            image=((image - low) / (high - low)).clamp(0, 1),
            organ=(middle & ORGAN_BIT) > 0,
            lesion=lesion,
            painted=torch.zeros_like(lesion),
            pixel_mm=pixel_mm,
        )

    def _attenuations(self, count: int) -> Tensor:
        """Return HU by tissue, (count, tissues)."""
        device = self.low.device
        random = torch.rand(count, len(self.names), device=device)
        hu = self.low + random * (self.high - self.low)
        liver = hu[:, self.names.index(LIVER)]
        difference = torch.where(
            chance(count, 0.85, device),
            uniform(count, -75, -12, device),
            uniform(count, 12, 50, device),
        )
        special = {
            TUMOUR: (liver + difference).clamp(min=5),
            CYST: uniform(count, -5, 20, device),
            PORTAL_VEIN: liver + uniform(count, -15, 90, device),
        }
        for name, values in special.items():
            if name in self.names:
                hu[:, self.names.index(name)] = values
        return hu


def _kind(name: str) -> Tissue:
    if name == LIVER:
        return LIVER_TISSUE
    return next((kind for kind in TISSUES if fnmatchcase(name, kind.pattern)), OTHER_TISSUE)


def _body(depth_mm: Tensor) -> Tensor:
    """Return HU of what lies between the organs: fat under the skin and within, soft tissue."""
    count, device = len(depth_mm), depth_mm.device
    shape = (count, 1, *depth_mm.shape[2:])
    fat, soft, skin, gas = (
        per_slice(uniform(count, *limits, device)) for limits in (FAT_HU, SOFT_HU, SKIN_HU, GAS_HU)
    )
    uneven = (1 + 0.3 * smooth_noise(shape, 4, device)).clamp(0.3, 2)
    thickness = per_slice(uniform(count, *FAT_MM, device)) * uneven
    blobs = smooth_noise(shape, int(torch.randint(14, 36, ())), device)
    fatty = (depth_mm < thickness) | (blobs > per_slice(uniform(count, -0.3, 1, device)))
    inner = torch.where(fatty, fat, soft) + 8 * smooth_noise(shape, 48, device)
    bubbles = smooth_noise(shape, 18, device) > per_slice(uniform(count, 1.9, 3, device))
    inner = torch.where(bubbles & (depth_mm > GAS_DEPTH_MM), gas, inner)
    return torch.where(depth_mm < SKIN_MM, skin, inner)


def _scanned(image: Tensor) -> Tensor:
    """Return images in HU with a scanner's blur and noise."""
    count, device = len(image), image.device
    soft = per_slice(uniform(count, 0.2, 1, device))
    image = image + soft * (blurred(image, 0.7) - image)
    noise = torch.randn_like(image)
    grain = per_slice(uniform(count, 0, 1, device))
    noise = noise + grain * (2.2 * blurred(noise, 0.7) - noise)
    return image + noise * per_slice(uniform(count, *NOISE_HU, device))
