"""Volumes and label maps as SimpleITK reads them, for the readers of data sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from numpy.typing import NDArray

from training.case import Annotated, Reading
from training.labelling import model_values
from TumorSegLib.errors import InputError
from TumorSegLib.grid import Grid
from TumorSegLib.itk import grid_of_image
from TumorSegLib.volume import Volume


def grid_of_file(path: Path) -> Grid:
    """Read only the header of an image file.

    Raises:
        InputError: it cannot be read or is not 3-D.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise InputError(f"{path.name}: cannot be read as an image") from None
    if reader.GetDimension() != 3:
        raise InputError(f"{path.name}: found {reader.GetDimension()} axes, expected 3")
    return grid_of_image(reader, path.name)


def read_image(path: Path) -> tuple[NDArray[Any], Grid]:
    """Return the array (z, y, x) of an image file and its grid.

    Raises:
        InputError: it cannot be read or is not 3-D.
    """
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise InputError(f"{path.name}: cannot be read as an image; it may be cut off") from None
    if image.GetDimension() != 3:
        raise InputError(f"{path.name}: found {image.GetDimension()} axes, expected 3")
    return sitk.GetArrayFromImage(image), grid_of_image(image, path.name)


def read_series(folder: Path) -> tuple[NDArray[Any], Grid]:
    """Return the array (z, y, x) of the one DICOM series in `folder` and its grid.

    Raises:
        InputError: there is no or more than one series, or it cannot be read.
    """
    identifiers = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(identifiers) != 1:
        raise InputError(f"{folder.name}: found {len(identifiers)} DICOM series, expected one")
    reader = sitk.ImageSeriesReader()
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), identifiers[0])
    reader.SetFileNames(names)
    try:
        image = reader.Execute()
    except RuntimeError:
        raise InputError(f"{folder.name}: its DICOM files cannot be read") from None
    return sitk.GetArrayFromImage(image), grid_of_image(image, folder.name)


def decode_files(
    name: str,
    volumes: Mapping[str, Path],
    annotation: Path,
    reading: Reading,
    structures: Mapping[int, str] | None = None,
) -> Annotated:
    """Read a case that is one image file a sequence and one label map, all of one shape.

    Raises:
        InputError: a file cannot be read, or its shape is not that of the label map.
    """
    labelmap = model_values(read_image(annotation)[0], reading, name, structures)
    decoded = {}
    for channel, path in volumes.items():
        voxels, grid = read_image(path)
        if voxels.shape != labelmap.shape:
            raise InputError(f"{name}: {mismatch(path, voxels.shape, annotation, labelmap.shape)}")
        decoded[channel] = Volume(voxels, grid, reading.modality, path.name)
    return Annotated(decoded, labelmap)


def mismatch(path: Path, shape: tuple[int, ...], other: Path, expected: tuple[int, ...]) -> str:
    """Return the reason for which two files that should have one shape cannot be used."""
    return f"{path.name} has shape {_by(shape)}, {other.name} {_by(expected)}"


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[::-1]))
