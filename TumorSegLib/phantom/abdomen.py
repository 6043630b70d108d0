"""An upper abdomen in portal-venous phase CT, with two tumours in the liver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.volume import Volume
from TumorSegLib.phantom.abdominal_organs import (
    Sphere,
    paint_bowel,
    paint_liver,
    paint_retroperitoneum,
    paint_spleen_and_stomach,
)
from TumorSegLib.phantom.shapes import (
    Field,
    Plane,
    Textures,
    centred_grid,
    coverage,
    in_plane_positions,
)
from TumorSegLib.phantom.trunk import (
    FAT,
    Canvas,
    cavity_distance,
    paint_bones,
    paint_lungs,
    paint_wall,
)

LIVER = 1
TUMOUR = 2

NOISE_HU = 11.0


@dataclass(frozen=True)
class _Patient:
    """What differs between bodies: fat in mm, two tumours, random fields."""

    fat: float
    tumours: tuple[Sphere, Sphere]
    textures: Textures

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Patient:
        dome = (rng.uniform(-95, -75), rng.uniform(0, 25), rng.uniform(20, 45))
        low = (rng.uniform(-90, -70), rng.uniform(-10, 20), rng.uniform(-40, -15))
        return cls(
            tumours=((*dome, rng.uniform(16, 24)), (*low, rng.uniform(8, 13))),
            fat=rng.uniform(12, 22),
            textures=Textures.draw(rng, 70, 26, 11),
        )


def abdomen_phantom(
    seed: int = 0,
    *,
    shape: tuple[int, int, int] = (40, 256, 256),
    spacing: tuple[float, float, float] = (1.5, 1.5, 5.0),
) -> tuple[Volume, NDArray[np.uint8]]:
    """Return a CT from the dome of the liver to the lower poles of the kidneys, and its label map.

    Args:
        seed: another seed is another patient: fat, tumours, textures and noise differ.
        shape: voxels along (z, y, x).
        spacing: mm along (x, y, z); 200 mm in z and 380 mm in plane show it all.

    Returns:
        A volume of int16 in Hounsfield units, and uint8 (z, y, x): 1 liver, 2 tumour.
    """
    rng = np.random.default_rng(seed)
    patient = _Patient.draw(rng)
    grid = centred_grid(shape, spacing, (0, 18, 0))
    x, y = in_plane_positions(grid)
    voxels = np.empty(shape, np.int16)
    labelmap = np.zeros(shape, np.uint8)
    for index in range(shape[0]):
        plane = Plane(x, y, float(grid.origin[2] + spacing[2] * index))
        canvas = _paint(plane, patient)
        labelmap[index][canvas.liver >= 0.5] = LIVER
        labelmap[index][canvas.tumour >= 0.5] = TUMOUR
        voxels[index] = _scan(canvas.image, spacing[0], rng)
    return Volume(voxels, grid, modality="CT", name="phantom abdomen"), labelmap


def _scan(hounsfield: Field, pixel: float, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return a reconstructed slice: blurred, with noise that is grainy, as after filtering."""
    blurred = ndimage.gaussian_filter(hounsfield, 0.7 / pixel)
    white = rng.standard_normal(hounsfield.shape, dtype=np.float32)
    grain = ndimage.gaussian_filter(white, 0.9 / pixel)
    grain -= ndimage.gaussian_filter(white, 2.5 / pixel)
    grain *= np.float32(NOISE_HU) / grain.std()
    clipped: NDArray[np.int16] = np.clip(np.rint(blurred + grain), -1024, 3071).astype(np.int16)
    return clipped


def _paint(plane: Plane, patient: _Patient) -> Canvas:
    canvas = Canvas(plane.shape)
    texture = patient.textures.on(plane)
    wall = paint_wall(canvas, plane, patient.fat, texture)
    cavity = cavity_distance(plane, wall, texture)
    canvas.paint(coverage(cavity), FAT + 6 * texture.fine)
    paint_bowel(canvas, plane, cavity, texture)
    paint_retroperitoneum(canvas, plane, texture)
    paint_liver(canvas, plane, cavity, patient.tumours, texture)
    paint_spleen_and_stomach(canvas, plane, cavity, texture)
    paint_lungs(canvas, plane, cavity, texture)
    paint_bones(canvas, plane, wall, texture)
    return canvas
