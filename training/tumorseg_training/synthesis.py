"""CT images made from label volumes, to widen contrast, field of view and anatomy.

Where only masks of structures exist, an image is painted from them: every structure gets a random
but plausible attenuation, a texture and, with its neighbours, the blur and noise of a scanner. The
idea is SynthSeg's (Billot et al. 2023, arXiv 2107.09559), with intensities confined to what the
tissue can have in Hounsfield units.

A label volume is an `.npz` file with `shape` (z, y, x), `spacing_zyx` in mm, and one packed-bit
array a structure. `skin` is the whole body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from tumorseg_training.case import Case, LabelledCase, ReaderOptions
from tumorseg_training.code_version import version_of
from tumorseg_training.config import Synthesis
from tumorseg_training.labelling import LabelError, value_of
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, Vector
from TumorSegLib.image.volume import Volume

BODY = "skin"
LIVER = "liver"
AIR_HU = -1000.0

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Tissue:
    """What attenuation a structure can have.

    Attributes:
        pattern: of the structure's name.
        low: smallest mean in HU.
        high: largest mean in HU.
        texture: largest amplitude of its inner variation in HU.
    """

    pattern: str
    low: float
    high: float
    texture: float


TISSUES = (
    Tissue("*lung*", -900, -720, 40),
    Tissue("bone", 180, 700, 150),
    Tissue("artery", 60, 380, 10),
    Tissue("vena*", 40, 220, 10),
    Tissue("venoussystem", 40, 220, 10),
    Tissue("*kidney*", 30, 220, 20),
    Tissue("gallbladder", -5, 25, 5),
    Tissue("biliarysystem", -5, 25, 5),
    Tissue("*surrenal*", 20, 100, 10),
    Tissue("*surretumor*", 10, 90, 15),
    Tissue("spleen", 45, 150, 10),
    Tissue("stomach", -20, 60, 30),
    Tissue("pancreas", 20, 110, 15),
    Tissue("stones", 200, 1200, 50),
    Tissue("metal", 2000, 3000, 50),
)
OTHER_TISSUE = Tissue("*", 20, 110, 12)
LIVER_TISSUE = Tissue(LIVER, 35, 150, 10)


def synthetic_cases(synthesis: Synthesis, reading: ReaderOptions, *, seed: int) -> tuple[Case, ...]:
    """List the images to make of the label volumes in a folder.

    Raises:
        InputError: there are none, or the model is not for CT.
        LabelError: the mapping names a value that is not among the model's.
    """
    folder = Path(synthesis.folder).expanduser()
    if reading.modality != "CT":
        raise InputError("synthesis: makes CT images, the model is not for CT")
    if surplus := sorted(set(synthesis.labels.values()) - {0, *reading.values}):
        raise LabelError(f"synthesis.labels: value {surplus[0]} is not among the model's")
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise InputError(f"{folder}: no label volumes (.npz) to synthesise images from")
    channel = reading.channels[0].name
    cases = []
    code = version_of([Path(__file__)])
    for index, path in enumerate(paths):
        patient = synthesis.patients.get(path.stem, path.stem)
        for variant in range(synthesis.variants):
            source = (seed, index, variant)
            decode = partial(decode_label_volume, path, synthesis.labels, channel, source)
            recipe = f"synthesis {code} {dict(synthesis.labels)} {channel} {source}"
            name = f"synthetic-{path.stem}-{variant}"
            cases.append(Case(name, patient, (path,), decode, recipe))
    return tuple(cases)


def decode_label_volume(
    path: Path, labels: Mapping[str, int], channel: str, seed: tuple[int, ...]
) -> LabelledCase:
    """Read a label volume and make one image of it.

    Raises:
        InputError: the file is not a label volume.
    """
    structures, spacing = read_label_volume(path)
    random = np.random.default_rng(seed)
    structures = some_slices(structures, random)
    tumour = next((name for name in structures if fnmatchcase(name, "livertumo*")), None)
    if LIVER in structures and any(fnmatchcase("livertumor", pattern) for pattern in labels):
        extra = lesions(structures[LIVER], spacing, random)
        structures[tumour or "livertumor"] = structures.get(tumour or "", extra) | extra
    image = synthesise(structures, spacing, random)
    zoom = random.uniform(0.88, 1.12)
    mm = (spacing[2] * zoom, spacing[1] * zoom, spacing[0] * random.uniform(0.9, 1.1))
    grid = Grid((image.shape[0], image.shape[1], image.shape[2]), mm)
    labelmap = np.zeros(image.shape, np.uint8)
    order = list(labels.values())
    mapped = [(name, value_of(name, labels)) for name in structures]
    painted = [(name, value) for name, value in mapped if value is not None]
    for name, value in sorted(painted, key=lambda item: order.index(item[1])):
        labelmap[structures[name]] = value
    return LabelledCase({channel: Volume(image, grid, "CT", path.stem)}, labelmap)


def read_label_volume(path: Path) -> tuple[dict[str, Mask], Vector]:
    """Return the structures (z, y, x) of a label volume and its spacing in the same order.

    Raises:
        InputError: the file is not a label volume.
    """
    try:
        with np.load(path) as content:
            shape = tuple(int(size) for size in content["shape"])
            z, y, x = (float(mm) for mm in content["spacing_zyx"])
            names = [name for name in content.files if name not in ("shape", "spacing_zyx")]
            structures = {
                name: np.unpackbits(content[name])[: int(np.prod(shape))].reshape(shape) > 0
                for name in names
            }
    except (OSError, KeyError, ValueError, BadZipFile):
        raise InputError(f"{path.name}: not a label volume") from None
    if BODY not in structures:
        raise InputError(f"{path.name}: has no structure {BODY!r}, the whole body")
    return structures, (z, y, x)


def some_slices(structures: dict[str, Mask], random: Generator) -> dict[str, Mask]:
    """Cut a random range of at least half the slices, as scans start and end anywhere."""
    count = len(structures[BODY])
    kept = int(random.uniform(0.5, 1.0) * count)
    start = int(random.integers(0, count - kept + 1))
    cut = {name: mask[start : start + kept] for name, mask in structures.items()}
    return {name: mask for name, mask in cut.items() if mask.any() or name == BODY}


def lesions(liver: Mask, spacing: Vector, random: Generator, most: int = 4) -> Mask:
    """Return up to `most` lumpy ellipsoids of 4 to 28 mm radius inside the liver."""
    found = np.zeros(liver.shape, np.bool_)
    inside = np.flatnonzero(liver)
    if inside.size == 0:
        return found
    for _ in range(int(random.integers(0, most + 1))):
        centre = np.unravel_index(random.choice(inside), liver.shape)
        radius = np.exp(random.uniform(np.log(4), np.log(28)))
        radii = radius * random.uniform(0.75, 1.3, size=3)
        reach = [int(np.ceil(1.6 * r / mm)) for r, mm in zip(radii, spacing, strict=True)]
        box = tuple(
            slice(max(0, int(c) - n), min(size, int(c) + n + 1))
            for c, n, size in zip(centre, reach, liver.shape, strict=True)
        )
        axes = [
            (np.arange(part.start, part.stop) - c) * mm / r
            for part, c, mm, r in zip(box, centre, spacing, radii, strict=True)
        ]
        z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
        distance = np.sqrt(z**2 + y**2 + x**2)
        lumps = smooth_field(distance.shape, spacing, radius / 2 + 2, random)
        found[box] |= (distance + 0.2 * lumps < 1) & liver[box]
    return found


def synthesise(structures: Mapping[str, Mask], spacing: Vector, random: Generator) -> Image:
    """Return an image (z, y, x) in HU of the structures, as one random scanner would see it."""
    body = structures[BODY]
    image = np.full(body.shape, AIR_HU, np.float32)
    add_table(image, body, spacing, random)
    fill_body(image, body, spacing, random)
    liver_hu = random.uniform(LIVER_TISSUE.low, LIVER_TISSUE.high)
    by_size = sorted(
        (name for name in structures if name != BODY), key=lambda name: -structures[name].sum()
    )
    for name in by_size:  # small structures lie within or on top of large ones
        mean, texture = attenuation(name, liver_hu, random)
        amplitude = random.uniform(0.3, 1.0) * texture
        field = smooth_field(body.shape, spacing, random.uniform(3, 12), random)
        mask = structures[name]
        image[mask] = mean + amplitude * field[mask]
    return scanned(image, spacing, random)


def attenuation(name: str, liver_hu: float, random: Generator) -> tuple[float, float]:
    """Return the mean in HU and the largest texture of a structure, given the liver's mean."""
    lowered = name.lower()
    if lowered == LIVER:
        return liver_hu, LIVER_TISSUE.texture
    if fnmatchcase(lowered, "liver*yst*"):
        return random.uniform(-5, 20), 4
    if fnmatchcase(lowered, "livertumo*"):
        darker = random.random() < 0.85
        difference = random.uniform(-75, -12) if darker else random.uniform(12, 50)
        return max(5.0, liver_hu + difference), 15
    if fnmatchcase(lowered, "portalvein*"):
        return liver_hu + random.uniform(-15, 90), 8
    fitting = (tissue for tissue in TISSUES if fnmatchcase(lowered, tissue.pattern))
    tissue = next(fitting, OTHER_TISSUE)
    return random.uniform(tissue.low, tissue.high), tissue.texture


