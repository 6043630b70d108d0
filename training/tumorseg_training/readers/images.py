"""Volumes and label maps as files, for the readers of data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.case import LabelledCase, ReaderOptions
from tumorseg_training.labelling import model_values
from tumorseg_training.readers.pairing import difference, reordering, same_order
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading import read_volume
from TumorSegLib.reading.dicom_series import read_stack
from TumorSegLib.reading.file_path import readable
from TumorSegLib.reading.file_path import reading as reading_files
from TumorSegLib.reading.image_file import read_array, read_grid


def grid_of_file(path: Path) -> Grid:
    """Read only the header of an image file.

    Raises:
        InputError: it cannot be read or is not 3-D.
    """
    try:
        with reading_files(readable(path)):
            return read_grid(path)
    except InputError as error:
        raise _by_name(error, path) from None


def read_labelmap(path: Path) -> tuple[NDArray[Any], Grid]:
    """Return the array (z, y, x) of a label map, which may be background alone, and its grid.

    Raises:
        InputError: it cannot be read, is cut off, or is not 3-D.
    """
    try:
        with reading_files(readable(path)):
            return read_array(path)
    except InputError as error:
        raise _by_name(error, path) from None


def read_mask_series(folder: Path) -> tuple[NDArray[Any], Grid]:
    """Return the array (z, y, x) of the one DICOM series in `folder` and its grid.

    Raises:
        InputError: there is no or more than one series, or it cannot be read.
    """
    with reading_files(folder):
        voxels, grid, _, _ = read_stack(folder)
    return voxels, grid


def decode_files(
    name: str,
    volumes: Mapping[str, Path],
    annotation: Path,
    reading: ReaderOptions,
    structures: Mapping[int, str] | None = None,
    *,
    by_place: bool = True,
) -> LabelledCase:
    """Read a case that is one image file a sequence and one label map.

    All are brought onto the first image's grid where they are stored in another order.

    Args:
        name: of the case, for messages.
        volumes: image files by channel.
        annotation: file of the label map.
        reading: what the label values mean.
        structures: names of the data set's label values.
        by_place: if not, files whose voxels run in the same directions are paired as they are,
            wherever they lie.

    Raises:
        InputError: a file cannot be read, or lies elsewhere than the first image.
    """
    decoded: dict[str, Volume] = {}
    for channel, path in volumes.items():
        volume = replace(read_volume(path), modality=reading.modality)
        if decoded:
            first = next(iter(decoded.values()))
            voxels = _brought(volume.voxels, path, volume.grid, first.grid, volumes, by_place)
            volume = replace(volume, voxels=voxels, grid=first.grid)
        decoded[channel] = volume
    grid = next(iter(decoded.values())).grid
    stored, where = read_labelmap(annotation)
    labels = _brought(stored, annotation, where, grid, volumes, by_place)
    return LabelledCase(decoded, model_values(labels, reading, name, structures))


def why_apart(
    images: Sequence[Path], annotation: Path, *, by_place: bool = True
) -> tuple[str | None, tuple[str, ...]]:
    """Return why the files of a case cannot be paired, none if they can, and what to note.

    Args:
        images: of all channels.
        annotation: the label map.
        by_place: see `decode_files`.
    """
    notes = []
    try:
        first = grid_of_file(images[0])
        for path in (*images[1:], annotation):
            grid = grid_of_file(path)
            if reordering(grid, first) is not None:
                continue
            said = difference(path, grid, images[0], first)
            if by_place or not same_order(grid, first):
                return said, ()
            notes.append(f"{said}; taken for the same, as this data set's headers differ")
    except InputError as error:
        return str(error), ()
    return None, tuple(notes)


def _brought(
    array: NDArray[Any],
    path: Path,
    grid: Grid,
    onto: Grid,
    volumes: Mapping[str, Path],
    by_place: bool,
) -> NDArray[Any]:
    """Return an array on the grid of the first image, its voxels in that order."""
    if (change := reordering(grid, onto)) is not None:
        return np.ascontiguousarray(change.apply(array))
    if by_place or not same_order(grid, onto):
        raise InputError(difference(path, grid, next(iter(volumes.values())), onto))
    return array


def _by_name(error: InputError, path: Path) -> InputError:
    """Return an error that names a file of the data set without the folders above it."""
    return InputError(str(error).replace(str(path), path.name))
