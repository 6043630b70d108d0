"""Intensity normalisation: from scanner units to the network's [0, 1].

Every method reduces to one gain and one offset a volume and channel, `clip(gain * x + offset, 0,
1)`, and possibly a curve over [0, 1], so that slabs, cached training slices and whole volumes are
treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

CURVE_STEPS = 8192
"""Steps of a curve over [0, 1], far finer than any image's own."""

STATISTICS_VOXELS = 2_000_000
"""Percentiles are taken from an evenly strided sample of about this many voxels."""

FILL_VOXELS = 100_000
"""A fill value is looked for among about so many voxels."""

STRAY_DEVIATIONS, STRAY_RANGES = 30.0, 10.0
"""A value so many standard deviations from the mean is looked at; it is stray if it lies so many
times the range of the others beyond them. In scanners' images none does."""

AIR_SHARE, AIR_BORDER_SHARE, AIR_ABOVE = 0.1, 0.5, 0.15
"""A value is air's if so much of the volume and of the slices' borders has it exactly; it is amid
tissue's if it lies so much of their range above the darkest. In scanners' images it does not."""

AIR_BELOW = 0.25
"""How far air lies below the darkest tissue, in parts of the distance from there to the median."""

FILL_SHARE, FILL_RANGES, FILL_LEVELS = 0.001, 3.0, (2.0, 99.5)
"""The darkest value is a fill value if so much of the volume has it exactly and it lies so many
times the range of the others (between these percentiles) below them, or alone below 0. In scanners'
images it does not, nor where the skull is taken off."""


