"""One picture a model: a slice of each case, what is there dashed, what was found in colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from failure_gallery.cases import Case
from TumorSegLib.image.display_window import display_window
from TumorSegLib.model.specification import Label

COLUMNS = 3
PANEL_INCHES = 3.0
DOTS_PER_INCH = 90
GREYS = 48
"""Shades: a picture of 810 pixels stays under 200 kB."""

COLOURED = 24
"""From this difference of channels on, of 255, a pixel is a contour's."""


THERE = "#00e5ff"
FOUND = ("#ff3d2e", "#ffd54f")
"""Contours: of what is there, and of what was found, the last label's (a tumour's) first.

The labels' own colours are near to white and to each other.
"""


def draw(
    path: Path,
    cases: Sequence[Case],
    found: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    labels: Sequence[Label],
) -> None:
    """Write the picture of a model.

    Args:
        path: of a PNG.
        cases: phantoms.
        found: a label map (z, y, x) a case.
        captions: a line a case.
        labels: of the model.
    """
    rows = -(-len(cases) // COLUMNS)
    figure = Figure((COLUMNS * PANEL_INCHES, rows * (PANEL_INCHES + 0.5)), DOTS_PER_INCH)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, case, labelmap, caption in zip(axes, cases, found, captions, strict=False):
        volume = next(iter(case.volumes.values()))
        shown = case.truth if case.truth.any() else labelmap
        heaviest = int(np.argmax(((shown == shown.max()) & (shown > 0)).sum(axis=(1, 2))))
        index = heaviest if shown.any() else volume.grid.shape[0] // 2
        low, high = display_window(volume)
        aspect = volume.grid.spacing[1] / volume.grid.spacing[0]
        axis.imshow(volume.voxels[index], cmap="gray", vmin=low, vmax=high, aspect=aspect)
        for value in np.unique(case.truth[case.truth > 0]):
            _contour(axis, case.truth[index] == value, THERE, "dashed")
        for label, colour in zip(labels, FOUND[: len(labels)][::-1], strict=True):
            _contour(axis, labelmap[index] == label.value, colour, "solid")
        axis.set_title(f"{case.title}\n{caption}", fontsize=9)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, metadata={"Software": None})
    in_few_colours(Image.open(path)).save(path, optimize=True)


def in_few_colours(picture: Image.Image) -> Image.Image:
    """Return a picture in shades of grey and the contours' colours, which stay what they are.

    An eighth of the size of true colours; a palette that is fitted to the picture has no room for
    thin contours.
    """
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    lowest = pixels.min(axis=2, keepdims=True)
    hues = pixels - lowest
    contours = np.array([to_rgb(colour) for colour in (THERE, *FOUND)])
    directions = contours - contours.min(axis=1, keepdims=True)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    greys = pixels.mean(axis=2) * (GREYS - 1) / 255
    coloured = hues.max(axis=2) > COLOURED
    indices = np.where(coloured, GREYS + (hues @ directions.T).argmax(axis=2), np.rint(greys))
    shades = np.repeat(np.linspace(0, 255, GREYS), 3)
    palette = np.rint([*shades, *(255 * contours).ravel()]).astype(np.uint8)
    result = Image.fromarray(indices.astype(np.uint8))
    result.putpalette(palette.tobytes())
    return result


def _contour(axis: object, mask: NDArray[np.bool_], colour: object, style: str) -> None:
    if mask.any():
        axis.contour(mask, [0.5], colors=[colour], linewidths=1.2, linestyles=style)  # type: ignore[attr-defined]
