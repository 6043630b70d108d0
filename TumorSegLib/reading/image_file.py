"""Volumes from NIfTI, NRRD and MetaImage files.

ITK 5.4 reads truncated or corrupted files of these formats, voxels that lie in files of their own,
and compressed MetaImages of unsaid length without an error, with whatever lay in memory, and some
headers end its process. Headers are therefore read and judged here, one module a format, and voxels
are read from where they say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading.meta_header import read_meta_image
from TumorSegLib.reading.nifti_header import NiftiHeader, read_nifti
from TumorSegLib.reading.nrrd_header import read_nrrd
from TumorSegLib.reading.stored_image import StoredImage, check_components

FORMATS: dict[str, Callable[[Path], NiftiHeader | StoredImage]] = {
    ".nii.gz": read_nifti,
    ".nii": read_nifti,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
    ".mha": read_meta_image,
    ".mhd": read_meta_image,
}
"""Readers of headers by the file name's ending, in lower case."""


def read_image_file(path: Path, within: Path | None = None) -> Volume:
    """Read the 3-D scalar volume in `path`, in the type in which it is stored.

    Further axes of one voxel are dropped. The modality is unknown.

    Args:
        path: of the file.
        within: a folder in which all files must lie that are read for it, links followed.

    Raises:
        InputError: the ending is unknown, the file is damaged, it holds no scalar volume, or its
            voxels lie elsewhere.
    """
    ending = _ending(path)
    image = FORMATS[ending](path)
    if within is not None:
        _check_within(path, image, within.resolve())
    if image.is_segmentation:
        raise InputError(
            f"{path}: a segmentation made by 3D Slicer, expected the image that was segmented"
        )
    check_components(path, image.components)
    grid = image.grid()
    voxels, surplus = image.read()
    name = path.name[: -len(ending)]
    warnings = image.warnings(grid, name)
    if surplus:
        warnings.append(f"{name}: the file holds more voxels than its header says")
    return Volume(voxels, grid, name=name, warnings=tuple(warnings))


def read_array(path: Path, *, segmentations: bool = True) -> tuple[NDArray[Any], Grid]:
    """Return the voxels (z, y, x) in `path`, which may all be alike, and where they lie.

    Args:
        path: of the file.
        segmentations: whether the file may be one of 3D Slicer, whose values number its segments.

    Raises:
        InputError: see `read_image_file`.
    """
    image = FORMATS[_ending(path)](path)
    if image.is_segmentation and not segmentations:
        raise InputError(
            f"{path}: a segmentation made by 3D Slicer, expected a label map; rename it to"
            " .seg.nrrd"
        )
    check_components(path, image.components)
    grid = image.grid()
    return image.read()[0], grid


def read_grid(path: Path) -> Grid:
    """Return where the voxels in `path` lie, from its header alone.

    Raises:
        InputError: the ending is unknown, or the header cannot be used.
    """
    return FORMATS[_ending(path)](path).grid()


def _check_within(path: Path, image: NiftiHeader | StoredImage, folder: Path) -> None:
    """Refuse a header that leads out of a folder, before anything is read there.

    Raises:
        InputError: it does.
    """
    parts = image.parts if isinstance(image, StoredImage) else ()
    for place in (path, *(part.path for part in parts)):
        if not place.resolve().is_relative_to(folder):
            raise InputError(
                f"{path}: names a file outside its folder for its voxels; save it again as one"
                " file, or with its voxels beside it"
            )


def _ending(path: Path) -> str:
    """Return the ending of a file that can be read.

    Raises:
        InputError: it is unknown.
    """
    for ending in FORMATS:
        if path.name.lower().endswith(ending):
            return ending
    raise InputError(
        f"{path}: unknown ending, expected {', '.join(FORMATS)} or a folder with one DICOM series"
    )
