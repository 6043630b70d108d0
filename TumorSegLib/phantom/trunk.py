"""The trunk in CT around its abdominal organs: wall, cavity, lungs with the heart, bones."""

from __future__ import annotations

import numpy as np

from TumorSegLib.phantom.shapes import Field, Plane, Texture, coverage, ellipsoid, tube, union

AIR = -1000.0
TABLE = -30.0
SKIN = 20.0
FAT = -105.0
MUSCLE = 58.0
LUNG = -860.0
BLOOD_ARTERIAL = 165.0
BLOOD_VENOUS = 155.0
HEART = 125.0
PARENCHYMA = 108.0
LESION = 62.0
NECROSIS = 28.0
SPLEEN = 118.0
CORTEX = 175.0
MEDULLA = 130.0
URINE = 12.0
BILE = 8.0
WALL = 75.0
CONTENT = 25.0
PANCREAS = 92.0
SPONGIOSA = 190.0
CORTICAL = 620.0
CARTILAGE = 90.0
CORD = 32.0


class Canvas:
    """Hounsfield units, each shape painted over what lies there, and what stays of the liver."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.image = np.full(shape, AIR, np.float32)
        self.liver = np.zeros(shape, np.float32)
        self.tumour = np.zeros(shape, np.float32)

    def paint(self, cover: Field, hounsfield: float | Field) -> None:
        """Paint `hounsfield` where `cover`, 0 to 1, says so."""
        self.image += cover * (np.float32(hounsfield) - self.image)
        self.liver *= 1 - cover
        self.tumour *= 1 - cover


def paint_wall(canvas: Canvas, plane: Plane, fat: float, texture: Texture) -> Field:
    """Paint the table, skin, fat and muscles; return the distance from what the muscles hold.

    Args:
        canvas: to paint on.
        plane: of it.
        fat: thickness under the skin, mm.
        texture: on the plane.
    """
    table = np.maximum(np.abs(plane.y - 132 + plane.x**2 / 900) - 5, np.abs(plane.x) - 200)
    canvas.paint(coverage(table), TABLE)
    canvas.paint(coverage(table + 2.5), AIR)
    body = superellipse(plane, (0, 4), (162, 116)) + 2 * texture.slow
    wall = superellipse(plane, (0, 4), (162 - 1.1 * fat, 116 - fat))
    wall = wall + 2 * texture.slow + 1.0 * texture.medium
    canvas.paint(coverage(body), SKIN)
    canvas.paint(coverage(body + 2), FAT + 8 * texture.fine)
    canvas.paint(coverage(wall), MUSCLE + 6 * texture.fine)
    return wall


def superellipse(
    plane: Plane, centre: tuple[float, float], radii: tuple[float, float], power: float = 2.5
) -> Field:
    """Return the distance from an ellipse with fuller corners, the same at every height."""
    across = np.abs((plane.x - centre[0]) / radii[0]) ** power
    along = np.abs((plane.y - centre[1]) / radii[1]) ** power
    level = (across + along + 1e-6) ** (1 / power)
    distance: Field = ((level - 1) * min(radii)).astype(np.float32)
    return distance


def cavity_distance(plane: Plane, wall: Field, texture: Texture) -> Field:
    """Return the distance from the abdominal cavity, in front of spine and back muscles."""
    back = np.maximum(0, plane.y - 10) / 100
    cavity = wall + 11 + 14 * back
    for side in (-1.0, 1.0):
        half = plane.mirrored(side)
        paraspinal = tube(half, [(34, 86, -140, 26), (34, 86, 140, 26)])
        psoas = tube(half, [(26, 52, -10, 6), (34, 52, -110, 20)])
        cavity = np.maximum(cavity, -union(paraspinal, psoas, 6))
    return (cavity + texture.medium).astype(np.float32)


def paint_lungs(canvas: Canvas, plane: Plane, cavity: Field, texture: Texture) -> None:
    """Paint lungs with their vessels, and the heart between them."""
    lung = _lung_distance(plane, cavity, texture)
    cover = coverage(lung)
    canvas.paint(cover, LUNG + 18 * texture.medium)
    vessels = np.abs(texture.fine) + np.abs(texture.medium) - 0.22
    canvas.paint(0.8 * coverage(6 * vessels, 1.5) * coverage(lung + 5), 20.0)
    heart = ellipsoid(plane, (20, -40, 112), (58, 46, 34)) + 1.5 * texture.slow
    canvas.paint(coverage(np.maximum(heart, cavity + 3)), HEART)
    oesophagus = tube(plane, [(18, 12, 140, 8), (20, 12, 60, 7)])
    canvas.paint(coverage(np.maximum(oesophagus, 64 - plane.z + 0 * plane.x)), MUSCLE)
    aorta = np.maximum(tube(plane, [(10, 36, 30, 12), (10, 36, 140, 12)]), -cavity - 400)
    canvas.paint(coverage(aorta), BLOOD_ARTERIAL)


def _lung_distance(plane: Plane, cavity: Field, texture: Texture) -> Field:
    """Return the distance from the lungs, above the domes of the diaphragm."""
    right = ellipsoid(plane, (-76, 6, -20), (88, 100, 112))
    left = ellipsoid(plane, (76, 8, -34), (88, 104, 112))
    domes = union(union(right, left, 10), ellipsoid(plane, (0, -30, -20), (60, 60, 100)), 20)
    mediastinum = np.abs(plane.x - 6) - 24 - 26 * np.clip((10 - plane.y) / 60, 0, 1)
    lung = np.maximum(np.maximum(cavity + 2, 4 - domes), -mediastinum)
    rough: Field = (lung + 0.8 * texture.medium).astype(np.float32)
    return rough


def paint_bones(canvas: Canvas, plane: Plane, wall: Field, texture: Texture) -> None:
    """Paint vertebrae with discs between them, and ribs."""
    z = float(np.min(plane.z))
    height = (z + 400) % 36  # a vertebra and its disc
    body = superellipse(plane, (0, 56), (25, 19)) + 0.6 * texture.medium
    canvas.paint(coverage(body), CARTILAGE)
    if height < 29:
        edge = 1.8 if 2 < height < 27 else 30.0
        canvas.paint(coverage(body), CORTICAL)
        canvas.paint(coverage(body + edge), SPONGIOSA + 25 * texture.fine)
    canal = superellipse(plane, (0, 82), (11, 9))
    arch = np.abs(superellipse(plane, (0, 83), (17, 13))) - 3.2
    process = np.maximum(np.abs(plane.x) - 3.2, np.abs(plane.y - 99) - 8)
    transverse = np.maximum(np.abs(plane.y - 80) - 3.5, np.abs(np.abs(plane.x) - 28) - 13)
    posterior = np.minimum(arch, process)
    if height < 14:
        posterior = np.minimum(posterior, transverse)
    canvas.paint(coverage(posterior), CORTICAL)
    canvas.paint(coverage(posterior + 2), SPONGIOSA)
    canvas.paint(coverage(canal), CORD)
    around = np.arctan2(np.abs(plane.x), plane.y - 10)  # 0 at the back, pi in front
    along = (z + 140 * around / np.pi + 400) % 28 - 14
    rib = np.sqrt(1.8 * (wall + 7) ** 2 + (0.7 * along) ** 2) - 5.5
    last = 75 - 150 * around / np.pi + z  # ribs end above this spiral, in front and below
    rib = np.maximum(rib, np.maximum(22 - np.abs(plane.x), -last))
    canvas.paint(coverage(rib), CORTICAL)
    canvas.paint(coverage(rib + 2.0), SPONGIOSA)
