"""What is inside the skull: lobes, folds, ventricles, vessels."""

from __future__ import annotations

import numpy as np

from TumorSegLib.phantom.head import (
    DURA,
    FLUID,
    GREY,
    PLEXUS,
    RIM,
    VESSEL,
    WHITE,
    Canvas,
)
from TumorSegLib.phantom.shapes import (
    Field,
    Noise,
    Plane,
    Texture,
    coverage,
    ellipsoid,
    tube,
    union,
)


def paint_brain(
    canvas: Canvas,
    plane: Plane,
    skull: Field,
    texture: Texture,
    *,
    gyri: Noise,
    ventricles: float,
) -> tuple[Field, Field]:
    """Paint what is inside the skull; return the cover of brain and of white matter.

    Args:
        canvas: to paint on.
        plane: where each point's tissue would lie without a tumour.
        skull: distance from the inside of the skull.
        texture: of the patient.
        gyri: field whose zero crossings are the folds of the cortex.
        ventricles: factor of their width.
    """
    canvas.paint(coverage(skull), DURA)
    canvas.paint(coverage(skull + 1.0), FLUID)

    cerebrum, cerebellum, stem = _lobes(plane, skull, texture)
    folds = _folds(plane, cerebrum, gyri, texture)
    fluid = np.minimum(folds, _fissures(plane, texture))
    cortex = np.maximum(cerebrum, -fluid)
    brain = coverage(cortex)
    canvas.paint(brain, GREY)
    ribbon = 2.8 + 0.4 * texture.medium
    white = coverage(cortex + ribbon, 1.6)
    canvas.paint(white, WHITE)

    for side in (-1.0, 1.0):
        half = plane.mirrored(side)
        nuclei = union(
            ellipsoid(half, (13.5, -22, 9), (5, 10, 11)),
            ellipsoid(half, (25, -4, 3), (5.5, 15, 10)),
        )
        thalamus = ellipsoid(half, (11.5, 10, 6), (8.5, 14, 9))
        deep = coverage(nuclei, 2.5) + 0.7 * coverage(thalamus, 3.0)
        canvas.paint(np.clip(deep, 0, 1) * brain, GREY)
    if np.min(plane.z) < 2:
        _paint_hindbrain(canvas, plane, cerebellum, stem, texture)

    chambers = _ventricles(plane, ventricles) + np.float32(0.5) * texture.medium
    canvas.paint(0.6 * coverage(chambers - 1.2, 2.2) * brain, RIM)
    canvas.paint(coverage(chambers), FLUID)
    _paint_vessels(canvas, plane, skull, fluid, texture)
    dry = coverage(-chambers)
    return np.maximum(brain, coverage(union(cerebellum, stem))) * dry, white * dry


def _lobes(plane: Plane, skull: Field, texture: Texture) -> tuple[Field, Field, Field]:
    """Return the distances from the cerebrum, the cerebellum and the brain stem."""
    stem = tube(plane, [(0, 2, -4, 13), (0, 8, -22, 12), (0, 11, -34, 13), (0, 18, -75, 8)])
    tentorium = 2 - 0.2 * np.abs(plane.x) - 0.24 * np.maximum(plane.y - 22, 0)
    tentorium = tentorium + texture.slow
    under = np.maximum(plane.z - tentorium, 14 + 0.3 * np.abs(plane.x) + 2 * texture.slow - plane.y)
    inside = skull + 3.0
    cerebellum = np.maximum(np.maximum(inside, under + 1.2), -(stem - 1.5))
    cisterns = np.maximum(
        union(stem - 3, ellipsoid(plane, (0, -6, -18), (13, 12, 9)), 3), plane.z + 8
    )
    cerebrum = np.maximum(np.maximum(inside, 1.2 - under), -cisterns)
    return cerebrum.astype(np.float32), cerebellum.astype(np.float32), stem


def _folds(plane: Plane, cerebrum: Field, gyri: Noise, texture: Texture) -> Field:
    """Return the distance from the fluid in the folds of the cortex.

    Folds are the zero crossings of a field that changes little along the radius, so that they
    run inwards from the surface; how deep, changes from place to place.
    """
    length = np.sqrt(plane.x**2 + plane.y**2 + (1.2 * plane.z) ** 2)
    inward = 62 / np.maximum(length, 35)
    wander = 2.5 * texture.slow + 1.2 * texture.medium
    fold = gyri.at(plane.x * inward + wander, plane.y * inward - wander, plane.z * 1.2 * inward)
    sheet = np.abs(fold) * np.float32(21 / (2 * np.pi))
    surface = np.maximum(cerebrum, ellipsoid(plane, (0, 0, 0), (66, 83, 62)))
    below = np.maximum(-surface - (14 + 5 * texture.medium), 0)
    width = 0.5 + 0.55 * np.clip(1 + surface / 12, 0, 1)
    deep_centre = np.maximum(46 - length, 0)
    distance: Field = (sheet + 0.9 * below + 0.4 * deep_centre - width).astype(np.float32)
    return distance