def fill_body(image: Image, body: Mask, spacing: Vector, random: Generator) -> None:
    """Paint fat under the skin, and fat, soft tissue and a little gas between the organs."""
    depth = np.stack([ndimage.distance_transform_edt(part, spacing[1:]) for part in body])
    uneven = smooth_field(body.shape, spacing, 60, random)
    thickness = random.uniform(4, 30) * np.clip(1 + 0.3 * uneven, 0.3, 2)
    fat, soft = random.uniform(-120, -80), random.uniform(30, 75)
    blobs = smooth_field(body.shape, spacing, random.uniform(6, 16), random)
    fatty = (depth < thickness) | (blobs > random.uniform(-0.3, 1.0))
    inner = np.where(fatty, np.float32(fat), np.float32(soft))
    inner += random.uniform(4, 12) * smooth_field(body.shape, spacing, 5, random)
    gas = smooth_field(body.shape, spacing, 14, random) > random.uniform(1.9, 3.0)
    inner[gas & (depth > 35)] = random.uniform(-980, -700)
    skin = depth < random.uniform(1.0, 3.0)
    inner[skin] = random.uniform(-20, 40)
    image[body] = inner[body]


def add_table(image: Image, body: Mask, spacing: Vector, random: Generator) -> None:
    """Paint the couch as a thin curved sheet under the body, in most images."""
    if random.random() < 0.2 or not body.any():
        return
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    width = image.shape[2] * spacing[2]
    x = np.arange(image.shape[2]) * spacing[2] - width / 2
    sag = random.uniform(0, 0.0012)
    top = (rows[-1] + 1) * spacing[1] + random.uniform(0, 15) - sag * x**2
    y = np.arange(image.shape[1])[:, None] * spacing[1]
    sheet = (y >= top) & (y < top + random.uniform(2, 8)) & (np.abs(x) < random.uniform(180, 260))
    core = (y >= top) & (y < top + random.uniform(20, 60)) & (np.abs(x) < 180)
    image[:, core] = random.uniform(-980, -850)
    image[:, sheet] = random.uniform(-500, 120)


