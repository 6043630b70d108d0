"""Numbers by which the kind of an image is told, whatever its units.

Some slices from the middle are averaged to pixels of about 2 mm. What stands out of the air is the
head; intensities are told as multiples of its deep part's median above air. The numbers are what
lies at which depth, how bright details are beside their surroundings, what is next to fluid, and
the ranks of intensities over a coarse picture of the head.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.normalisation import with_plain_air, without_stray
from TumorSegLib.image.volume import Volume

PIXEL_MM = 2.0
MOST_PIXELS = 160
FEWEST_PIXELS = 32
SLICES = 7
MIDDLE = (0.4, 0.75)
"""Of the way up: with a whole head, the ventricles and what is above them."""

SHELLS = (0.0, 0.1, 0.2, 0.35, 0.55, 1.0)
"""Depths from the surface, of the largest depth."""
BRAIN = 0.3
"""Deeper than this, most of what is seen is brain."""
LEVELS = (5, 25, 50, 75, 95)
SCALES = (1, 2, 4)
"""Pixels of the surroundings in which details are told."""
BLOCKS = 8
LARGEST = 20.0

FEATURES = (
    *(f"shell_{shell}_{level}" for shell in range(len(SHELLS) - 1) for level in LEVELS),
    *("upper_quartile", "upper_tail", "upper_end", "skew", "spread", "rises_with_depth"),
    *(
        f"detail_{scale}_{name}"
        for scale in SCALES
        for name in ("dark", "bright", "end", "tail", "share")
    ),
    *("fluid", "beside_fluid", "far_from_fluid", "fluid_step", "gradient", "edges"),
    *(f"block_{row}_{column}" for row in range(BLOCKS) for column in range(BLOCKS // 2)),
)
"""What the numbers are, in order."""

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


def image_features(volume: Volume) -> Image | None:
    """Return the `FEATURES` of a volume, float32 (n,), None where nothing stands out of the air."""
    view = AxialView.of(volume.grid)
    slices = without_stray(with_plain_air(middle_slices(view.apply(volume.voxels))))
    return features_of(slices, view.spacing_zyx[1:])


def middle_slices(slices: NDArray[Any]) -> NDArray[Any]:
    """Return some of the slices (z, y, x) from the middle of the way up."""
    count = len(slices)
    part = slices[int(count * MIDDLE[0]) : int(count * MIDDLE[1]) + 1]
    every = -(-len(part) // SLICES)
    return part[every // 2 :: every]


def features_of(slices: NDArray[Any], spacing: tuple[float, float]) -> Image | None:
    """Return the `FEATURES` of axial slices.

    Args:
        slices: (z, y, x), some from the middle.
        spacing: mm along (y, x).
    """
    image, pixel = _averaged(slices, spacing)
    air = np.percentile(image, 5)
    head = _head(image - air)
    depth = depth_in(head, pixel)
    if np.count_nonzero(head) < 50:
        return None
    depth = np.where(head, depth / depth.max(), -1.0)
    median = np.median(image[depth > SHELLS[3]]) - air
    if not median > 0:
        return None
    image = (image - air) / median
    brain = depth > BRAIN
    numbers = [
        *_shells(image, depth),
        *_spread(image, depth, brain),
        *_details(image, brain),
        *_beside_fluid(image, brain),
        *_edges(image, brain),
        *_blocks(image, head),
    ]
    found = np.nan_to_num(np.array(numbers, np.float32))
    return np.clip(found, -LARGEST, LARGEST)


def depth_in(mask: Mask, pixel: tuple[float, float]) -> NDArray[np.float64]:
    """Return how far inside a mask (z, y, x) its pixels lie, slice by slice; beyond it is air.

    Args:
        mask: (z, y, x).
        pixel: size along (y, x), in which the distance is told.
    """
    return np.stack(
        [
            ndimage.distance_transform_edt(np.pad(plane, 1), sampling=pixel)[1:-1, 1:-1]
            for plane in mask
        ]
    )


def blocks_of(slices: NDArray[Any], rows: int, columns: int) -> Image:
    """Return the means of blocks of pixels of slices (z, y, x); what is over is left out."""
    count, height, width = len(slices), slices.shape[1] // rows, slices.shape[2] // columns
    whole = slices[:, : height * rows, : width * columns].astype(np.float32)
    means: Image = whole.reshape(count, height, rows, width, columns).mean((2, 4))
    return means


def _averaged(
    slices: NDArray[Any], spacing: tuple[float, float]
) -> tuple[Image, tuple[float, float]]:
    """Return the slices (z, y, x) on larger pixels, and the mm along (y, x) of these."""
    rows, columns = (_step(n, mm) for n, mm in zip(slices.shape[1:], spacing, strict=True))
    return blocks_of(slices, rows, columns), (spacing[0] * rows, spacing[1] * columns)


def _step(count: int, mm: float) -> int:
    fewest, most = -(-count // MOST_PIXELS), max(1, count // FEWEST_PIXELS)
    return max(fewest, min(round(PIXEL_MM / mm), most), 1)


def _head(image: Image) -> Mask:
    """Return what is brighter than air, in each slice its largest part without holes."""
    planes = []
    for plane in image > 0.6 * image.mean():
        solid = ndimage.binary_opening(plane)
        parts, count = ndimage.label(solid)
        if count:
            solid = parts == np.bincount(parts.ravel())[1:].argmax() + 1
        planes.append(ndimage.binary_fill_holes(solid))
    return np.stack(planes)


def _shells(image: Image, depth: NDArray[np.float64]) -> list[float]:
    numbers: list[float] = []
    for shallow, deep in pairwise(SHELLS):
        values = image[(depth > shallow) & (depth <= deep)]
        numbers += list(np.percentile(values, LEVELS)) if values.size else [0.0] * len(LEVELS)
    return numbers


def _spread(image: Image, depth: NDArray[np.float64], brain: Mask) -> list[float]:
    values = image[brain]
    low, dark, lower, middle, upper, bright, high = np.percentile(
        values, (2, 5, 25, 50, 75, 95, 98)
    )
    values = np.clip(values, low, high)
    deviation = max(float(values.std()), 1e-3)
    tissue = brain & (image > 0.6) & (image < 1.6)
    return [
        _ratio(upper - middle, middle - lower),
        _ratio(bright - middle, middle - dark),
        _ratio(high - middle, middle - low),
        float(((values - values.mean()) ** 3).mean()) / deviation**3,
        upper - lower,
        _correlation(depth[tissue], image[tissue]),
    ]


def _details(image: Image, brain: Mask) -> list[float]:
    """Tell how bright and dark details are beside their surroundings, at some scales."""
    dark, bright = np.percentile(image[brain], (10, 90))
    inside = brain.astype(np.float32)
    numbers: list[float] = []
    for scale in SCALES:
        sigma = (0, scale, scale)
        weight = np.maximum(ndimage.gaussian_filter(inside, sigma), 1e-3)
        around = ndimage.gaussian_filter(image * inside, sigma) / weight
        least, low, middle, high, most = np.percentile((image - around)[brain], (2, 10, 50, 90, 98))
        numbers += [
            least,
            most,
            _ratio(most + least, most - least),
            _ratio(high + low - 2 * middle, high - low),
            _ratio(high - low, bright - dark),
        ]
    return numbers


def _beside_fluid(image: Image, brain: Mask) -> list[float]:
    """Tell whether what lies beside dark fluid, mostly grey matter, is brighter than the rest."""
    fluid = brain & (image < min(float(np.percentile(image[brain], 10)), 0.75))
    near, wide, far = (_grown(fluid, steps) for steps in (1, 2, 3))
    beside, rest = (
        float(np.median(image[place])) if np.count_nonzero(place) > 20 else 1.0
        for place in (wide & brain & ~near, brain & ~far)
    )
    share = int(np.count_nonzero(fluid)) / max(int(np.count_nonzero(brain)), 1)
    return [share, beside, rest, beside - rest]


def _grown(mask: Mask, steps: int) -> Mask:
    in_plane = ndimage.generate_binary_structure(2, 1)[None]
    grown: Mask = ndimage.binary_dilation(mask, in_plane, iterations=steps)
    return grown


def _edges(image: Image, brain: Mask) -> list[float]:
    gradient = np.hypot(ndimage.sobel(image, 1), ndimage.sobel(image, 2))[brain] / 8
    return [float(np.median(gradient)), float(np.percentile(gradient, 95))]


def _blocks(image: Image, head: Mask) -> list[float]:
    """Return the mean rank of intensity on a coarse grid over the head, left and right as one."""
    ranks = np.zeros(image.shape)
    order = np.argsort(image[head], kind="stable")
    places = np.empty(order.size)
    places[order] = np.arange(order.size) / order.size
    ranks[head] = places
    rows, columns = (np.flatnonzero(head.any((0, axis))) for axis in (2, 1))
    numbers = np.empty((BLOCKS, BLOCKS))
    for row, down in enumerate(_parts(rows)):
        for column, along in enumerate(_parts(columns)):
            within = head[:, down, along]
            count = np.count_nonzero(within)
            numbers[row, column] = ranks[:, down, along].sum() / count if count else 0.5
    folded = (numbers + numbers[:, ::-1]) / 2
    return list(folded[:, : BLOCKS // 2].ravel())


def _parts(positions: NDArray[np.intp]) -> list[slice]:
    ends = np.linspace(positions[0], positions[-1] + 1, BLOCKS + 1).astype(int)
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _ratio(part: float, whole: float) -> float:
    return float(part / max(whole, 1e-3))


def _correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.size <= 20 or not one.std() > 0 or not other.std() > 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
