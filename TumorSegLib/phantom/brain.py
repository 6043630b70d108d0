"""A head with a low-grade glioma, as FLAIR, T1 and T1 after contrast show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.phantom.brain_anatomy import paint_brain
from TumorSegLib.phantom.head import (
    FLUID,
    OEDEMA,
    SEQUENCES,
    TUMOUR,
    Canvas,
    cavity_distance,
    paint_head,
)
from TumorSegLib.phantom.shapes import (
    Field,
    Noise,
    Plane,
    Texture,
    Textures,
    centred_grid,
    coverage,
    ellipsoid,
    in_plane_positions,
)

SUBSLICES = 3
"""Planes averaged into one slice, as a thick slice averages what lies in it."""


@dataclass(frozen=True)
class _Patient:
    """What differs between heads.

    Attributes:
        scale: of the whole head.
        ventricles: of the ventricles' radius.
        tumour: centre, LPS mm.
        radii: of the tumour, mm.
        cystic: how much of the tumour's middle is fluid.
        gyri: random field whose zero crossings are the folds of the cortex.
        textures: random fields that bend what would be straight.
    """

    scale: float
    ventricles: float
    tumour: tuple[float, float, float]
    radii: tuple[float, float, float]
    cystic: float
    gyri: Noise
    textures: Textures

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Patient:
        side = rng.choice([-1.0, 1.0])
        centre = (side * rng.uniform(30, 38), rng.uniform(-28, 24), rng.uniform(8, 28))
        radii = rng.uniform(0.85, 1.15, 3) * rng.uniform(15, 21)
        return cls(
            scale=rng.uniform(0.96, 1.04),
            ventricles=rng.uniform(0.85, 1.25),
            tumour=centre,
            radii=(float(radii[0]), float(radii[1] * 1.15), float(radii[2])),
            cystic=max(0.0, rng.uniform(-0.5, 0.5)),
            gyri=Noise(rng, 21, band=True),
            textures=Textures.draw(rng, 45, 14, 8),
        )


def brain_phantom(
    seed: int = 0,
    *,
    shape: tuple[int, int, int] = (24, 256, 256),
    spacing: tuple[float, float, float] = (0.9, 0.9, 5.0),
) -> tuple[dict[str, Volume], NDArray[np.uint8]]:
    """Return the sequences "flair", "t1" and "t1c", and the label map of the FLAIR abnormality.

    Args:
        seed: another seed is another patient: head, tumour, coil and noise differ.
        shape: voxels along (z, y, x).
        spacing: mm along (x, y, z).

    Returns:
        Volumes of int16 by channel name, and uint8 (z, y, x): 1 tumour and oedema, 0 elsewhere.
    """
    rng = np.random.default_rng(seed)
    patient = _Patient.draw(rng)
    grid = centred_grid(shape, spacing, (0, -3, 5))
    x, y = (positions / patient.scale for positions in in_plane_positions(grid))
    signal = np.zeros((len(SEQUENCES), *shape), np.float32)
    lesion = np.zeros(shape, np.float32)
    offsets = (np.arange(SUBSLICES) + 0.5) / SUBSLICES - 0.5
    for index in range(shape[0]):
        for offset in offsets:
            z = (grid.origin[2] + spacing[2] * (index + offset)) / patient.scale
            painted, abnormal = _paint(Plane(x, y, float(z)), patient)
            signal[:, index] += painted / SUBSLICES
            lesion[index] += abnormal / SUBSLICES
    volumes = {
        name: Volume(_scan(channel, grid, rng), grid, modality="MR", name=f"phantom {name}")
        for name, channel in zip(SEQUENCES, signal, strict=True)
    }
    return volumes, (lesion >= 0.5).astype(np.uint8)


def _scan(signal: Field, grid: Grid, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return the magnitude image of a scanner: blur, coil sensitivity, Rician noise."""
    blurred = ndimage.gaussian_filter(signal, (0, 0.55, 0.55))
    z, y, x = (
        np.linspace(-1, 1, n, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, n in enumerate(grid.shape)
    )
    tilt = rng.uniform(-0.1, 0.1, 3)
    sensitivity = np.exp(tilt[0] * z + tilt[1] * y + tilt[2] * x + 0.22 * (x**2 + y**2) - 0.06)
    received = blurred * sensitivity
    sigma = 2.0
    real = received + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    magnitude = np.clip(np.rint(4 * np.sqrt(real**2 + imaginary**2)), 0, 4095)
    scanner_units: NDArray[np.int16] = magnitude.astype(np.int16)
    return scanner_units


def _paint(plane: Plane, patient: _Patient) -> tuple[Field, Field]:
    """Return the three signals (3, rows, columns) of a plane, and its share of lesion."""
    canvas = Canvas(plane.shape)
    texture = patient.textures.on(plane)
    skull = cavity_distance(plane, texture)
    paint_head(canvas, plane, skull, texture)
    tumour = ellipsoid(plane, patient.tumour, patient.radii)
    tumour = tumour + 2.4 * texture.slow + 0.9 * texture.medium
    inner = _displaced(plane, skull, patient)
    brain, white = paint_brain(
        canvas,
        inner,
        cavity_distance(inner, texture),
        texture,
        gyri=patient.gyri,
        ventricles=patient.ventricles,
    )
    lesion = _paint_lesion(canvas, tumour, brain, white, patient.cystic, texture)
    variation = 1 + 0.03 * texture.medium + 0.015 * texture.fine
    return canvas.image * variation, lesion


def _displaced(plane: Plane, skull: Field, patient: _Patient) -> Plane:
    """Return where the tissue at each point lay before the tumour pushed it aside."""
    offsets = [a - c for a, c in zip((plane.x, plane.y, plane.z), patient.tumour, strict=True)]
    reach = sum((o / (1.9 * r)) ** 2 for o, r in zip(offsets, patient.radii, strict=True))
    push = (0.3 * np.exp(-reach) * np.clip(-skull / 22, 0, 1)).astype(np.float32)
    return Plane(
        plane.x - push * np.float32(offsets[0]),
        plane.y - push * np.float32(offsets[1]),
        plane.z - push * np.float32(offsets[2]),
    )


def _paint_lesion(
    canvas: Canvas, tumour: Field, brain: Field, white: Field, cystic: float, texture: Texture
) -> Field:
    """Paint tumour and oedema into the brain; return the cover of both."""
    spread = 3.5 + 2.0 * texture.medium + 2.5 * texture.slow
    oedema = coverage(tumour - spread, 2.5) * white
    solid = coverage(tumour, 2.0) * brain
    canvas.paint(oedema, OEDEMA)
    canvas.paint(solid, TUMOUR)
    canvas.paint(cystic * coverage(tumour + 9 + 2 * texture.medium, 4.0) * brain, FLUID)
    return np.maximum(oedema, solid)
