"""How long the figures of a segmentation take, on one core.

    taskset -c 0 python benchmarks/measurement.py

The liver is a made-up ellipsoid of 4 l with an uneven outline and 30 lesions, on 512x512x200
voxels; the slice has 20 lesions on 512x512 pixels. Prints milliseconds of processor time, the best
of a few rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.measurement.segment import measure, measure_segment
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.model.labelled_volume import LabelledVolume

MODEL = Path(__file__).parents[1] / "Resources" / "Models" / "liver-ct-unet"
LIVER, LESION = 1, 2


def main() -> None:
    """Measure and print."""
    labelmap = liver_with_lesions(30)
    grid = Grid(labelmap.shape, (0.75, 0.75, 2.0))
    voxels = np.random.default_rng(0).integers(-100, 200, labelmap.shape).astype(np.int16)
    labelled = LabelledVolume(Volume(voxels, grid), read_bundle(MODEL).specification, labelmap)
    liver, lesions = measure(labelled)
    print(f"liver of {liver.volume_ml:.0f} ml, {lesions.components} lesions")
    print(f"whole table, 512x512x200: {best(lambda: measure(labelled)):.0f} ms")
    slice_ = discs(20)[None]
    flat = Grid(slice_.shape, (0.75, 0.75, 5.0))
    print(f"{measure_segment(slice_, flat).components} components on a slice of 512x512")
    print(f"whole table, 512x512: {best(lambda: measure_segment(slice_, flat)):.1f} ms")


def liver_with_lesions(count: int) -> NDArray[np.uint8]:
    """Return a label map (200, 512, 512) of a liver with so many lesions."""
    random = np.random.default_rng(0)
    rough = ndimage.zoom(random.normal(size=(25, 64, 64)), 8, order=1) * 0.08
    z, y, x = np.ogrid[:200, :512, :512]
    depth = ((z - 100) / 70) ** 2 + ((y - 230) / 110) ** 2 + ((x - 180) / 110) ** 2
    labelmap = np.where(depth + rough < 1, LIVER, 0).astype(np.uint8)
    for index, (at_z, at_y, at_x) in enumerate(centres(count)):
        radius = 4 + index % 8
        across = ((y - at_y) / radius) ** 2 + ((x - at_x) / radius) ** 2
        labelmap[((z - at_z) * 2.7 / radius) ** 2 + across < 1] = LESION
    return labelmap


def centres(count: int) -> list[tuple[int, int, int]]:
    """Return places in the liver that lie apart."""
    lattice = [
        (z, y, x) for z in (65, 100, 135) for y in (170, 205, 240, 275) for x in (110, 165, 220)
    ]
    return lattice[:count]


def discs(count: int) -> NDArray[np.bool_]:
    """Return a mask (512, 512) of so many discs."""
    y, x = np.ogrid[:512, :512]
    mask = np.zeros((512, 512), np.bool_)
    for index in range(count):
        middle_y, middle_x = 50 + index // 5 * 120, 50 + index % 5 * 100
        mask |= np.hypot(y - middle_y, x - middle_x) < 12 + 2 * index % 36
    return mask


def best(action: Callable[[], object], rounds: int = 5) -> float:
    """Return the least processor time of some rounds in ms."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times) * 1000


if __name__ == "__main__":
    main()
