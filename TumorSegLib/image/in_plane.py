"""The in-plane grid on which a network sees its slices, and the way there and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

MAXIMUM_SIZE = 2048
"""Pixels; a slice larger than this on the network's grid is refused as absurd."""


@dataclass(frozen=True)
class FieldOfView:
    """The longer physical side of a slice becomes `size` pixels, whatever the spacing.

    For heads, which fill the field of view, and for data whose spacing is unknown.
    """

    kind: ClassVar[str] = "field_of_view"
    size: int

    def __post_init__(self) -> None:
        if not 16 <= self.size <= MAXIMUM_SIZE:
            raise ValueError(f"size {self.size} is not within 16 and {MAXIMUM_SIZE} pixels")

    def grid(
        self,
        shape: tuple[int, int],
        spacing: tuple[float, float],
        side_mm: float | None = None,
    ) -> tuple[int, int]:
        """Return rows and columns for slices of `shape` pixels, `spacing` mm apart.

        Args:
            shape: rows and columns.
            spacing: mm along both.
            side_mm: of a part of the slice that takes the place of its longer side; `MAXIMUM_SIZE`
                is kept.
        """
        longer = max(shape[0] * spacing[0], shape[1] * spacing[1])
        pixel = longer / self.size
        if side_mm is not None:
            pixel = max(side_mm / self.size, longer / MAXIMUM_SIZE)
        return grid_of(shape, spacing, pixel)


@dataclass(frozen=True)
class PixelSpacing:
    """Pixels are `spacing_mm` apart."""

    kind: ClassVar[str] = "spacing"
    spacing_mm: float

    def __post_init__(self) -> None:
        if not 0.1 <= self.spacing_mm <= 20:
            raise ValueError(f"spacing_mm {self.spacing_mm:g} is not within 0.1 and 20 mm")

    def grid(self, shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[int, int]:
        """Return rows and columns for slices of `shape` pixels, `spacing` mm apart."""
        return grid_of(shape, spacing, self.spacing_mm)


InPlane = FieldOfView | PixelSpacing


def downsampling_factor(grid: InPlane, other: InPlane) -> float | None:
    """Return how many pixels of `grid` lie along one of `other`; none if their kinds differ."""
    match grid, other:
        case FieldOfView(), FieldOfView():
            return grid.size / other.size
        case PixelSpacing(), PixelSpacing():
            return other.spacing_mm / grid.spacing_mm
    return None


def grid_of(shape: tuple[int, int], spacing: tuple[float, float], pixel: float) -> tuple[int, int]:
    """Return the rows and columns that cover the field of view with square pixels of `pixel` mm."""
    rows, columns = (max(1, round(n * mm / pixel)) for n, mm in zip(shape, spacing, strict=True))
    return rows, columns


def resize(slices: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resample slices (..., h, w) onto (..., H, W) over the same field of view.

    Linear interpolation when enlarging, area-weighted (antialiased) when shrinking; separable, as
    two small matrix products, which on a CPU is many times faster than general interpolation.
    """
    from TumorSegLib.support.arrays import tensor_from_array

    rows, columns = shape
    if slices.shape[-2] != rows:
        vertical = tensor_from_array(resize_matrix(slices.shape[-2], rows)).to(slices)
        slices = vertical @ slices
    if slices.shape[-1] != columns:
        horizontal = tensor_from_array(resize_matrix(slices.shape[-1], columns)).to(slices)
        slices = slices @ horizontal.T
    return slices


@lru_cache(maxsize=16)
def resize_matrix(source: int, target: int) -> NDArray[np.float32]:
    """Return the (target, source) matrix that resamples `source` pixels linearly to `target`.

    Pixel centres lie at (i + 0.5) / n of the field of view; when shrinking, the triangle filter is
    as wide as the target's pixels. Rows sum to 1.
    """
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale - 0.5
    distance = np.abs(centres[:, None] - np.arange(source)[None, :])
    weights = np.clip(1 - distance / max(scale, 1.0), 0, None)
    normalised: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(
        np.float32
    )
    return normalised
