"""The organs of the upper abdomen in portal-venous phase CT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from TumorSegLib.phantom.shapes import Field, Plane, Texture, coverage, ellipsoid, tube, union
from TumorSegLib.phantom.trunk import (
    AIR,
    BILE,
    BLOOD_ARTERIAL,
    BLOOD_VENOUS,
    CONTENT,
    CORTEX,
    FAT,
    LESION,
    MEDULLA,
    NECROSIS,
    PANCREAS,
    PARENCHYMA,
    SPLEEN,
    URINE,
    WALL,
    Canvas,
)

Sphere = tuple[float, float, float, float]
"""Centre (x, y, z) and radius, LPS mm."""


def paint_bowel(canvas: Canvas, plane: Plane, cavity: Field, texture: Texture) -> None:
    """Paint loops of bowel, with some gas, in front and below."""
    region = np.maximum(cavity + 6, plane.z + 12 + 0.25 * plane.y)
    region = np.maximum(region, plane.y - 40)
    loops = 15 - 19 * np.abs(texture.medium + 0.35 * texture.slow)
    outside = np.maximum(region, -loops)
    canvas.paint(coverage(outside), WALL)
    canvas.paint(coverage(outside + 3), CONTENT + 10 * texture.fine)
    front = np.maximum(outside + 4, plane.y + 18 + 10 * texture.slow)
    canvas.paint(coverage(np.maximum(front, 8 - 9 * texture.slow)), AIR + 60)
    for path in (
        [(-112, 28, -140, 22), (-108, 10, -62, 24), (-80, -40, -52, 17)],
        [(112, 34, -140, 15), (116, 26, -20, 17), (104, -30, 10, 16)],
    ):
        colon = np.maximum(tube(plane, path) + 2.5 * texture.fine, cavity + 3)
        canvas.paint(coverage(colon), WALL)
        canvas.paint(coverage(colon + 2.5), CONTENT + 30 * texture.fine)
        gas = np.maximum(colon + 5, plane.y - 18 + 10 * texture.slow)
        canvas.paint(coverage(np.maximum(gas, 1 - 2 * texture.fine)), AIR + 60)


def paint_retroperitoneum(canvas: Canvas, plane: Plane, texture: Texture) -> None:
    """Paint great vessels, kidneys and pancreas."""
    aorta = tube(plane, [(12, 34, -140, 9), (10, 36, 140, 12)])
    cava = tube(plane, [(-16, 30, -140, 11), (-20, 22, 20, 12), (-24, 8, 75, 13)])
    pancreas = tube(
        plane, [(-34, -2, -34, 14), (-12, -8, -24, 11), (28, 2, -14, 10), (70, 22, 4, 9)]
    )
    pancreas = pancreas + 2.5 * texture.fine + 1.5 * texture.medium
    canvas.paint(coverage(pancreas), PANCREAS)
    for side, lower in ((-1.0, -14.0), (1.0, 0.0)):
        along = plane.z - lower + 40
        half = plane.mirrored(side)
        tilted = Plane(half.x - 68 - 0.16 * along, plane.y - 58 + 0.1 * along, along)
        kidney = ellipsoid(tilted, (0, 0, 0), (27, 25, 55)) + 0.8 * texture.medium
        canvas.paint(coverage(kidney), CORTEX)
        pyramids = kidney + 7 + 5 * np.clip(texture.fine, -1, 1)
        canvas.paint(coverage(pyramids, 3), MEDULLA)
        sinus = ellipsoid(tilted, (-13, -5, 0), (17, 9, 26)) + 1.5 * texture.fine
        canvas.paint(coverage(sinus), FAT)
        canvas.paint(coverage(ellipsoid(tilted, (-12, -4, 0), (8, 4, 14))), URINE)
        vein = tube(tilted, [(-12, -6, 2, 4.5), (-50, -24, 8, 5)])
        canvas.paint(coverage(vein), BLOOD_VENOUS)
    mesenteric = tube(plane, [(6, 10, -140, 4), (8, 18, 0, 4), (10, 30, 12, 4)])
    canvas.paint(coverage(union(aorta, mesenteric)), BLOOD_ARTERIAL)
    canvas.paint(coverage(cava), BLOOD_VENOUS)


def paint_liver(
    canvas: Canvas, plane: Plane, cavity: Field, tumours: Sequence[Sphere], texture: Texture
) -> None:
    """Paint the liver with its vessels and tumours, and the gall bladder."""
    right = ellipsoid(plane, (-74, 8, 12), (73, 84, 78))
    left = ellipsoid(plane, (-6, -48, 34), (78, 36, 42))
    liver = union(right, left, 26) + 2.0 * texture.slow + 0.8 * texture.medium
    liver = np.maximum(liver, cavity + 2.5)
    hilum = union(
        ellipsoid(plane, (-22, 20, -30), (34, 34, 44)),
        ellipsoid(plane, (6, 14, 20), (26, 34, 80)),
        8,
    )
    liver = np.maximum(liver, -hilum)
    ligament = np.maximum(np.abs(plane.x + 22 + 0.3 * (plane.y + 70)) - 2.5, plane.y + 48)
    liver = np.maximum(liver, -np.maximum(ligament, plane.z - 30)).astype(np.float32)
    cover = coverage(liver)
    canvas.paint(cover, PARENCHYMA + 3 * texture.fine + 3 * texture.medium)

    wander = Plane(plane.x + 5 * texture.medium, plane.y + 5 * texture.slow, plane.z)
    portal = [
        tube(wander, [(-24, 4, -10, 7), (-46, -2, 4, 6), (-76, 4, 8, 4.5), (-112, 20, 10, 2)]),
        tube(wander, [(-76, 4, 8, 4), (-92, -28, 0, 2.5), (-104, -46, -8, 1.2)]),
        tube(wander, [(-76, 4, 8, 4), (-98, 30, -18, 2.5), (-110, 44, -42, 1.2)]),
        tube(wander, [(-46, -2, 4, 5), (-34, -40, 28, 4), (-2, -56, 34, 2.5), (36, -60, 34, 1)]),
    ]
    hepatic = [
        tube(wander, [(-24, 10, 72, 6), (-68, 24, 52, 4.5), (-110, 40, 24, 2)]),
        tube(wander, [(-24, 8, 72, 5.5), (-54, -24, 48, 4), (-70, -56, 16, 2)]),
        tube(wander, [(-22, 4, 72, 5), (-6, -34, 56, 3.5), (22, -52, 46, 1.5)]),
    ]
    for vessel in portal + hepatic:
        canvas.paint(coverage(vessel) * cover, BLOOD_VENOUS)

    tumour = np.zeros_like(cover)
    for x, y, z, radius in tumours:
        mass = ellipsoid(plane, (x, y, z), (radius, 0.9 * radius, radius))
        mass = mass + 0.09 * radius * (texture.medium + 0.5 * texture.fine)
        inside = coverage(mass, 2.5) * cover
        canvas.paint(inside, LESION + 5 * texture.fine)
        canvas.paint(coverage(mass + 0.55 * radius, 5) * cover, NECROSIS)
        tumour = np.maximum(tumour, inside)

    canvas.liver, canvas.tumour = cover, tumour
    bladder = tube(plane, [(-54, -44, -34, 13), (-46, -32, -20, 9), (-38, -20, -14, 4)])
    canvas.paint(coverage(bladder - 1.5), WALL)
    canvas.paint(coverage(bladder), BILE)


def paint_spleen_and_stomach(canvas: Canvas, plane: Plane, cavity: Field, texture: Texture) -> None:
    """Paint the spleen and a stomach with gas above fluid; the patient lies on the back."""
    spleen = ellipsoid(plane, (104, 46, 28), (40, 52, 54)) + 1.2 * texture.medium
    hollow = ellipsoid(plane, (60, 12, 20), (34, 42, 60))
    spleen = np.maximum(np.maximum(spleen, cavity + 3), -hollow)
    canvas.paint(coverage(spleen), SPLEEN + 2 * texture.fine)
    stomach = tube(
        plane, [(66, 16, 58, 24), (66, -26, 24, 30), (40, -58, -12, 20), (4, -58, -22, 13)]
    )
    stomach = np.maximum(stomach + 1.5 * texture.medium, cavity + 3)
    canvas.paint(coverage(stomach), WALL)
    canvas.paint(coverage(stomach + 4.5 + 1.5 * texture.fine), CONTENT + 5 * texture.fine)
    canvas.paint(coverage(np.maximum(stomach + 5, plane.y + 46)), AIR + 40)
