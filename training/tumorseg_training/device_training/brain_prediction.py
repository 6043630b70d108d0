"""Held-out heads as inference sees them, and what a network answers."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tumorseg_training.device_training.brain_mask import DEPTH_STEPS, OUTLINE
from tumorseg_training.device_training.brain_pack import Heads
from TumorSegLib.image.in_plane import resize
from TumorSegLib.image.normalisation import HistogramEqualisation, IntensityTransform
from TumorSegLib.inference.engine import Engine
from TumorSegLib.inference.preparation import stack_context

VARIANTS = ("all", "flair", "stripped")
"""All sequences; FLAIR in place of the others; all, with the skull taken off."""

STRIP_STEP = OUTLINE + DEPTH_STEPS // 2


class Examiner:
    """Prepares heads as `TumorSegLib.inference.preparation` does, on a device."""

    def __init__(
        self, heads: Heads, names: Iterable[str], device: torch.device, threads: int = 4
    ) -> None:
        """Begin to fit the named heads' normalisation, with the skull and without, meanwhile.

        Args:
            heads: on the CPU.
            names: of those that may be asked for.
            device: of the networks.
            threads: that fit.
        """
        self.heads = heads
        self.device = device
        self._pool = ThreadPoolExecutor(threads)
        self._maps = {name: self._pool.submit(self._fit, name) for name in names}

    def wait(self) -> None:
        """Wait until all heads are fitted."""
        wait(self._maps.values())

    def predict(
        self, engine: Engine, name: str, *, variant: str, size: int, context: int
    ) -> NDArray[np.uint8]:
        """Return the probabilities (slices, size, size), 0 to 255."""
        channels = self.channels(name, variant=variant, size=size)
        slab = stack_context(channels, np.arange(len(channels)), context)
        found = engine.probabilities(slab)[:, 0]
        return found.mul(255).add(0.5).clamp(0, 255).to(torch.uint8).cpu().numpy()

    def channels(self, name: str, *, variant: str, size: int) -> Tensor:
        """Return the normalised slices (n, C, size, size) of a head."""
        images = self._images(name, stripped=variant == "stripped").to(self.device).float()
        maps = self._maps[name].result()[int(variant == "stripped")]
        slab = torch.stack(
            [
                images[:, index].mul(found.gain).add(found.offset).clamp(0, 1)
                for index, found in enumerate(maps)
            ],
            dim=1,
        )
        resized = resize(slab, (size, size))
        for index, found in enumerate(maps):
            if found.curve is not None:
                curve = torch.from_numpy(found.curve).to(resized.device)
                nearest = (resized[:, index] * (len(curve) - 1) + 0.5).int().long()
                resized[:, index] = curve[nearest]
        if variant == "flair":
            resized = resized[:, :1].expand_as(resized).contiguous()
        return resized

    def _fit(self, name: str) -> tuple[list[IntensityTransform], list[IntensityTransform]]:
        """Return the maps of a head's sequences, with the skull and without."""
        with_skull, without = (
            self._images(name, stripped=stripped).numpy() for stripped in (False, True)
        )
        return [HistogramEqualisation().fit(voxels) for voxels in with_skull.swapaxes(0, 1)], [
            HistogramEqualisation().fit(voxels) for voxels in without.swapaxes(0, 1)
        ]

    def _images(self, name: str, *, stripped: bool) -> Tensor:
        part = self.heads.slices_of(name)
        images = self.heads.images[part.start : part.stop]
        if not stripped:
            return images
        depth = self.heads.depth[part.start : part.stop]
        inside = torch.nn.functional.interpolate(
            depth[:, None].float(), images.shape[-2:], mode="bilinear"
        )
        return images * (inside >= STRIP_STEP)


def engine_of(network: nn.Module, device: torch.device) -> Engine:
    """Return what runs a copy of `network` as inference does, mirrored slices averaged in."""
    mine = copy.deepcopy(network).eval()
    return Engine([mine], torch.sigmoid, device=device, dtype=torch.float32, mirror=True)


def dice(probabilities: NDArray[np.uint8], mask: Tensor, threshold: float) -> float:
    """Return a whole head's Dice at a threshold, on its own grid; 1 if nothing is there."""
    shape = (mask.shape[1], mask.shape[2])
    found = resize(torch.from_numpy(probabilities).float().to(mask.device), shape)
    marked = found >= threshold * 255
    wanted = mask > 0
    areas = int(marked.sum() + wanted.sum())
    return 2 * int((marked & wanted).sum()) / areas if areas else 1.0


def summary(figures: Mapping[str, float]) -> str:
    """Return the mean and median of patients' Dice and how many lie under 0.6."""
    values = np.array(list(figures.values()))
    low = int((values < 0.6).sum())
    return f"{values.mean():.4f} (median {np.median(values):.4f}; {low} of {len(values)} under 0.6)"
