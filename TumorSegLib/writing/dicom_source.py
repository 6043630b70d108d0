"""The DICOM images that a volume was read from, plane by plane, for objects that refer to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from TumorSegLib.errors import OutputError
from TumorSegLib.image.grid import Grid

ALONG_MM = 0.06
ALONG_SHARE = 0.02
"""How far, in mm or as a share of the distance between planes, an image may lie from its plane."""
IN_PLANE_PIXELS = 0.25
"""How far, in pixels, an image may be shifted within its plane."""
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
        planes = [_plane(grid, dataset, *where) for where in _positions(dataset)]
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


Where = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Position, orientation (2, 3) and distance between rows, columns, of an image."""


def _positions(dataset: pydicom.Dataset) -> Iterator[Where]:
    """Yield where an image, or each frame of a multi-frame one, lies."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        groups = [(dataset, dataset, dataset)]
    else:
        shared = dataset.get("SharedFunctionalGroupsSequence", [pydicom.Dataset()])[0]
        names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        groups = [
            tuple((frame.get(name) or shared.get(name) or [pydicom.Dataset()])[0] for name in names)
            for frame in dataset.PerFrameFunctionalGroupsSequence
        ]
    for position, orientation, measures in groups:
        yield (
            np.array(position.get("ImagePositionPatient", [np.nan] * 3), np.float64),
            np.array(orientation.get("ImageOrientationPatient", [np.nan] * 6)).reshape(2, 3),
            np.array(measures.get("PixelSpacing", [np.nan] * 2), np.float64),
        )


def _plane(
    grid: Grid, dataset: pydicom.Dataset, position: np.ndarray, axes: np.ndarray, pixel: np.ndarray
) -> int:
    """Return the index of the grid's plane whose pixels an image's are; -1: there is none."""
    if (dataset.Rows, dataset.Columns) != grid.shape[1:]:
        return -1
    direction = np.array(grid.direction)
    offset = direction.T @ (position - grid.origin) / grid.spacing
    same = (
        np.allclose(direction[:, :2].T, axes, atol=1e-3)
        and np.allclose(pixel[::-1], grid.spacing[:2], rtol=1e-3)
        and np.abs(offset[:2]).max() <= IN_PLANE_PIXELS
    )
    if not same:
        return -1
    plane = round(float(offset[2]))
    apart = abs(offset[2] - plane) * grid.spacing[2]
    near = apart <= max(ALONG_MM, ALONG_SHARE * grid.spacing[2])
    return plane if near and 0 <= plane < grid.shape[0] else -1
