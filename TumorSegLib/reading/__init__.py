"""Volumes from files and DICOM folders."""

from __future__ import annotations

import os
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading.file_path import readable, reading
from TumorSegLib.reading.image_file import read_image_file
from TumorSegLib.reading.source_files import is_dicom_file


def read_volume(
    path: str | os.PathLike[str], *, series: str | None = None, within: Path | None = None
) -> Volume:
    """Read a volume.

    Examples:
        >>> from TumorSegLib import read_volume
        >>> flair = read_volume("flair.nii.gz")
        >>> flair.voxels.shape == flair.grid.shape
        True

    Args:
        path: a NIfTI, NRRD or MetaImage file, or a folder with DICOM files; one DICOM file stands
            for its series in its folder.
        series: SeriesInstanceUID, where a folder holds several series.
        within: a folder that an image file may not lead out of, as a header from elsewhere could,
            which names the file of its voxels.

    Returns:
        The volume, named after the file or folder, its voxels in the type in which they are stored;
        its `warnings` say what the reader had to assume or change.

    Raises:
        InputError: missing, unreadable, damaged, or not one scalar volume.
    """
    path = readable(Path(path))
    with reading(path):
        if path.is_dir() or is_dicom_file(path):
            from TumorSegLib.reading.dicom_series import (  # which load pydicom
                read_series,
                series_of,
            )

            if path.is_file():
                series = series or series_of(path)
                path = path.parent
            return read_series(path, series=series)
        if series is not None:
            raise InputError(f"{path}: a series can be chosen from a DICOM folder only")
        return read_image_file(path, within)