def scanned(image: Image, spacing: Vector, random: Generator) -> Image:
    """Return the image with a scanner's blur, shading, noise and field of view."""
    sigma = random.uniform(0.4, 1.1)
    through = random.uniform(0.0, 0.6)
    blurred: Image = ndimage.gaussian_filter(image, (through, sigma, sigma))
    blurred += random.uniform(0, 6) * smooth_field(image.shape, spacing, 80, random)
    grain = random.uniform(0.5, 1.2)
    noise = random.standard_normal(image.shape, np.float32)
    noise = ndimage.gaussian_filter(noise, (0, grain, grain))
    blurred += noise * np.float32(random.uniform(4, 28) / max(float(noise.std()), 1e-6))
    if random.random() < 0.7:
        rows, columns = image.shape[1:]
        y = np.arange(rows)[:, None] - (rows - 1) / 2
        x = np.arange(columns) - (columns - 1) / 2
        outside = np.hypot(y, x) > random.uniform(0.43, 0.5) * max(rows, columns)
        blurred[:, outside] = -1024
    return np.clip(blurred, -1024, 3071)


def smooth_field(
    shape: tuple[int, ...], spacing: Vector, scale_mm: float, random: Generator
) -> Image:
    """Return normally distributed values that vary over about `scale_mm`, mean 0, deviation 1."""
    step = max(scale_mm / 2, max(spacing) / 2)
    coarse = [int(np.ceil(n * mm / step)) + 3 for n, mm in zip(shape, spacing, strict=True)]
    values = ndimage.gaussian_filter(random.standard_normal(coarse, np.float32), 1.0)
    field = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size=shape, mode="trilinear", align_corners=True
    )[0, 0].numpy()
    normalised: Any = (field - values.mean()) / max(float(values.std()), 1e-6)
    return np.asarray(normalised, np.float32)
