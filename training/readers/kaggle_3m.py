"""The LGG brain-MRI segmentation set as published on Kaggle (`kaggle_3m`).

A folder a patient with `<patient>_<n>.tif`, 256x256 RGB of pre-contrast T1, FLAIR and post-contrast
T1, and `<patient>_<n>_mask.tif`, 0 or 255 where FLAIR is abnormal. Slices are axial, from inferior
to superior. The files carry no spacing: 0.9 mm in plane and 5 mm between slices are assumed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.case import Annotated, Case, CaseList, Unusable
from TumorSegLib.grid import Grid
from TumorSegLib.volume import Volume

CHANNELS = ("t1", "flair", "t1c")
ASSUMED_SPACING = (0.9, 0.9, 5.0)


def read_kaggle_3m(folder: Path) -> CaseList:
    """List the patients below `folder`."""
    cases: list[Case] = []
    unusable: list[Unusable] = []
    for patient in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = {_number(path): path for path in patient.glob("*[0-9].tif")}
        masks = {_number(path, "_mask"): path for path in patient.glob("*_mask.tif")}
        if not images or images.keys() != masks.keys():
            unpaired = sorted(images.keys() ^ masks.keys())
            reason = f"slices without partner: {unpaired}" if images else "no slices"
            unusable.append(Unusable(patient.name, reason))
            continue
        pairs = tuple((images[number], masks[number]) for number in sorted(images))
        files = tuple(path for pair in pairs for path in pair)
        decode = partial(_decode, patient.name, pairs)
        cases.append(Case(patient.name, patient.name, files, decode))
    return CaseList(tuple(cases), tuple(unusable))


def _decode(name: str, pairs: tuple[tuple[Path, Path], ...]) -> Annotated:
    images = np.stack([_pixels(image) for image, _ in pairs])
    masks = np.stack([_pixels(mask) for _, mask in pairs])
    grid = Grid((masks.shape[0], masks.shape[1], masks.shape[2]), ASSUMED_SPACING)
    volumes = {
        channel: Volume(np.ascontiguousarray(images[..., index]), grid, "MR", name)
        for index, channel in enumerate(CHANNELS)
    }
    return Annotated(volumes, (masks > 127).astype(np.uint8))


def _pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def _number(path: Path, suffix: str = "") -> int:
    return int(path.stem.removesuffix(suffix).rsplit("_", 1)[1])
