"""The outside of a head: signals of its tissues, scalp, skull and face."""

from __future__ import annotations

import numpy as np

from TumorSegLib.phantom.shapes import (
    Field,
    Plane,
    Texture,
    coverage,
    ellipsoid,
    intersection,
    tube,
    union,
)

SEQUENCES = ("flair", "t1", "t1c")

Signal = tuple[float, float, float]
"""Brightness in FLAIR, T1 and T1 after contrast; white matter in T1 is 80."""

SKIN: Signal = (95, 95, 120)
FAT: Signal = (185, 205, 215)
MUSCLE: Signal = (58, 62, 80)
BONE: Signal = (8, 8, 9)
MARROW: Signal = (62, 85, 92)
FLUID: Signal = (13, 26, 27)
DURA: Signal = (34, 40, 120)
GREY: Signal = (84, 62, 67)
WHITE: Signal = (66, 80, 85)
RIM: Signal = (104, 74, 78)
TUMOUR: Signal = (138, 50, 55)
OEDEMA: Signal = (118, 60, 64)
VESSEL: Signal = (22, 34, 180)
PLEXUS: Signal = (60, 60, 190)
MUCOSA: Signal = (120, 60, 150)
AIR: Signal = (1, 1, 1)


class Canvas:
    """Three sequences painted at once, each shape over what lies there."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.image = np.ones((len(SEQUENCES), *shape), np.float32)

    def paint(self, cover: Field, signal: Signal) -> None:
        """Paint `signal` where `cover`, 0 to 1, says so."""
        for channel, value in zip(self.image, signal, strict=True):
            channel += cover * (np.float32(value) - channel)


def cavity_distance(plane: Plane, texture: Texture) -> Field:
    """Return the distance from the inside of the skull."""
    narrowing = 1 + 0.07 * np.tanh((12 - plane.y) / 35)  # the forehead is narrower
    head = Plane(plane.x * narrowing, plane.y, plane.z)
    floor = -18 + 0.15 * np.minimum(plane.y, 0) * -1
    cerebrum = intersection(ellipsoid(head, (0, 0, 0), (68, 85, 64)), floor - plane.z, 10)
    temporal = union(
        ellipsoid(plane, (43, -12, -20), (23, 35, 20)),
        ellipsoid(plane, (-43, -12, -20), (23, 35, 20)),
    )
    fossa = ellipsoid(plane, (0, 42, -32), (55, 38, 30))
    canal = tube(plane, [(0, 14, -20, 16), (0, 18, -75, 12)])
    cavity = union(union(cerebrum, temporal, 6), union(fossa, canal, 8), 6)
    return cavity + np.float32(0.8) * texture.slow


def paint_head(canvas: Canvas, plane: Plane, skull: Field, texture: Texture) -> None:
    """Paint skin, scalp, muscles, skull and, low down, the face."""
    vault = ellipsoid(plane, (0, -1, 0), (79, 98, 77))
    lower = ellipsoid(plane, (0, -4, -50), (72, 95, 75))
    nose = ellipsoid(plane, (0, -98, -48), (13, 16, 22))
    head = union(union(vault, lower, 20), nose, 12) + np.float32(0.7) * texture.slow
    canvas.paint(coverage(head), SKIN)
    canvas.paint(coverage(head + 1.8), FAT)
    if np.min(plane.z) < 0:
        muscle = np.maximum(head + 7 + 2 * texture.medium, plane.z + 10 + 0.15 * plane.y)
        canvas.paint(coverage(muscle), MUSCLE)
        between = np.maximum(muscle + 3, np.abs(texture.slow + 0.5 * texture.medium) - 0.14)
        canvas.paint(0.8 * coverage(between, 0.3), FAT)
    thickness = 6.5 + 0.8 * texture.medium
    canvas.paint(coverage(np.maximum(skull - thickness, head + 4.5)), BONE)
    diploe = np.abs(skull - thickness / 2) - 0.23 * thickness
    canvas.paint(0.9 * coverage(np.maximum(diploe, head + 6)), MARROW)
    if np.min(plane.z) < -6:
        _paint_face(canvas, plane, skull, texture)


def _paint_face(canvas: Canvas, plane: Plane, skull: Field, texture: Texture) -> None:
    """Paint orbits, nasal cavity and the air cells of the skull's base."""
    for side in (-1.0, 1.0):
        half = plane.mirrored(side)
        orbit = tube(half, [(32, -78, -31, 17), (30, -66, -31, 16), (14, -36, -29, 4)])
        orbit = np.maximum(orbit, 4 - skull)
        canvas.paint(coverage(orbit - 1.5), BONE)
        canvas.paint(0.8 * coverage(orbit), FAT)
        nerve = tube(half, [(31, -66, -31, 2.2), (15, -36, -29, 1.8)])
        lateral = tube(half, [(44, -74, -31, 1.4), (35, -54, -31, 2.4), (20, -40, -29, 1.2)])
        medial = tube(half, [(20, -74, -31, 1.4), (19, -56, -31, 2.2), (15, -40, -29, 1.2)])
        canvas.paint(coverage(union(nerve, union(lateral, medial))), MUSCLE)
        globe = ellipsoid(half, (32, -78, -31), (12, 12, 12))
        canvas.paint(coverage(globe), MUSCLE)
        canvas.paint(coverage(globe + 1.3), FLUID)
        canvas.paint(coverage(ellipsoid(half, (32, -87, -31), (4.5, 2, 4.5))), MUSCLE)
        petrous = tube(half, [(12, 4, -38, 5), (32, 14, -35, 7), (56, 22, -34, 9)])
        canvas.paint(coverage(petrous), BONE)
        mastoid = tube(half, [(46, 24, -42, 6), (58, 30, -48, 9)])
        canvas.paint(coverage(np.maximum(mastoid, 0.6 - 2 * texture.fine)), AIR)
    nasal = ellipsoid(plane, (0, -66, -44), (14, 27, 26))
    canvas.paint(coverage(nasal - 1.5), BONE)
    canvas.paint(coverage(nasal), MUCOSA)
    air = np.maximum(nasal + 2, 0.8 - 2.2 * np.abs(texture.fine + 0.3 * texture.medium))
    air = np.maximum(air, 1.4 - np.abs(plane.x + texture.slow))
    canvas.paint(coverage(air), AIR)
    sphenoid = ellipsoid(plane, (0, -24, -36), (13, 12, 9)) + texture.medium
    canvas.paint(coverage(sphenoid - 1.2), MUCOSA)
    canvas.paint(coverage(np.maximum(sphenoid, 0.8 - np.abs(plane.x - 2))), AIR)
