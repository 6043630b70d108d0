"""Segments from DICOM: Segmentations and the contours of radiotherapy structure sets.

PS3.3 A.51 (Segmentation IOD; binary, fractional, label map) and A.19 (RT Structure Set IOD).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.export.contour_gaps import Outlines, slices_between
from TumorSegLib.export.contours import filled, united
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading.dicom_geometry import plane_of, plane_tolerance
from TumorSegLib.reading.dicom_header import quiet_pydicom, read_whole
from TumorSegLib.reading.functional_groups import functional_groups
from TumorSegLib.reading.source_files import is_dicom_file
from TumorSegLib.slicer_io.named_mask import NamedMask

OFF_PLANE = 0.1
"""How far, as a part of their distance, frames and contours may lie from the volume's slices."""
TAGS = ("SeriesInstanceUID", "FrameOfReferenceUID")
CLOSED, EITHER, OPEN = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "OPEN_PLANAR"
"""Kinds of contours; of the second, what an odd number encloses is inside. One that is called open
is closed if its ends meet."""


def read_dicom_segments(path: Path, volume: Volume) -> tuple[NamedMask, ...]:
    """Read the segments of a DICOM Segmentation, or the structures of an RT Structure Set.

    Args:
        path: of the file.
        volume: on which the segments were drawn; the masks lie on its grid.

    Raises:
        InputError: the file is damaged or none of the two, or its segments lie on other slices
            than the volume's.
    """
    try:
        with quiet_pydicom():
            dataset = read_whole(path)
            modality = dataset.get("Modality")
            _check_frame_of_reference(path, dataset, volume)
            if modality == "SEG":
                return tuple(_segments(path, dataset, volume.grid))
            if modality == "RTSTRUCT":
                return tuple(_structures(path, dataset, volume.grid))
    except InputError:
        raise
    except Exception as error:  # pydicom decodes values late, and raises whatever its parts raise
        raise InputError(
            f"{path}: cannot be read as DICOM, damaged or truncated ({type(error).__name__});"
            " export it again"
        ) from None
    raise InputError(
        f"{path}: found DICOM of modality {modality or 'unknown'}, expected a segmentation (SEG) or"
        " a structure set (RTSTRUCT)"
    )


def _check_frame_of_reference(path: Path, dataset: pydicom.Dataset, volume: Volume) -> None:
    """Refuse segments in another frame of reference than the volume's, as far as both tell it."""
    if volume.origin is None:
        return
    place = volume.origin.place
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    headers = (
        pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(TAGS))
        for file in files
        if is_dicom_file(file)
    )
    series = volume.origin.series
    own = next((one for one in headers if one.get("SeriesInstanceUID") == series), None)
    expected = own.get("FrameOfReferenceUID") if own is not None else None
    found = {str(uid) for uid in _frames_of_reference(dataset)}
    if expected and found and str(expected) not in found:
        raise InputError(
            f"{path}: lies in another frame of reference than {volume.name}; choose the series that"
            " it was drawn on"
        )


def _frames_of_reference(dataset: pydicom.Dataset) -> Iterator[str]:
    if dataset.get("FrameOfReferenceUID"):
        yield dataset.FrameOfReferenceUID
    for item in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        yield item.FrameOfReferenceUID


