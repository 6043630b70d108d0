"""One DICOM series from a folder, as a volume.

Where slices lie is taken from ImagePositionPatient and ImageOrientationPatient, never from
SliceThickness or the files' order. RescaleSlope and RescaleIntercept are applied, so that CT is in
Hounsfield units.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.sequence_names import sequence_by_header
from TumorSegLib.image.volume import DicomOrigin, Volume
from TumorSegLib.reading.dicom_decoding import DicomSlice, PixelReader
from TumorSegLib.reading.dicom_files import DicomFile, list_dicom
from TumorSegLib.reading.dicom_geometry import SAME_DIRECTION, slice_geometry
from TumorSegLib.reading.dicom_header import quiet_pydicom, read_header
from TumorSegLib.reading.dicom_pixels import check_values
from TumorSegLib.reading.dicom_structure import DamagedError
from TumorSegLib.reading.multi_frame import frame_slices
from TumorSegLib.reading.one_patient import several
from TumorSegLib.reading.slice_stack import slice_axes, stack_slices
from TumorSegLib.reading.source_files import SERIES_SIGN
from TumorSegLib.support.words import counted

LONGEST_TEXT = 64
"""Characters of an identifier or a text of one line in DICOM (PS3.5 section 6.2)."""

WITHOUT_UID = "no-uid"
"""What the series of files without a SeriesInstanceUID is called and chosen by."""

MOST_FOLDERS = 5
"""Sub-folders that a message names."""

SAME_POSITION_MM = 0.01
"""Slices nearer to each other than this are at one position."""


def read_series(folder: Path, *, series: str | None = None) -> Volume:
    """Read the series in `folder`; if there are several, the one with SeriesInstanceUID `series`.

    The volume's first slice is the one lowest along row x column. Its type is that of the stored
    values after rescaling, int16 for CT.

    Raises:
        InputError: no series, several, or one that is no stack of grey slices.
    """
    voxels, grid, first, warnings = read_stack(folder, series=series)
    return Volume(
        voxels,
        grid,
        modality=first.modality or None,
        name=folder.resolve().name,
        warnings=warnings,
        sequence=_sequence(first),
        body_part=first.header.text("BodyPartExamined"),
        origin=DicomOrigin(folder, first.series),
    )


@quiet_pydicom()
def series_of(path: Path) -> str:
    """Return what the series is called that a DICOM file belongs to.

    Raises:
        InputError: it is damaged.
    """
    try:
        header = read_header(path)
    except DamagedError:
        header = None
    if header is None:
        raise InputError(f"{path}: is damaged; copy or fetch it again")
    return header.text("SeriesInstanceUID") or WITHOUT_UID


@quiet_pydicom()
def read_stack(
    folder: Path, *, series: str | None = None
) -> tuple[NDArray[Any], Grid, DicomFile, tuple[str, ...]]:
    """Read a series as `read_series` does, even if all its voxels are alike.

    Returns:
        Voxels (z, y, x), where they lie, the first file's header, and warnings.

    Raises:
        InputError: see `read_series`.
    """
    name = folder.resolve().name
    listed, warnings = list_dicom(folder)
    files, left_out = _images(choose_series(listed, folder, series), name)
    warnings += [*left_out, *_of_one_patient(files, name)]
    slices = [part for file in files for part in _slices(file)]
    with PixelReader() as read:
        slices, copies = _sorted(slices, read, name)
        if copies:
            warnings.append(f"{name}: left out a second copy of {counted(copies, 'slice')}")
        stack = stack_slices([part.geometry for part in slices], name)
        voxels = stack.assemble(lambda index: read(slices[index]))
    return voxels, stack.grid, files[0], (*warnings, *stack.warnings)


def _sequence(file: DicomFile) -> str | None:
    """Return the MRI sequence that a header tells, see `sequence_by_header`."""
    if file.modality != "MR":
        return None
    return sequence_by_header(file.description, file.echo, file.repetition, file.inversion)


def choose_series(files: Sequence[DicomFile], folder: Path, series: str | None) -> list[DicomFile]:
    """Return the files of one series.

    Raises:
        InputError: there is none, not this one, or several to choose from.
    """
    by_series: dict[str, list[DicomFile]] = {}
    for file in files:
        by_series.setdefault(file.series or WITHOUT_UID, []).append(file)
    if not by_series:
        raise InputError(
            f"{folder}: found no DICOM images, expected the slices of a series{_within(folder)}"
        )
    listed = "; ".join(_listed(part) for part in by_series.values())
    if series is not None:
        if series not in by_series:
            raise InputError(f"{folder}: found no series {series}; there is {listed}")
        return by_series[series]
    if len(by_series) > 1:
        raise InputError(
            f"{folder}: found {len(by_series)} series, expected one; name it as"
            f" FOLDER{SERIES_SIGN}UID, or --series UID for the volume itself: {listed}"
        )
    return next(iter(by_series.values()))


def _within(folder: Path) -> str:
    """Return what to say of a folder's sub-folders, which are not searched."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if not names:
        return ""
    more = ", ..." if len(names) > MOST_FOLDERS else ""
    return (
        f"; sub-folders are not searched, name one of them: {', '.join(names[:MOST_FOLDERS])}{more}"
    )


