"""Results as the bytes of files; what has to pass through a file is gone at once. No trame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume
from TumorSegLib.measurement.table import as_csv, lesion_table
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.images import inside, intersection
from TumorSegLib.slicer_io.masks import mask_of
from TumorSegLib.slicer_io.nodes import is_case, masks_of, volume_of, voxels_of
from TumorSegLib.slicer_io.segments import tag_of
from TumorSegLib.writing.image_writing import write_image_atomically
from TumorSegModule.logic.findings import Findings
from TumorSegWeb.temporary import full_disks_told, temporary_folder

if TYPE_CHECKING:
    from TumorSegLib.writing.dicom_content import DicomContent
    from TumorSegLib.writing.dicom_source import SourceImages


def segmentation_file(target: slicer.vtkMRMLSegmentationNode) -> bytes:
    """Return a segmentation as `.seg.nrrd`, written by 3D Slicer's own MRML.

    Raises:
        InputError: there are no segments.
        OutputError: it cannot be written.
    """
    _check(target)
    storage = slicer.vtkMRMLSegmentationStorageNode()

    def write(path: Path) -> bool:
        storage.SetFileName(str(path))
        return bool(storage.WriteData(target))

    return _through_a_file("result.seg.nrrd", write)


def label_map_file(target: slicer.vtkMRMLSegmentationNode) -> bytes:
    """Return a segmentation as a NIfTI label map on the grid of its volume.

    Where segments overlap, the later one wins.

    Raises:
        InputError: there are no segments, or its volume is gone.
        OutputError: it cannot be written.
    """
    _check(target)
    volume = volume_of(target)
    if volume is None:
        raise InputError(f"{target.GetName()}: its volume is gone; download it as .seg.nrrd")
    placement = placement_of(volume)
    labels = np.zeros(placement.grid.shape, np.uint8)
    frame = tuple(edge for count in labels.shape for edge in (0, count))
    for segment, value in zip(_segments(target), values_of(target), strict=True):
        mask, box = mask_of(segment, placement.ijk_to(target))
        place = intersection(box, frame)
        if mask is not None and place:
            labels[inside(place, frame)][mask[inside(place, box)]] = value
    image = to_sitk(labels, placement.grid)
    return _through_a_file("result.nii.gz", lambda path: write_image_atomically(image, path))


def dicom_content(
    target: slicer.vtkMRMLSegmentationNode, source: SourceImages | None
) -> DicomContent:
    """Return what DICOM objects say of a segmentation, as it is now.

    Args:
        target: segmentation node.
        source: the images that its volume was read from, None if it was not read from DICOM.

    Raises:
        InputError: there are no segments, or they reach beyond the volume.
        OutputError: there are no such images.
    """
    from TumorSegLib.worker.dicom_command import drawn_segment, made_by
    from TumorSegLib.writing.dicom_content import DicomContent
    from TumorSegModule.logic.segment_copies import colour_of, said_of

    _check(target)
    volume = volume_of(target)
    if source is None or volume is None:
        raise OutputError(
            f"{target.GetName()}: its volume was not read from DICOM, or highdicom is not"
            " installed; save it as .seg.nrrd"
        )
    grid = placement_of(volume).grid
    segments = tuple(
        drawn_segment(
            mask,
            grid,
            tag_of(segment, segment.GetTerminologyEntryTagName()),
            colour_of(segment),
            said_of(target, segment),
        )
        for mask, segment in zip(masks_of(target), _segments(target), strict=True)
    )
    image = Volume(voxels_of(volume).copy(), grid, name=volume.GetName())
    return DicomContent(image, segments, target.GetName(), made_by(segments))


def dicom_file(content: DicomContent, source: SourceImages) -> bytes:
    """Return a DICOM Segmentation that refers to the volume's images. Touches no scene.

    Raises:
        OutputError: the images lack what it must repeat.
    """
    from TumorSegLib.writing.dicom_segmentation import write_dicom_segmentation

    def write(path: Path) -> bool:
        write_dicom_segmentation(content, source, path)
        return True

    return _through_a_file("result.dcm", write)


def dicom_files(content: DicomContent, source: SourceImages) -> dict[str, bytes]:
    """Return a DICOM Segmentation, and a structured report with its measurements, by file name.

    Raises:
        OutputError: the images lack what they must repeat.
    """
    from TumorSegLib.writing.dicom_report import write_dicom_report
    from TumorSegLib.writing.dicom_segmentation import write_dicom_segmentation

    with full_disks_told(), temporary_folder() as place:
        paths = [Path(place, name) for name in ("SEG.dcm", "SR.dcm")]
        segmentation = write_dicom_segmentation(content, source, paths[0])
        write_dicom_report(content, segmentation, source, paths[1])
        return {path.name: path.read_bytes() for path in paths}


def values_of(target: slicer.vtkMRMLSegmentationNode) -> list[int]:
    """Return a value for each segment: the model's where it is not taken, else the next free."""
    values: list[int] = []
    own = [segment.GetLabelValue() for segment in _segments(target)]
    for value in own:
        free = next(number for number in range(1, 256) if number not in (*values, *own))
        values.append(value if value not in values and 1 <= value <= 255 else free)
    return values


def scene_file(scene: slicer.vtkMRMLScene, write_scene: Callable[[Path], bool]) -> bytes:
    """Return the scene as `.mrb`.

    Args:
        scene: whose nodes are gathered in its cache's folder first; what stays there where the
            archive finds no room goes with ours.
        write_scene: writes it to a path.

    Raises:
        OutputError: it cannot be written.
    """
    cache = scene.GetCacheManager()
    kept = cache.GetRemoteCacheDirectory()
    with temporary_folder() as place:
        cache.SetRemoteCacheDirectory(place)
        try:
            return _through_a_file("scene.mrb", write_scene)
        finally:
            cache.SetRemoteCacheDirectory(kept)


def lesions_file(found: Findings | None) -> bytes:
    """Return the table of lesions as CSV.

    Raises:
        InputError: nothing is measured yet.
    """
    if found is None:
        raise InputError("nothing is measured yet; segment first, or wait a moment")
    return as_csv(lesion_table(found.lesion_segments))


def _check(target: Any) -> None:
    if target is None or not is_case(target):
        raise InputError("there are no segments yet; segment first")


def _segments(target: slicer.vtkMRMLSegmentationNode) -> list[slicer.vtkSegment]:
    content = target.GetSegmentation()
    return [content.GetNthSegment(n) for n in range(content.GetNumberOfSegments())]


def _through_a_file(name: str, write: Callable[[Path], bool]) -> bytes:
    with temporary_folder() as place:
        path = Path(place, name)
        try:
            whole = write(path) and path.is_file()
            content = path.read_bytes() if whole else b""
        except OSError as error:
            raise OutputError(f"{name}: cannot be written: {error.strerror or error}") from error
        if not whole:
            raise OutputError(f"{name}: cannot be written completely; is the disk full?")
        return content
