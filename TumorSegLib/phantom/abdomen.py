"""An upper abdomen in portal-venous phase CT, with two tumours in the liver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
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

LIVER = 1
TUMOUR = 2

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

NOISE_HU = 11.0


@dataclass(frozen=True)
class _Patient:
    """What differs between bodies: fat in mm, two tumours (x, y, z, radius), random fields."""

    fat: float
    tumours: tuple[tuple[float, float, float, float], ...]
    slow: Noise
    medium: Noise
    fine: Noise

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Patient:
        dome = (rng.uniform(-95, -75), rng.uniform(0, 25), rng.uniform(20, 45))
        low = (rng.uniform(-90, -70), rng.uniform(-10, 20), rng.uniform(-40, -15))
        tumours = (
            (*dome, float(rng.uniform(16, 24))),
            (*low, float(rng.uniform(8, 13))),
        )
        return cls(
            fat=float(rng.uniform(12, 22)),
            tumours=tumours,
            slow=Noise(rng, 70),
            medium=Noise(rng, 26),
            fine=Noise(rng, 11),
        )

    def texture(self, plane: Plane) -> Texture:
        return Texture(self.slow.on(plane), self.medium.on(plane), self.fine.on(plane))


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
    extent = [n * mm for n, mm in zip(shape[::-1], spacing, strict=True)]
    origin = (
        -(extent[0] - spacing[0]) / 2,
        -(extent[1] - spacing[1]) / 2 + 18,
        -(extent[2] - spacing[2]) / 2,
    )
    grid = Grid(shape, spacing, origin)
    columns = (origin[0] + spacing[0] * np.arange(shape[2])).astype(np.float32)
    rows = (origin[1] + spacing[1] * np.arange(shape[1])).astype(np.float32)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    voxels = np.empty(shape, np.int16)
    labelmap = np.zeros(shape, np.uint8)
    for index in range(shape[0]):
        plane = Plane(x, y, float(origin[2] + spacing[2] * index))
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


class _Canvas:
    """Hounsfield units, each shape painted over what lies there, and what stays of the liver."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.image = np.full(shape, AIR, np.float32)
        self.liver = np.zeros(shape, np.float32)
        self.tumour = np.zeros(shape, np.float32)

    def paint(self, cover: Field, hounsfield: float | Field) -> None:
        self.image += cover * (np.float32(hounsfield) - self.image)
        self.liver *= 1 - cover
        self.tumour *= 1 - cover


def _paint(plane: Plane, patient: _Patient) -> _Canvas:
    canvas = _Canvas(plane.x.shape)
    texture = patient.texture(plane)
    table = np.maximum(np.abs(plane.y - 132 + plane.x**2 / 900) - 5, np.abs(plane.x) - 200)
    canvas.paint(coverage(table), TABLE)
    canvas.paint(coverage(table + 2.5), AIR)

    body = _superellipse(plane, (0, 4), (162, 116)) + 2 * texture.slow
    wall = _superellipse(plane, (0, 4), (162 - 1.1 * patient.fat, 116 - patient.fat))
    wall = wall + 2 * texture.slow + 1.0 * texture.medium
    canvas.paint(coverage(body), SKIN)
    canvas.paint(coverage(body + 2), FAT + 8 * texture.fine)
    canvas.paint(coverage(wall), MUSCLE + 6 * texture.fine)
    cavity = _cavity(plane, wall, texture)
    canvas.paint(coverage(cavity), FAT + 6 * texture.fine)

    _paint_bowel(canvas, plane, cavity, texture)
    _paint_retroperitoneum(canvas, plane, texture)
    _paint_liver(canvas, plane, cavity, patient, texture)
    _paint_spleen_and_stomach(canvas, plane, cavity, texture)
    _paint_lungs(canvas, plane, cavity, texture)
    _paint_bones(canvas, plane, wall, texture)
    return canvas


def _superellipse(
    plane: Plane, centre: tuple[float, float], radii: tuple[float, float], power: float = 2.5
) -> Field:
    """Return the distance from an ellipse with fuller corners, the same at every height."""
    across = np.abs((plane.x - centre[0]) / radii[0]) ** power
    along = np.abs((plane.y - centre[1]) / radii[1]) ** power
    level = (across + along + 1e-6) ** (1 / power)
    distance: Field = ((level - 1) * min(radii)).astype(np.float32)
    return distance


def _cavity(plane: Plane, wall: Field, texture: Texture) -> Field:
    """Return the distance from the abdominal cavity, in front of spine and back muscles."""
    back = np.maximum(0, plane.y - 10) / 100
    cavity = wall + 11 + 14 * back
    for side in (-1.0, 1.0):
        half = plane.mirrored(side)
        paraspinal = tube(half, [(34, 86, -140, 26), (34, 86, 140, 26)])
        psoas = tube(half, [(26, 52, -10, 6), (34, 52, -110, 20)])
        cavity = np.maximum(cavity, -union(paraspinal, psoas, 6))
    return (cavity + texture.medium).astype(np.float32)


def _paint_bowel(canvas: _Canvas, plane: Plane, cavity: Field, texture: Texture) -> None:
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


def _paint_retroperitoneum(canvas: _Canvas, plane: Plane, texture: Texture) -> None:
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


def _paint_liver(
    canvas: _Canvas, plane: Plane, cavity: Field, patient: _Patient, texture: Texture
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
    for x, y, z, radius in patient.tumours:
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


def _paint_spleen_and_stomach(
    canvas: _Canvas, plane: Plane, cavity: Field, texture: Texture
) -> None:
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


def _lung(plane: Plane, cavity: Field, texture: Texture) -> Field:
    """Return the distance from the lungs, above the domes of the diaphragm."""
    right = ellipsoid(plane, (-76, 6, -20), (88, 100, 112))
    left = ellipsoid(plane, (76, 8, -34), (88, 104, 112))
    domes = union(union(right, left, 10), ellipsoid(plane, (0, -30, -20), (60, 60, 100)), 20)
    mediastinum = np.abs(plane.x - 6) - 24 - 26 * np.clip((10 - plane.y) / 60, 0, 1)
    lung = np.maximum(np.maximum(cavity + 2, 4 - domes), -mediastinum)
    rough: Field = (lung + 0.8 * texture.medium).astype(np.float32)
    return rough


def _paint_lungs(canvas: _Canvas, plane: Plane, cavity: Field, texture: Texture) -> None:
    """Paint lungs with their vessels, and the heart between them."""
    lung = _lung(plane, cavity, texture)
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


def _paint_bones(canvas: _Canvas, plane: Plane, wall: Field, texture: Texture) -> None:
    """Paint vertebrae with discs between them, and ribs."""
    z = float(np.min(plane.z))
    height = (z + 400) % 36  # a vertebra and its disc
    body = _superellipse(plane, (0, 56), (25, 19)) + 0.6 * texture.medium
    canvas.paint(coverage(body), CARTILAGE)
    if height < 29:
        edge = 1.8 if 2 < height < 27 else 30.0
        canvas.paint(coverage(body), CORTICAL)
        canvas.paint(coverage(body + edge), SPONGIOSA + 25 * texture.fine)
    canal = _superellipse(plane, (0, 82), (11, 9))
    arch = np.abs(_superellipse(plane, (0, 83), (17, 13))) - 3.2
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
