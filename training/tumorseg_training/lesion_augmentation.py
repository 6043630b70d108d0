"""Changes of an organ in real slices: lesions painted into it, mimics beside it, its attenuation.

A network that has seen two dozen patients' tumours knows two dozen patients' contrasts. Lesions of
any size, shape and attenuation painted into the same livers teach what a lesion is: something in
the organ, about as noisy, that differs from it (Hu et al. 2023, "Label-free liver tumor
segmentation", arXiv 2303.14869; here slice by slice).

What lies against an organ and sinks into its outline, a gallbladder or a loop of bowel, looks like
a lesion at its border. Painted there as background, it teaches that lesions lie in the outline.

Fat in the liver and the phase of the contrast agent change an organ's attenuation and leave its
neighbours alone, which no change of the whole slice imitates.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform, Randomizable
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.errors import InputError
from TumorSegLib.image.in_plane import PixelSpacing
from TumorSegLib.image.normalisation import Window
from TumorSegLib.model.specification import ModelSpecification

Image = NDArray[np.float32]

RADIUS_MM = (2.5, 60.0)
DARKER_HU = (-75.0, -12.0)
BRIGHTER_HU = (12.0, 50.0)
DARKER_SHARE = 0.85
RIM_HU = (4.0, 16.0)
RIM_SHARE = 0.15
FLAT_SHARE = 0.7
"""Lesions through which no vessel goes."""
ABSENT_SHARE = 0.25
"""Neighbouring slices that a lesion does not reach."""
MIMIC_RADIUS_MM = (4.0, 35.0)
FLUID_HU = (-5.0, 55.0)
CONTRAST_HU = (100.0, 200.0)
FLUID_SHARE = 0.8
MOST = 3
ROOM_MM2 = 400.0
"""Organs cut to less than this are left alone."""


class OrganChange(MapTransform, Randomizable):
    """A random change of the organ in {"image": (C, H, W), "mask": (1, H, W)}.

    The organ is the label that includes another, the lesion the first that it includes. Channels
    are neighbouring slices.
    """

    def __init__(self, model: ModelSpecification, prob: float) -> None:
        """Change slices with probability `prob`.

        Raises:
            InputError: no label includes another, or pixels or intensities have no units.
        """
        super().__init__(("image", "mask"))
        organ = next((label for label in model.labels if label.includes), None)
        if organ is None:
            raise InputError("augmentation: no label includes another, so there is no organ")
        spacing, window = model.input.in_plane, model.input.normalisation
        if not isinstance(spacing, PixelSpacing) or not isinstance(window, Window):
            raise InputError(
                "augmentation: changes of an organ need in_plane of kind spacing and normalisation"
                " window"
            )
        self.organ, self.lesion = organ.value, organ.includes[0]
        self.pixel_mm = spacing.spacing_mm
        self.low, self.hu = window.low, 1 / (window.high - window.low)
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with "image" and "mask" changed."""
        result = dict(data)
        if self.R.random() >= self.prob:
            return result
        image, mask = result["image"].numpy().copy(), result["mask"].numpy().copy()
        if (mask == self.organ).sum() * self.pixel_mm**2 < ROOM_MM2:
            return result
        self.change(image, mask[0])
        np.clip(image, 0, 1, out=image)
        return {**result, "image": torch.from_numpy(image), "mask": torch.from_numpy(mask)}

    def change(self, image: Image, mask: Image) -> None:
        """Change image (C, H, W) and mask (H, W) in place."""
        raise NotImplementedError

    def distance(self, dy: NDArray[Any], dx: NDArray[Any], radius: float) -> NDArray[np.float64]:
        """Return the distance from the centre over that of a lumpy ellipse's border."""
        turn, ratio = self.R.uniform(0, np.pi), self.R.uniform(0.65, 1.0)
        along = dx * np.cos(turn) + dy * np.sin(turn)
        across = (dy * np.cos(turn) - dx * np.sin(turn)) / ratio
        angle = np.arctan2(across, along)
        border = np.ones_like(angle)
        for waves in (2, 3, 5):
            border += self.R.uniform(0, 0.12) * np.cos(waves * angle + self.R.uniform(0, 2 * np.pi))
        return np.asarray(np.hypot(along, across) / (radius * border))


class ShiftOrgan(OrganChange):
    """Change the organ's attenuation, its lesions' with it."""

    def __init__(self, model: ModelSpecification, prob: float, most_hu: float) -> None:
        """Shift by up to `most_hu` to either side."""
        super().__init__(model, prob)
        self.most_hu = most_hu

    def change(self, image: Image, mask: Image) -> None:
        """Shift all channels alike; the borders are as soft as a scanner's."""
        belongs = np.isin(mask, (self.organ, self.lesion)).astype(np.float32)
        soft = ndimage.gaussian_filter(belongs, 0.7)
        image += np.float32(self.hu * self.R.uniform(-self.most_hu, self.most_hu)) * soft


