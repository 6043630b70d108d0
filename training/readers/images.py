"""Volumes and label maps as files, for the readers of data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from numpy.typing import NDArray

from training.case import Annotated, Reading
from training.labelling import model_values
from TumorSegLib.errors import InputError
from TumorSegLib.grid import Grid
from TumorSegLib.itk import grid_of_image
from TumorSegLib.quiet import quiet_stderr
from TumorSegLib.reading import read_volume
from TumorSegLib.reading.image_file import FORMATS


def grid_of_file(path: Path) -> Grid:
    """Read only the header of an image file.

    Raises:
        InputError: it cannot be read or is not 3-D.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_stderr():
            reader.ReadImageInformation()
    except RuntimeError:
        raise InputError(f"{path.name}: cannot be read as an image") from None
    return _grid(reader, path.name)


def read_labelmap(path: Path) -> tuple[NDArray[Any], Grid]:
    """Return the array (z, y, x) of a label map, which may be background alone, and its grid.

    Raises:
        InputError: it cannot be read, is cut off, or is not 3-D.
    """
    file_format = next((f for end, f in FORMATS.items() if path.name.lower().endswith(end)), None)
    if file_format is None:
        raise InputError(f"{path.name}: unknown ending, expected {', '.join(FORMATS)}")
    try:
        with quiet_stderr():
            file_format.header.read(path).check()
            image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise InputError(f"{path.name}: cannot be read as an image; it may be cut off") from None
    return sitk.GetArrayFromImage(image), _grid(image, path.name)


def read_mask_series(folder: Path) -> tuple[NDArray[Any], Grid]:
    """Return the array (z, y, x) of the one DICOM series in `folder` and its grid.

    Raises:
        InputError: there is no or more than one series, or it cannot be read.
    """
    with quiet_stderr():
        identifiers = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(identifiers) != 1:
            raise InputError(f"{folder.name}: found {len(identifiers)} DICOM series, expected one")
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(
            sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), identifiers[0])
        )
        try:
            image = reader.Execute()
        except RuntimeError:
            raise InputError(f"{folder.name}: its DICOM files cannot be read") from None
    return sitk.GetArrayFromImage(image), _grid(image, folder.name)


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
    labelmap = model_values(read_labelmap(annotation)[0], reading, name, structures)
    decoded = {}
    for channel, path in volumes.items():
        volume = read_volume(path)
        if volume.voxels.shape != labelmap.shape:
            shape = volume.voxels.shape
            raise InputError(f"{name}: {mismatch(path, shape, annotation, labelmap.shape)}")
        decoded[channel] = replace(volume, modality=reading.modality)
    return Annotated(decoded, labelmap)


def mismatch(path: Path, shape: tuple[int, ...], other: Path, expected: tuple[int, ...]) -> str:
    """Return the reason for which two files that should have one shape cannot be used."""
    return f"{path.name} has shape {_by(shape)}, {other.name} {_by(expected)}"


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[::-1]))


def _grid(image: sitk.Image | sitk.ImageFileReader, name: str) -> Grid:
    if image.GetDimension() != 3:
        raise InputError(f"{name}: found {image.GetDimension()} axes, expected 3")
    return grid_of_image(image, name)