def _listed(files: Sequence[DicomFile]) -> str:
    first = files[0]
    count = sum(file.frames for file in files)
    description = " ".join(first.description.split())[:LONGEST_TEXT] or "no description"
    modality = first.modality[:LONGEST_TEXT] or "no modality"
    series = first.series[:LONGEST_TEXT] or WITHOUT_UID
    return f"{series} ({description}, {modality}, {counted(count, 'slice')})"


def _images(files: Sequence[DicomFile], name: str) -> tuple[list[DicomFile], list[str]]:
    """Return the files that are grey slices of one volume, and warnings about others.

    Raises:
        InputError: none is, or the values of one are not what is stored, nor rescaled from it.
    """
    kept = [file for file in files if "LOCALIZER" not in file.image_type]
    if not kept:
        raise InputError(
            f"{name}: the series is a localizer, expected a stack of slices; choose another series"
        )
    for file in kept:
        if file.components != 1 or file.photometric != "MONOCHROME2":
            raise InputError(
                f"{file.path}: found {file.photometric or 'unknown'} pixels, expected grey ones"
                " (MONOCHROME2); choose the original series"
            )
        check_values(file.path, file.header)
    if len(kept) == len(files):
        return kept, []
    return kept, [f"{name}: {len(files) - len(kept)} localizer images were left out"]


def _of_one_patient(files: Sequence[DicomFile], name: str) -> list[str]:
    """Return a warning where slices may not lie towards each other as they say.

    Raises:
        InputError: they are of several patients or studies, whose series got the same UID.
    """
    if found := several(lambda keyword: (file.header.text(keyword) for file in files)):
        raise InputError(
            f"{name}: its series has images of {found}, expected one; put those of each into a"
            " folder of their own"
        )
    frames = {text for file in files if (text := file.header.text("FrameOfReferenceUID"))}
    if len(frames) > 1:
        return [
            f"{name}: its slices have {len(frames)} frames of reference, expected one; look whether"
            " they belong together"
        ]
    return []


def _slices(file: DicomFile) -> list[DicomSlice]:
    """Return the slices of a file.

    Raises:
        InputError: the header does not say where they lie.
    """
    if file.frames > 1 or (file.has_groups and file.position is None):
        return frame_slices(file)
    geometry = slice_geometry(
        file.path,
        file.shape,
        file.position,
        file.orientation,
        file.pixel_spacing,
        file.thickness,
    )
    slope = file.header.number("RescaleSlope") or 1.0
    return [DicomSlice(file, 0, geometry, slope, file.header.number("RescaleIntercept") or 0.0)]


def _sorted(
    slices: Sequence[DicomSlice], read: PixelReader, name: str
) -> tuple[list[DicomSlice], int]:
    """Return the slices sorted along their normal without copies, and the number of copies.

    Raises:
        InputError: slices differ in shape, spacing or orientation, several images lie at one
            position, or only one position is there.
    """
    first = slices[0].geometry
    axes = slice_axes(first)
    for part in slices:
        other = part.geometry
        turned = np.abs(slice_axes(other) - axes).max() > SAME_DIRECTION
        if turned or other.shape != first.shape or not np.allclose(other.spacing, first.spacing):
            raise InputError(
                f"{name}: slices differ in size, pixel spacing or orientation"
                f" ({slices[0].file.path.name} and {part.file.path.name}), expected one stack;"
                " export its slices to a folder of their own"
            )
    positions = np.array([part.geometry.position for part in slices]) @ axes.T
    order = np.argsort(positions[:, 2], kind="stable").tolist()
    kept = order[:1]
    for index in order[1:]:
        below, part = slices[kept[-1]], slices[index]
        apart = np.abs(positions[index] - positions[kept[-1]])
        if apart[2] >= SAME_POSITION_MM:
            kept.append(index)
        elif apart.max() >= SAME_POSITION_MM or not np.array_equal(read(below), read(part)):
            raise InputError(
                f"{name}: different images lie at one position ({below.file.path.name} and"
                f" {part.file.path.name}), expected one phase, echo or reconstruction; export it"
                " to a folder of its own"
            )
    if len(kept) == 1:
        raise InputError(
            f"{name}: found one slice, expected at least two of a volume; choose another series"
        )
    return [slices[index] for index in kept], len(slices) - len(kept)
