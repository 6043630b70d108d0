"""Slices as pictures (`png_pairs`): a folder a case with `<n>.png` and `<n>_mask.png`.

Slices are axial, numbered from inferior to superior. Where they come from CT, `data.window` says
which Hounsfield units black and white stand for; `data.spacing` says what the files cannot. A
`volumes.json` in the folder may give each case, by its number, the `group` that is its patient and
its own `spacing`, [x, y, z] in mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.case import Case, CaseList, LabelledCase, ReaderOptions, SkippedCase
from tumorseg_training.labelling import model_values
from tumorseg_training.readers.numbering import by_number, missing_slices
from tumorseg_training.readers.pictures import read_picture, why_unpaired
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid, Vector
from TumorSegLib.image.volume import Volume
from TumorSegLib.support.schema import parsed


def read_png_pairs(folder: Path, reading: ReaderOptions) -> CaseList:
    """List the cases below `folder`.

    Raises:
        InputError: neither `reading` nor the folder says how far apart a case's voxels are.
    """
    known = _known(folder / "volumes.json")
    cases: list[Case] = []
    unusable: list[SkippedCase] = []
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        images, masks = _slices(case, reading.mask_suffix)
        reason = why_unpaired(images, masks, case)
        if reason is not None:
            unusable.append(SkippedCase(case.name, reason))
            continue
        pairs = tuple((images[number][0], masks[number][0]) for number in sorted(images))
        notes = missing_slices(images)
        number = case.name.rsplit("-", 1)[-1]
        entry = known.get(number, {})
        patient = str(entry.get("group", number if number in known else case.name))
        own = replace(reading, spacing=_spacing(entry, case.name) or reading.spacing)
        if own.spacing is None:
            raise InputError(
                "data.spacing: missing; pictures carry no spacing, expected [x, y, z] in mm"
            )
        files = tuple(path for pair in pairs for path in pair)
        recipe = f"{[c.name for c in reading.channels]} {dict(reading.labels)} {reading.window}"
        decode = partial(_decode, case.name, pairs, own)
        cases.append(Case(case.name, patient, files, decode, f"{recipe} {own.spacing}", notes))
    return CaseList(tuple(cases), tuple(unusable))


def _known(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return what `volumes.json` says of the cases, by number."""
    if not path.is_file():
        return {}
    try:
        content = parsed(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(e, dict) for e in content.values()):
        raise InputError(f"{path}: expected {{number of a case: {{group, spacing}}}}")
    return content


def _spacing(entry: Mapping[str, Any], case: str) -> Vector | None:
    """Return the spacing of a case's own, if it has one."""
    spacing = entry.get("spacing")
    if spacing is None:
        return None
    try:
        x, y, z = (float(mm) for mm in spacing)
    except (TypeError, ValueError):
        x = y = z = 0.0
    if not min(x, y, z) > 0:
        raise InputError(f"volumes.json: {case}: spacing is {spacing!r}, expected [x, y, z] in mm")
    return x, y, z


def _slices(case: Path, suffix: str) -> tuple[dict[int, list[Path]], dict[int, list[Path]]]:
    """Return images and masks by slice number; other files are left alone."""
    images: list[tuple[int, Path]] = []
    masks: list[tuple[int, Path]] = []
    for path in case.glob("*.png"):
        number = path.stem.removesuffix(suffix)
        if number.isdecimal():
            (masks if path.stem.endswith(suffix) else images).append((int(number), path))
    return by_number(images), by_number(masks)


def _decode(
    name: str, pairs: tuple[tuple[Path, Path], ...], reading: ReaderOptions
) -> LabelledCase:
    assert reading.spacing is not None
    colours = "L" if len(reading.channels) == 1 else "RGB"
    images = _stack([image for image, _ in pairs], colours)
    masks = _stack([mask for _, mask in pairs])
    if masks.ndim != 3 or images.shape[:3] != masks.shape:
        raise InputError(f"{name}: pictures have shape {images.shape[1:]}, masks {masks.shape[1:]}")
    planes = images[..., None] if images.ndim == 3 else images
    if planes.shape[-1] < len(reading.channels):
        raise InputError(
            f"{name}: pictures have {planes.shape[-1]} channels, the model {len(reading.channels)}"
        )
    if any(_says_more(planes, extra) for extra in range(len(reading.channels), planes.shape[-1])):
        raise InputError(
            f"{name}: pictures are coloured, {planes.shape[-1]} channels, and the model takes"
            f" {len(reading.channels)}; save them in shades of grey"
        )
    grid = Grid((masks.shape[0], masks.shape[1], masks.shape[2]), reading.spacing)
    volumes = {
        channel.name: Volume(
            _intensities(planes[..., index], reading), grid, reading.modality, name
        )
        for index, channel in enumerate(reading.channels)
    }
    return LabelledCase(volumes, model_values(masks, reading, name))


def _says_more(planes: NDArray[Any], plane: int) -> bool:
    """Tell whether a plane is neither the first again, as grey in colours, nor an even alpha."""
    pixels = planes[..., plane]
    return pixels.min() != pixels.max() and not np.array_equal(pixels, planes[..., 0])


def _intensities(pixels: NDArray[Any], reading: ReaderOptions) -> NDArray[Any]:
    if reading.window is None:
        return np.ascontiguousarray(pixels)
    low, high = reading.window
    brightest = np.iinfo(pixels.dtype).max
    return (pixels * np.float32((high - low) / brightest) + np.float32(low)).astype(np.float32)


def _stack(paths: list[Path], colours: str | None = None) -> NDArray[Any]:
    pictures = [read_picture(path, colours) for path in paths]
    if len({picture.shape for picture in pictures}) != 1:
        shapes = sorted({str(picture.shape) for picture in pictures})
        raise InputError(f"{paths[0].parent.name}: slices of different shapes: {', '.join(shapes)}")
    return np.stack(pictures)