@dataclass(frozen=True)
class IntensityTransform:
    """What a normalisation does to the intensities of one volume.

    Attributes:
        gain: of `clip(gain * x + offset, 0, 1)`.
        offset: of the same.
        curve: what that becomes, at places so densely and evenly spaced from 0 to 1 that the
            nearest stands for all (interpolation takes thirty times as long); none: it stays.
    """

    gain: float
    offset: float
    curve: NDArray[np.float32] | None = None

    def apply(self, voxels: NDArray[Any]) -> NDArray[np.float32]:
        """Return `voxels` normalised, as float32 in [0, 1]."""
        scaled = voxels.astype(np.float32)
        scaled *= np.float32(self.gain)
        scaled += np.float32(self.offset)
        return self.bent(np.clip(scaled, 0, 1, out=scaled))

    def bent(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return values in [0, 1] as the curve bends them."""
        if self.curve is None:
            return scaled
        nearest = (scaled * np.float32(len(self.curve) - 1) + np.float32(0.5)).astype(np.int32)
        return self.curve[nearest]

    def bent_tensor(self, scaled: Tensor) -> Tensor:
        """Do what `bent` does with a tensor, where it lies."""
        from TumorSegLib.support.arrays import array_from_tensor, tensor_from_array

        if self.curve is None:
            return scaled
        if scaled.device.type == "cpu":
            return tensor_from_array(self.bent(array_from_tensor(scaled)))
        nearest = (scaled * (len(self.curve) - 1) + 0.5).int()
        return tensor_from_array(self.curve).to(scaled.device)[nearest]


@dataclass(frozen=True)
class Window:
    """A fixed window of intensities, for CT in Hounsfield units: `low` becomes 0, `high` 1."""

    kind: ClassVar[str] = "window"
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")

    def fit(self, voxels: NDArray[Any]) -> IntensityTransform:
        """Return the same map for every volume."""
        gain = 1 / (self.high - self.low)
        return IntensityTransform(gain, -self.low * gain)


@dataclass(frozen=True)
class ForegroundRange:
    """A robust z-score over what is not air, for MRI, whose units are arbitrary.

    Foreground is what exceeds the volume's mean. Its median becomes 0 and the distance between its
    5th and 95th percentile 3.29, as it would for a normal distribution; z-scores from `low` to
    `high` then fill [0, 1].
    """

    kind: ClassVar[str] = "foreground"
    low: float = -3.0
    high: float = 5.0

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")

    def fit(self, voxels: NDArray[Any]) -> IntensityTransform:
        """Return the map for the volume `voxels`; a constant volume becomes zero everywhere."""
        sample = without_stray(strided_sample(voxels))
        foreground = sample[sample > sample.mean()]
        if foreground.size == 0:
            return IntensityTransform(0.0, 0.0)
        p5, median, p95 = np.percentile(foreground, (5, 50, 95))
        spread = max((p95 - p5) / 3.29, 1e-6 * max(abs(median), 1e-6))
        gain = 1 / (spread * (self.high - self.low))
        return IntensityTransform(
            float(gain), float((-median / spread - self.low) / (self.high - self.low))
        )


@dataclass(frozen=True)
class HistogramEqualisation:
    """Histogram equalisation of what is not air, for MRI.

    An intensity becomes its rank among the foreground: the part of it that is darker. Foreground is
    what exceeds the volume's mean; all else becomes 0. Unlike a z-score, a rank does not know how
    bright fat is, nor the scanner's contrast. Where fat is much brighter than the brain, a z-score
    leaves the brain little of the range, and a faint tumour less.
    """

    kind: ClassVar[str] = "equalised"

    def fit(self, voxels: NDArray[Any]) -> IntensityTransform:
        """Return the map for the volume `voxels`; a constant volume becomes zero everywhere."""
        sample = without_stray(strided_sample(voxels))
        low = float(sample.mean())
        foreground = sample[sample > low]
        if foreground.size == 0:
            return IntensityTransform(0.0, 0.0)
        high = float(np.percentile(foreground, 99.9))  # lest an outlier uses up the curve's steps
        gain = 1 / (high - low)
        counts, _ = np.histogram(foreground.astype(np.float64), CURVE_STEPS, (low, high))
        rank = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
        return IntensityTransform(gain, -low * gain, rank.astype(np.float32))


Normalisation = Window | ForegroundRange | HistogramEqualisation


def with_plain_air(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return an MRI volume (slices, H, W) whose air is the darkest there is, but no fill value.

    Any other volume is returned as it is.
    """
    return with_dark_air(without_fill(voxels))


def without_fill(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return an MRI volume whose darkest value, if it is a fill value, is as dark as the rest.

    Resampling leaves -1000 or -2000, say, where an image ends; the mean would then lie below air.
    What has no such value is returned as it is.
    """
    if voxels.size == 0:
        return voxels
    sample = strided_sample(voxels, FILL_VOXELS)
    fill = sample.min()
    rest = sample[sample > fill]
    if rest.size == 0 or rest.size > (1 - FILL_SHARE) * sample.size:
        return voxels
    low, high = np.percentile(rest, FILL_LEVELS).astype(np.float64)
    if fill < 0 <= low:
        low = 0.0
    elif low - fill <= FILL_RANGES * (high - low):
        return voxels
    if np.issubdtype(voxels.dtype, np.integer):
        low = np.floor(low)
    raised: NDArray[Any] = np.maximum(voxels, np.asarray(low).astype(voxels.dtype))
    return raised


def with_dark_air(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return an MRI volume (slices, H, W) whose air is darker than its tissue.

    Intensities standardised within the head leave air at 0, amid tissue's; phase-corrected images
    have grey air. Any other volume is returned as it is.
    """
    if voxels.size == 0:
        return voxels
    rows, columns = voxels[:, [0, -1]], voxels[:, :, [0, -1]]
    border = np.concatenate([rows.ravel(), columns.ravel()])
    values, counts = np.unique(border, return_counts=True)
    air = values[counts.argmax()]
    if counts.max() < AIR_BORDER_SHARE * border.size:
        return voxels
    sample = strided_sample(voxels)
    low, high = np.percentile(sample, (0.5, 99.5))
    tissue = sample[sample != np.float32(air)]
    amid = high > air > low + AIR_ABOVE * (high - low)
    if not amid or tissue.size > (1 - AIR_SHARE) * sample.size:
        return voxels
    dark = low - AIR_BELOW * (float(np.median(tissue)) - low)
    if np.issubdtype(voxels.dtype, np.integer):
        dark = max(dark, np.iinfo(voxels.dtype).min)
    return np.where(voxels == air, np.asarray(dark).astype(voxels.dtype), voxels)


def without_stray(sample: NDArray[Any]) -> NDArray[Any]:
    """Return values, the stray ones among them brought to where they begin to be stray.

    One hot voxel, or a fill value that was left over, would move the mean beyond all tissue.
    """
    if sample.size == 0:
        return sample
    mean, deviation = sample.mean(dtype=np.float64), sample.std(dtype=np.float64)
    if max(sample.max() - mean, mean - sample.min()) <= STRAY_DEVIATIONS * deviation:
        return sample
    low, high = np.percentile(sample, (0.1, 99.9)).astype(np.float64)
    beyond = STRAY_RANGES * (high - low)
    return np.clip(sample, low - beyond, high + beyond) if beyond else sample


def strided_sample(voxels: NDArray[Any], count: int = STATISTICS_VOXELS) -> NDArray[np.float32]:
    """Return an evenly strided flat sample of at most about `count` voxels."""
    step = max(1, round((voxels.size / count) ** (1 / voxels.ndim)))
    return voxels[(slice(step // 2, None, step),) * voxels.ndim].astype(np.float32).ravel()
