"""One axial slice as a picture: windowed, with the physical aspect ratio and contours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TumorSegLib.model.specification import Label

Colour = tuple[int, int, int]

YELLOW: Colour = (255, 230, 0)
SMOOTHING = 3
"""Contours are drawn this many times larger and shrunk, so that they look smooth."""
CONTOUR_PIXELS = 1.6
PEN = np.argwhere(np.hypot(*np.mgrid[-9:10, -9:10]) <= CONTOUR_PIXELS * SMOOTHING / 2) - 9
"""Pixels (row, column) around one of the larger drawing's that the contour covers."""


@dataclass(frozen=True)
class Outline:
    """What a contour encloses: the label values of a structure with its parts, and its colour."""

    values: tuple[int, ...]
    colour: Colour


def outlines(labels: Sequence[Label]) -> list[Outline]:
    """Return the contours to draw: yellow for the first label, the model's colours for others."""
    return [
        Outline(label.whole, label.colour if index else YELLOW)
        for index, label in enumerate(labels)
    ]


def picture_size(
    shape: tuple[int, int], spacing: tuple[float, float], longer: int
) -> tuple[int, int]:
    """Return width and height in pixels, `longer` being the larger of them.

    Args:
        shape: rows and columns of the slice.
        spacing: mm between rows and between columns.
        longer: pixels.
    """
    height, width = (count * mm for count, mm in zip(shape, spacing, strict=True))
    scale = longer / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def slice_picture(
    pixels: NDArray[Any],
    labels: NDArray[np.uint8],
    outlines: Sequence[Outline],
    *,
    window: tuple[float, float],
    size: tuple[int, int],
) -> Image.Image:
    """Return a slice, grey, with its contours.

    Args:
        pixels: intensities (rows, columns), anterior first and the patient's right first.
        labels: label map of the same shape.
        outlines: contours, the last on top.
        window: intensities shown black and white.
        size: width and height of the picture.
    """
    contours = [(np.isin(labels, outline.values), outline.colour) for outline in outlines]
    return contoured(pixels, contours, window=window, size=size)


def contoured(
    pixels: NDArray[Any],
    contours: Iterable[tuple[NDArray[np.bool_], Colour]],
    *,
    window: tuple[float, float],
    size: tuple[int, int],
) -> Image.Image:
    """Return a plane of a volume, grey, with the contours of masks of its shape.

    Args:
        pixels: intensities (rows, columns).
        contours: masks and their colours, the last on top.
        window: intensities shown black and white.
        size: width and height of the picture.
    """
    low, high = window
    grey = np.clip((pixels.astype(np.float32) - low) * (255 / (high - low)), 0, 255)
    picture = Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    coloured = picture.convert("RGB")
    for mask, colour in contours:
        if mask.any():
            coloured.paste(colour, mask=_contour(mask, size))
    return coloured


def _contour(mask: NDArray[np.bool_], size: tuple[int, int]) -> Image.Image:
    """Return how much of each pixel of the picture the contour of `mask` covers."""
    width, height = size[0] * SMOOTHING, size[1] * SMOOTHING
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    smooth = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))
    inside = np.pad(smooth > smooth.max() // 2, 1)
    within = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    rows, columns = np.nonzero(inside[1:-1, 1:-1] & ~within)
    cover = np.zeros((height, width), np.uint8)
    for down, right in PEN:
        cover[(rows + down).clip(0, height - 1), (columns + right).clip(0, width - 1)] = 255
    return Image.fromarray(cover).resize(size, Image.Resampling.BOX)


def count_by_slice(labelmap: NDArray[np.uint8], labels: Sequence[Label]) -> NDArray[np.int64]:
    """Return the number of pixels to look at on each slice of an axially ordered label map.

    Where structures are parts of others (a liver's tumours) and some are found, only the parts
    count; else all structures do.
    """
    parts = {value for label in labels for value in label.includes}
    counts = np.array([np.isin(plane, list(parts)).sum() for plane in labelmap], np.int64)
    if counts.any():
        return counts
    return np.array([np.count_nonzero(plane) for plane in labelmap], np.int64)
