"""The DICOM images that a volume was read from, plane by plane, for objects that refer to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import DA, TM

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.reading.dicom_geometry import plane_of, slice_geometry
from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.reading.functional_groups import FunctionalGroups, functional_groups
from TumorSegLib.reading.one_patient import several
from TumorSegLib.writing.shared_groups import share_groups

MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
"""Of patient and study (type 2 in DICOM): what an image lacks is empty in what refers to it."""
MUST_BE_THERE = (
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"),
    *("FrameOfReferenceUID", "Modality"),
)
"""Of each image: without them nothing can refer to it, or say where its segments lie."""
SEXES = ("", "M", "F", "O")
READABLE: dict[str, Callable[[Any], object]] = {
    "PatientBirthDate": DA,
    "StudyDate": DA,
    "StudyTime": TM,
    "PatientSex": SEXES.index,
}
"""Raises a ValueError of what no value of DICOM is, such as "??"; that is empty, too."""


@dataclass(frozen=True)
class SourceImages:
    """Images that lie on the planes of a grid, without their pixels.

    Attributes:
        datasets: one an image, from the grid's first plane to its last; or one with many frames.
        planes: of every image or frame, in their order, the index of the grid's plane on which it
            lies; -1: on none.
    """

    datasets: tuple[pydicom.Dataset, ...]
    planes: tuple[int, ...]

    @property
    def is_multi_frame(self) -> bool:
        """Whether one object holds all planes."""
        return len(self.datasets) == 1 and len(self.planes) > 1


def find_source(place: Path, grid: Grid, *, series: str | None = None) -> SourceImages:
    """Return the images in a folder or file on whose pixels the voxels of `grid` lie.

    Args:
        place: the folder or file that the volume was read from.
        grid: of the volume.
        series: SeriesInstanceUID, where the folder has several.

    Raises:
        OutputError: see `source_among`.
    """
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    datasets = (dataset for file in files if (dataset := _header(file)) is not None)
    wanted = (dataset for dataset in datasets if series in (None, dataset.get("SeriesInstanceUID")))
    return source_among(wanted, grid, str(place))


def read_images(files: Iterable[Path]) -> Iterator[pydicom.Dataset]:
    """Yield what each of these DICOM images says beside its pixels.

    Raises:
        OutputError: one is not there any more or is no DICOM image.
    """
    for file in files:
        dataset = _header(file)
        if dataset is None:
            what = "is no DICOM image" if file.exists() else "is not there any more"
            raise OutputError(
                f"{file}: {what}, expected an image of the volume; put it back or import the"
                " series again"
            )
        yield dataset


def source_among(datasets: Iterable[pydicom.Dataset], grid: Grid, name: str) -> SourceImages:
    """Return those of some images on whose pixels the voxels of `grid` lie.

    Args:
        datasets: DICOM images, without their pixels; what all frames of one say alike is moved to
            where it stands once.
        grid: of the volume.
        name: of the volume or its folder, for errors.

    Raises:
        OutputError: there is no image, or a plane of the grid has none: the volume was cropped,
            moved or resampled, perhaps while it was read (gantry tilt, uneven spacing, a missing
            slice), an image lacks one of `MUST_BE_THERE`, two share a SOPInstanceUID, they are of
            several patients or studies, or frames of one differ in spacing or orientation.
    """
    source = _on_planes(datasets, grid, name)
    if found := several(lambda keyword: (_text(image, keyword) for image in source.datasets)):
        raise OutputError(
            f"{name}: its images are of {found}, expected one, to whom a DICOM segmentation"
            " belongs; put those of each into a folder of their own"
        )
    if source.is_multi_frame:
        share_groups(source.datasets[0], name)
    for dataset in source.datasets:
        if absent := [keyword for keyword in MUST_BE_THERE if not dataset.get(keyword)]:
            raise OutputError(
                f"{name}: its images lack {', '.join(absent)}, which a DICOM segmentation repeats;"
                " write another format, such as .seg.nrrd"
            )
    different = len({str(dataset.SOPInstanceUID) for dataset in source.datasets})
    if different < len(source.datasets):
        raise OutputError(
            f"{name}: its {len(source.datasets)} images have {different} SOPInstanceUIDs, by which"
            " a DICOM segmentation refers to them; write another format, such as .seg.nrrd"
        )
    return source


def _on_planes(datasets: Iterable[pydicom.Dataset], grid: Grid, name: str) -> SourceImages:
    """Return the images that `source_among` looks for, whatever they say."""
    found: dict[int, pydicom.Dataset] = {}
    first, stacks = None, 0
    for dataset in datasets:
        first = dataset if first is None else first
        planes = _planes(dataset, grid)
        if len(planes) > 1:
            missing = set(range(grid.shape[0])) - set(planes)
            if not missing:
                return SourceImages((dataset,), tuple(planes))
            stacks += max(planes) >= 0
            continue
        for plane in planes:
            if plane >= 0:
                found.setdefault(plane, dataset)
    if first is None:
        raise OutputError(
            f"{name}: found no DICOM images, which a DICOM segmentation refers to; write another"
            " format, such as .seg.nrrd"
        )
    order = range(grid.shape[0])
    absent = len(set(order) - set(found))
    if absent and stacks > 1:
        raise OutputError(
            f"{name}: its images are frames of {stacks} files, of which a DICOM segmentation can"
            " refer to one; write another format, such as .seg.nrrd"
        )
    if absent:
        size, images = grid.shape[1:], (first.Rows, first.Columns)
        if images == size:
            reason = (
                f"{absent} of {grid.shape[0]} planes were resampled while the series was read"
                " (gantry tilt, uneven spacing or missing slices) or moved afterwards"
            )
        else:
            reason = (
                f"has planes of {size[1]} x {size[0]} pixels, its images {images[1]} x {images[0]}:"
                " it was cropped, or resampled while the series was read (gantry tilt)"
            )
        raise OutputError(
            f"{name}: {reason}, so that no DICOM segmentation can refer to their images; write"
            " another format, such as .seg.nrrd"
        )
    return SourceImages(tuple(found[plane] for plane in order), tuple(order))


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "")


@quiet_pydicom()
def _header(path: Path) -> pydicom.Dataset | None:
    """Return what a DICOM image says beside its pixels; None: the file is none."""
    if not path.is_file():
        return None
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError):
        return None
    if "Rows" not in dataset:
        return None
    for keyword in MAY_BE_EMPTY:
        if keyword not in dataset or not _is_readable(keyword, dataset[keyword].value):
            setattr(dataset, keyword, "")
    return dataset


def _is_readable(keyword: str, value: Any) -> bool:
    """Tell whether a value is one that what refers to an image can repeat."""
    try:
        READABLE.get(keyword, str)(value or "")
    except (TypeError, ValueError):
        return False
    return True


def _planes(dataset: pydicom.Dataset, grid: Grid) -> list[int]:
    """Return the planes of `grid` on which an image, or each frame of one, lies; -1: on none."""
    shape = (int(dataset.Rows), int(dataset.Columns))
    groups: list[FunctionalGroups | None] = [*functional_groups(dataset)] or [None]
    return [_plane(dataset, shape, of_frame, grid) for of_frame in groups]


def _plane(
    dataset: pydicom.Dataset, shape: tuple[int, int], groups: FunctionalGroups | None, grid: Grid
) -> int:
    nowhere = Path()  # what is told of images that say no place is not passed on
    try:
        if groups is not None:
            geometry = groups.geometry(nowhere, shape)
        else:
            geometry = slice_geometry(
                nowhere,
                shape,
                dataset.get("ImagePositionPatient"),
                dataset.get("ImageOrientationPatient"),
                dataset.get("PixelSpacing"),
                None,
            )
    except InputError:
        return -1
    plane = plane_of(geometry, grid)
    return -1 if plane is None else plane