def _segments(path: Path, dataset: pydicom.Dataset, grid: Grid) -> Iterator[NamedMask]:
    """Yield the segments of a DICOM Segmentation, each on the whole grid."""
    shape = (int(dataset.Rows), int(dataset.Columns))
    described = {int(item.SegmentNumber): item for item in dataset.SegmentSequence}
    described.pop(0, None)  # a label map's background
    frames = functional_groups(dataset)
    if shape != grid.shape[1:] or len(frames) > grid.shape[0] * len(described):
        raise InputError(
            f"{path}: found {len(frames)} frames of {shape[0]} x {shape[1]} pixels, expected those"
            f" of a volume of {' x '.join(map(str, grid.shape))}; choose the series that it was"
            " drawn on"
        )
    if int(dataset.get("NumberOfFrames", 1)) != len(frames):
        raise InputError(
            f"{path}: found NumberOfFrames {dataset.get('NumberOfFrames', 1)}, but positions of"
            f" {len(frames)} frames; export it again"
        )
    pixels = dataset.pixel_array.reshape(-1, *shape)
    least = 1
    if dataset.SegmentationType == "FRACTIONAL":
        least = (int(dataset.MaximumFractionalValue) + 1) // 2
    labelmaps = {number: np.zeros(grid.shape, np.uint8) for number in described}
    for frame, values in zip(frames, pixels, strict=True):
        plane = plane_of(frame.geometry(path, shape), grid, tolerance=OFF_PLANE)
        if plane is None:
            raise InputError(
                f"{path}: its frames lie on other pixels than the volume's; choose the series that"
                " it was drawn on"
            )
        if dataset.SegmentationType == "LABELMAP":
            for number, labelmap in labelmaps.items():
                labelmap[plane] |= values == number
        else:
            number = int(
                frame.attribute("SegmentIdentificationSequence", "ReferencedSegmentNumber")
            )
            labelmaps[number][plane] |= values >= least
    for number, item in described.items():
        yield NamedMask(
            f"DICOM_{number}",
            str(item.SegmentLabel),
            labelmaps[number],
            1,
            grid.affine,
            _model(item),
        )


def _structures(path: Path, dataset: pydicom.Dataset, grid: Grid) -> Iterator[NamedMask]:
    """Yield the structures of an RT Structure Set that are contours.

    Raises:
        InputError: contours of one are open, lie beside the volume's slices or leave out slices.
    """
    names = {int(item.ROINumber): str(item.ROIName) for item in dataset.StructureSetROISequence}
    for structure in dataset.get("ROIContourSequence") or ():
        number = int(structure.ReferencedROINumber)
        name = names.get(number, f"ROI {number}")
        contours: dict[int, list[NDArray[np.float64]]] = {}
        united_by = united
        for contour in structure.get("ContourSequence") or ():
            points = np.array(contour.ContourData, np.float64).reshape(-1, 3)
            if contour.ContourGeometricType == OPEN and not np.allclose(points[0], points[-1]):
                raise InputError(
                    f"{path}: contours of {name} are open, so that they enclose nothing; close them"
                    " or leave the structure out, and export it again"
                )
            if contour.ContourGeometricType not in (CLOSED, EITHER, OPEN):
                continue  # points and lines in space hold no volume
            if contour.ContourGeometricType == EITHER:
                united_by = filled
            indices = grid.indices(points)
            plane = round(float(indices[:, 0].mean()))
            apart = np.abs(indices[:, 0] - plane).max()
            if apart > plane_tolerance(grid, OFF_PLANE) or not 0 <= plane < grid.shape[0]:
                raise InputError(
                    f"{path}: contours of {name} lie between or beyond the volume's slices; choose"
                    " the series that they were drawn on"
                )
            polygon, others = indices[:, :0:-1], contours.setdefault(plane, [])
            if not any(np.array_equal(polygon, other) for other in others):  # not stored twice
                others.append(polygon)
        if not contours:
            continue
        inside = np.zeros(grid.shape, np.bool_)
        for plane, polygons in contours.items():
            inside[plane] = united_by(polygons, grid.shape[1:])
        warnings = _gaps(path, name, inside)
        yield NamedMask(
            f"DICOM_{number}", name, inside.view(np.uint8), 1, grid.affine, warnings=warnings
        )


def _gaps(path: Path, name: str, inside: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return a line on slices that contours of a structure leave out.

    Raises:
        InputError: they leave out so many, or so regularly, that it was not drawn there.
    """
    outlines = Outlines.of(inside)
    if (pair := outlines.apart()) is not None:
        below, above = pair
        raise InputError(
            f"{path}: contours of {name} are {above - below} slices apart or more (as on slices"
            f" {below + 1} and {above + 1}), so that it has gaps; interpolate them where they were"
            " drawn, and export it again"
        )
    if not (gaps := outlines.left_out()):
        return ()
    return (
        f"contours of {name}: none on {slices_between(gaps)}, but on both sides at the same place;"
        " look whether some were forgotten",
    )


def _model(segment: pydicom.Dataset) -> str:
    """Return id and version of the model that drew a segment, as far as it is told."""
    for item in segment.get("SegmentationAlgorithmIdentificationSequence") or ():
        return f"{item.get('AlgorithmName', '')} {item.get('AlgorithmVersion', '')}".strip()
    return ""