class PaintLesions(OrganChange):
    """Paint up to three lesions into the organ.

    A neighbouring slice shows them about as large or, slices being thick, not at all.
    """

    def change(self, image: Image, mask: Image) -> None:
        """Paint them one after the other."""
        for _ in range(self.R.randint(1, MOST + 1)):
            self._paint(image, mask)

    def _paint(self, image: Image, mask: Image) -> None:
        free = np.flatnonzero(mask == self.organ)
        if free.size == 0:
            return
        middle = len(image) // 2
        level = float(np.median(image[middle].ravel()[free]))
        y, x = np.unravel_index(self.R.choice(free), mask.shape)
        radius = float(np.exp(self.R.uniform(*np.log(RADIUS_MM)))) / self.pixel_mm
        reach = int(np.ceil(2 * radius)) + 3
        part = tuple(
            slice(max(0, int(place) - reach), min(size, int(place) + reach + 1))
            for place, size in zip((y, x), mask.shape, strict=True)
        )
        rows, columns = np.ogrid[part]
        distance = self.distance(rows - y, columns - x, radius)
        inside = np.isin(mask[part], (self.organ, self.lesion))
        darker = self.R.random() < DARKER_SHARE
        difference = self.hu * self.R.uniform(*(DARKER_HU if darker else BRIGHTER_HU))
        texture = ndimage.gaussian_filter(self.R.standard_normal(distance.shape), 2.0)
        texture *= self.R.uniform(0, 0.35) * abs(difference) / max(float(texture.std()), 1e-6)
        flat = self.R.random() < FLAT_SHARE
        rim = self.hu * self.R.uniform(*RIM_HU) if self.R.random() < RIM_SHARE else 0.0
        sharpness = radius / self.R.uniform(0.4, 1.2)
        for index, channel in enumerate(image[:, part[0], part[1]]):
            if index != middle and self.R.random() < ABSENT_SHARE:
                continue
            size = 1.0 if index == middle else self.R.uniform(0.6, 1.05)
            depth = (1 - distance / size) * sharpness
            soft = inside / (1 + np.exp(-np.clip(depth, -30, 30)))
            change = difference + texture + rim * np.exp(-(depth**2) / 2)
            if flat:
                change = change + level - ndimage.gaussian_filter(channel, 2.0)
            channel += (soft * change).astype(np.float32)
        mask[part][inside & (distance < 1)] = self.lesion


class PaintMimics(OrganChange):
    """Paint one or two fluid-filled shapes against the organ from outside, as background.

    They hold fluid (gallbladder, bowel, cyst, effusion) or contrast agent, cut into the organ and
    leave its lesions alone; neighbouring slices show them about as large.
    """

    def change(self, image: Image, mask: Image) -> None:
        """Paint them one after the other."""
        for _ in range(self.R.randint(1, 3)):
            self._paint(image, mask)

    def _paint(self, image: Image, mask: Image) -> None:
        belongs = np.isin(mask, (self.organ, self.lesion))
        border = np.flatnonzero(belongs & ~ndimage.binary_erosion(belongs))
        if border.size == 0:
            return
        radius = float(np.exp(self.R.uniform(*np.log(MIMIC_RADIUS_MM)))) / self.pixel_mm
        y, x = self._outside(belongs, int(self.R.choice(border)), 0.7 * radius)
        reach = int(np.ceil(2 * radius)) + 3
        part = tuple(
            slice(max(0, place - reach), min(size, place + reach + 1))
            for place, size in zip((y, x), mask.shape, strict=True)
        )
        rows, columns = np.ogrid[part]
        distance = self.distance(rows - y, columns - x, radius)
        covered = distance < 1
        if (mask[part][covered] == self.lesion).any():
            return
        fluid = self.R.random() < FLUID_SHARE
        level = self.hu * (self.R.uniform(*(FLUID_HU if fluid else CONTRAST_HU)) - self.low)
        middle = len(image) // 2
        fine = image[middle][part] - ndimage.gaussian_filter(image[middle][part], 1.5)
        noise = float(fine[belongs[part]].std())
        sharpness = radius / self.R.uniform(0.4, 1.2)
        for index, channel in enumerate(image[:, part[0], part[1]]):
            size = 1.0 if index == middle else self.R.uniform(0.75, 1.05)
            soft = 1 / (1 + np.exp(-np.clip((1 - distance / size) * sharpness, -30, 30)))
            grain = ndimage.gaussian_filter(self.R.standard_normal(distance.shape), 0.6)
            painted = level + grain * (noise / grain.std())
            channel += (soft * (painted - channel)).astype(np.float32)
        mask[part][covered] = 0

    def _outside(self, belongs: NDArray[np.bool_], place: int, most: float) -> tuple[int, int]:
        """Return a pixel up to `most` pixels outside the border's pixel `place`, or that."""
        y, x = (int(at) for at in np.unravel_index(place, belongs.shape))
        for _ in range(8):
            turn, step = self.R.uniform(0, 2 * np.pi), self.R.uniform(0, most)
            row, column = round(y + step * np.sin(turn)), round(x + step * np.cos(turn))
            if (
                0 <= row < belongs.shape[0]
                and 0 <= column < belongs.shape[1]
                and not belongs[row, column]
            ):
                return row, column
        return y, x
