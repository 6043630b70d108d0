"""The DICOM images that a volume was read from, plane by plane, for objects that refer to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.reading.dicom_geometry import plane_of, slice_geometry
from TumorSegLib.reading.functional_groups import FunctionalGroups, functional_groups

MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
"""Of patient and study (type 2 in DICOM): what an image lacks is empty in what refers to it."""


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
        OutputError: a plane of the grid has no image: the volume was resampled while it was read
            (gantry tilt, uneven spacing, a missing slice), or `place` holds no DICOM.
    """
    found: dict[int, pydicom.Dataset] = {}
    any_dicom = False
    for dataset in _headers(place, series):
        any_dicom = True
        planes = _planes(dataset, grid)
        if len(planes) > 1:
            missing = set(range(grid.shape[0])) - set(planes)
            if not missing:
                return SourceImages((dataset,), tuple(planes))
            continue
        for plane in planes:
            if plane >= 0:
                found.setdefault(plane, dataset)
    if not any_dicom:
        raise OutputError(
            f"{place}: found no DICOM images, which a DICOM segmentation refers to; write another"
            " format, such as .seg.nrrd"
        )
    absent = sorted(set(range(grid.shape[0])) - set(found))
    if absent:
        raise OutputError(
            f"{place}: {len(absent)} of {grid.shape[0]} planes were resampled while the series was"
            " read (gantry tilt, uneven spacing or missing slices), so that no DICOM segmentation"
            " can refer to their images; write another format, such as .seg.nrrd"
        )
    order = range(grid.shape[0])
    return SourceImages(tuple(found[plane] for plane in order), tuple(order))


def _headers(place: Path, series: str | None) -> Iterator[pydicom.Dataset]:
    """Yield what the DICOM images in a folder or file say beside their pixels."""
    for path in sorted(place.iterdir()) if place.is_dir() else [place]:
        if not path.is_file():
            continue
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, EOFError):
            continue
        if "Rows" in dataset and series in (None, dataset.get("SeriesInstanceUID")):
            for keyword in MAY_BE_EMPTY:
                if keyword not in dataset:
                    setattr(dataset, keyword, "")
            yield dataset


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
