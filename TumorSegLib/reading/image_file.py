"""Volumes from NIfTI, NRRD and MetaImage files, through SimpleITK.

ITK reads truncated or corrupted NIfTI files, and corrupted compressed data of the other formats,
without an error, and replaces impossible spacings by 1 mm. The headers and the compressed data are
therefore checked first, at the price of decompressing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import SimpleITK as sitk

from TumorSegLib.errors import InputError
from TumorSegLib.itk import grid_of_image
from TumorSegLib.reading.nifti_header import NiftiHeader
from TumorSegLib.reading.text_header import TextHeader
from TumorSegLib.volume import MAXIMUM_VOXELS, Volume


@dataclass(frozen=True)
class FileFormat:
    """A file format: its name, ITK's class for it, and ours for its header."""

    name: str
    image_io: str
    header: type[NiftiHeader | TextHeader]


NIFTI = FileFormat("NIfTI", "NiftiImageIO", NiftiHeader)
NRRD = FileFormat("NRRD", "NrrdImageIO", TextHeader)
META_IMAGE = FileFormat("MetaImage", "MetaImageIO", TextHeader)

FORMATS = {
    ".nii.gz": NIFTI,
    ".nii": NIFTI,
    ".nrrd": NRRD,
    ".nhdr": NRRD,
    ".mha": META_IMAGE,
    ".mhd": META_IMAGE,
}
"""By the file name's ending, in lower case."""


def read_image_file(path: Path) -> Volume:
    """Read the 3-D scalar volume in `path`, in the type in which it is stored.

    Further axes of one voxel are dropped. The modality is unknown.

    Raises:
        InputError: the ending is unknown, the file is damaged, or it holds no scalar volume.
    """
    ending = next((end for end in FORMATS if path.name.lower().endswith(end)), None)
    if ending is None:
        raise InputError(
            f"{path}: unknown ending, expected {', '.join(FORMATS)} or a folder with one DICOM"
            " series"
        )
    file_format = FORMATS[ending]
    name = path.name[: -len(ending)]
    header = file_format.header.read(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(file_format.image_io)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_kind(reader, path)
        header.check()
        image = reader.Execute()
    except RuntimeError as error:
        header.check()
        raise _unreadable(path, file_format, str(error)) from None
    while image.GetDimension() > 3:
        image = image[(*[slice(None)] * (image.GetDimension() - 1), 0)]
    grid = grid_of_image(image, str(path))
    voxels = sitk.GetArrayFromImage(image)
    return Volume(voxels, grid, name=name, warnings=tuple(header.warnings(grid, name)))


def _check_kind(reader: sitk.ImageFileReader, path: Path) -> None:
    """Refuse, before any voxel is read, what is no 3-D scalar volume.

    Raises:
        InputError: a segmentation, several values a voxel, or too few, too many or too long axes.
    """
    if any(key.startswith("Segment0_") for key in reader.GetMetaDataKeys()):
        raise InputError(
            f"{path}: a segmentation made by 3D Slicer, expected the image that was segmented"
        )
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"{path}: found {reader.GetNumberOfComponents()} values in each voxel (colour, vector"
            " or complex), expected one grey value"
        )
    size = reader.GetSize()
    if len(size) < 3 or prod(size[3:]) != 1:
        raise InputError(
            f"{path}: found {len(size)} axes ({'x'.join(map(str, size))}), expected a 3-D volume"
            f"{'; save one of its volumes as a file of its own' if len(size) > 3 else ''}"
        )
    if prod(size) > MAXIMUM_VOXELS:
        raise InputError(
            f"{path}: found {'x'.join(map(str, size))} voxels, expected at most {MAXIMUM_VOXELS}"
        )


def _unreadable(path: Path, file_format: FileFormat, reason: str) -> InputError:
    """Return the error for a file that ITK gave up on for `reason`."""
    if "orthonormal" in reason:
        return InputError(
            f"{path}: its axes are sheared, expected perpendicular axes; resample it onto a"
            " rectangular grid"
        )
    detached = path.suffix.lower() in (".nhdr", ".mhd")
    return InputError(
        f"{path}: cannot be read as {file_format.name}, damaged, truncated or of another format"
        f"{', or the data file that it names is missing' if detached else ''}; copy or export it"
        " again"
    )
