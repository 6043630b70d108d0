"""The LGG brain-MRI segmentation set as published on Kaggle (`kaggle_3m`).

A folder a patient with `<patient>_<n>.tif`, 256x256 RGB of pre-contrast T1, FLAIR and post-contrast
T1, and `<patient>_<n>_mask.tif`, not 0 where FLAIR is abnormal. Slices are axial, from inferior
to superior. The files carry no spacing: 0.9 mm in plane and 5 mm between slices are assumed.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from tumorseg_training.case import Case, CaseList, LabelledCase, ReaderOptions, SkippedCase
from tumorseg_training.labelling import model_values
from tumorseg_training.readers.meaning import GLIOMA
from tumorseg_training.readers.numbering import by_number, missing_slices
from tumorseg_training.readers.pictures import read_picture, why_unpaired
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, Vector
from TumorSegLib.image.volume import Volume

CHANNELS = ("t1", "flair", "t1c")
ASSUMED_SPACING = (0.9, 0.9, 5.0)


def read_kaggle_3m(folder: Path, reading: ReaderOptions) -> CaseList:
    """List the patients below `folder`; the mask is label 1.

    Raises:
        LabelError: that is something else to the model, and `data.labels` does not map it.
    """
    GLIOMA.check("kaggle_3m", reading)
    cases: list[Case] = []
    unusable: list[SkippedCase] = []
    for patient in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = _numbered(patient, r"_(\d+)\.tif")
        masks = _numbered(patient, r"_(\d+)_mask\.tif")
        reason = why_unpaired(images, masks, patient)
        if reason is not None:
            unusable.append(SkippedCase(patient.name, reason))
            continue
        pairs = tuple((images[number][0], masks[number][0]) for number in sorted(images))
        files = tuple(path for pair in pairs for path in pair)
        spacing = reading.spacing or ASSUMED_SPACING
        wanted = tuple(c.name for c in reading.channels if c.name in CHANNELS)
        decode = partial(_decode, patient.name, pairs, spacing, wanted, reading)
        recipe = f"{wanted} {spacing} {dict(reading.labels)}"
        notes = missing_slices(images)
        cases.append(Case(patient.name, patient.name, files, decode, recipe, notes))
    return CaseList(tuple(cases), tuple(unusable))


def _numbered(folder: Path, pattern: str) -> dict[int, list[Path]]:
    """Return the files whose names end like `pattern`, by the number in it."""
    found = ((re.search(f"{pattern}$", path.name), path) for path in folder.iterdir())
    return by_number((int(match[1]), path) for match, path in found if match is not None)


def _decode(
    name: str,
    pairs: tuple[tuple[Path, Path], ...],
    spacing: Vector,
    channels: tuple[str, ...],
    reading: ReaderOptions,
) -> LabelledCase:
    shape = read_picture(pairs[0][1]).shape[:2]
    images = np.empty((len(pairs), *shape, 3), np.uint8)
    masks = np.empty((len(pairs), *shape), np.uint8)
    for index, (image, mask) in enumerate(pairs):
        for path, target, colours in ((image, images[index], "RGB"), (mask, masks[index], None)):
            pixels = read_picture(path, colours)
            if pixels.shape != target.shape:
                raise InputError(
                    f"{path.name}: found shape {pixels.shape}, expected {target.shape}"
                )
            target[:] = pixels
    grid = Grid((masks.shape[0], masks.shape[1], masks.shape[2]), spacing)
    volumes = {
        channel: Volume(
            np.ascontiguousarray(images[..., CHANNELS.index(channel)]), grid, "MR", name
        )
        for channel in channels
    }
    return LabelledCase(volumes, model_values((masks > 0).astype(np.uint8), reading, name))