def _fissures(plane: Plane, texture: Texture) -> Field:
    """Return the distance from the fluid between the hemispheres and over the insulae."""
    wander = 0.9 * texture.slow
    core = ellipsoid(plane, (0, 2, 2), (40, 42, 24))
    fissures = np.maximum(np.abs(plane.x + wander) - 0.9, -core)
    for side in (-1.0, 1.0):
        half = plane.mirrored(side)
        wavy = 2.0 * texture.slow + 1.0 * texture.medium
        insula = np.abs(half.x - 39 - 0.006 * (plane.y - 2) ** 2 + wavy) - 0.9
        insula = np.maximum(insula, np.abs(plane.y - 2) - 16)
        opening = np.abs(plane.y + 10 - 0.45 * (half.x - 39) + 1.5 * wavy) - 1.2
        opening = np.maximum(opening, 38 - half.x)
        sylvian = np.maximum(np.minimum(insula, opening), np.abs(plane.z - 2) - 13)
        fissures = np.minimum(fissures, sylvian)
    return fissures.astype(np.float32)


def _ventricles(plane: Plane, width: float) -> Field:
    """Return the distance from lateral, third and fourth ventricle."""
    third = ellipsoid(plane, (0, 5, -1), (1.8, 12, 9))
    fourth = ellipsoid(plane, (0, 25, -32), (6, 4.5, 9))
    ventricles = union(third, fourth)
    horn = ((12.5, -35.0, 6.0, 2.0), (7.0, -24.0, 12.0, 4.2), (6.0, -6.0, 18.0, 3.6))
    body = ((6.0, -6.0, 18.0, 3.6), (10.0, 14.0, 20.0, 4.4), (21.0, 31.0, 10.0, 5.6))
    back = ((21.0, 31.0, 10.0, 5.6), (23.0, 44.0, 4.0, 3.2), (20.0, 54.0, 3.0, 1.4))
    low = ((21.0, 31.0, 10.0, 4.5), (31.0, 16.0, -10.0, 2.2), (33.0, -2.0, -18.0, 1.6))
    for side in (-1.0, 1.0):
        half = plane.mirrored(side)
        for path in (horn, body, back, low):
            chamber = tube(half, [(x, y, z, radius * width) for x, y, z, radius in path])
            ventricles = union(ventricles, np.maximum(chamber, 0.7 - half.x), 0.0)
    return ventricles


def _paint_hindbrain(
    canvas: Canvas, plane: Plane, cerebellum: Field, stem: Field, texture: Texture
) -> None:
    """Paint the cerebellum with its folia, and the brain stem."""
    below = np.clip(-plane.z / 6, 0, 1)
    canvas.paint(coverage(stem, 1.6) * below, WHITE)
    canvas.paint(0.3 * coverage(stem + 4, 4) * below, GREY)
    cover = coverage(cerebellum)
    canvas.paint(cover, GREY)
    rings = ellipsoid(plane, (0, 22, -34), (50, 36, 26)) + 1.5 * texture.slow + 0.6 * texture.medium
    folia = np.sin(rings * np.float32(2 * np.pi / 4.8))
    shallow = coverage(-(cerebellum + 16), 4)
    canvas.paint(0.3 * np.clip(folia, 0, 1) * shallow * cover, FLUID)
    canvas.paint(0.5 * np.clip(-folia, 0, 1) * cover, WHITE)
    for side in (-1.0, 1.0):
        core = ellipsoid(plane.mirrored(side), (20, 38, -34), (17, 14, 11))
        canvas.paint(coverage(core + texture.medium, 3) * cover, WHITE)
    vermis = np.maximum(np.abs(plane.x) - 0.8, 50 - plane.y)
    canvas.paint(0.6 * coverage(vermis) * cover, FLUID)


def _paint_vessels(
    canvas: Canvas, plane: Plane, skull: Field, fluid: Field, texture: Texture
) -> None:
    """Paint falx, sinuses, choroid plexus and arteries: dark in FLAIR, bright after contrast."""
    falx = np.maximum(np.abs(plane.x + 0.9 * texture.slow) - 0.35, skull + 1)
    falx = np.maximum(falx, -ellipsoid(plane, (0, 2, 6), (40, 52, 30)))
    falx = np.maximum(falx, 4 - plane.z - 0.25 * np.abs(plane.y))
    canvas.paint(0.6 * coverage(falx), DURA)
    sagittal = np.maximum(np.abs(plane.x) + np.abs(skull + 3) * 0.7 - 4.0, 10 - plane.z - plane.y)
    canvas.paint(coverage(sagittal), VESSEL)
    pial = np.maximum(np.maximum(fluid + 0.3, 1.35 - np.abs(texture.fine)), skull + 2)
    canvas.paint(0.5 * coverage(pial), VESSEL)
    for side in (-1.0, 1.0):
        half = plane.mirrored(side)
        plexus = tube(half, [(18, 27, 14, 1.2), (21, 33, 9, 2.2)])
        canvas.paint(0.7 * coverage(plexus), PLEXUS)
        carotid = tube(half, [(9, -22, -24, 2.2), (10, -20, -14, 2.0), (26, -18, -8, 1.4)])
        canvas.paint(coverage(carotid), VESSEL)
