"""Measurements as a DICOM structured report, beside the DICOM Segmentation that they were made on.

DICOM PS3.16 TID 1500 (Measurement Report), written by highdicom: a group for each segment, and for
each lesion of an abnormal structure one of its own, with a tracking UID. A lesion is a component of
its segment: its group refers to the segment, and to those source images alone that show the lesion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from TumorSegLib.image.modality import modality_of
from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.lesions import LESION_CATEGORIES
from TumorSegLib.measurement.quantities import QUANTITIES
from TumorSegLib.measurement.segment import Measurement, measure_segment
from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.slicer_io.terminology import Terminology
from TumorSegLib.writing.dicom_content import LONGEST_NAME, DicomContent, DicomSegment, lo_text
from TumorSegLib.writing.dicom_file import write_dicom_file
from TumorSegLib.writing.dicom_segmentation import (
    MANUFACTURER,
    derived_uid,
    dicom_code,
    set_character_set,
)
from TumorSegLib.writing.dicom_source import SourceImages

if TYPE_CHECKING:
    import highdicom
    from highdicom import sr

SIDES = frozenset(("7771000", "24028007", "51440002", "66459002"))
"""SNOMED CT: left, right, both and one side, DICOM's CID 244; other modifiers are no laterality."""
SERIES_NUMBER = 9002

Progress = Callable[[int, int], None]


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@quiet_pydicom()
def report_dataset(
    content: DicomContent,
    segmentation: highdicom.seg.Segmentation,
    source: SourceImages,
    *,
    progress: Progress = no_progress,
) -> sr.Comprehensive3DSR:
    """Return the measurements of a DICOM Segmentation's segments as a DICOM structured report.

    Args:
        content: what is measured.
        segmentation: the DICOM Segmentation of `content`.
        source: the images that it refers to.
        progress: told how many of how many segments are measured.
    """
    import highdicom
    from highdicom import sr
    from pydicom.sr.codedict import codes

    algorithm = content.algorithm
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=highdicom.UID(),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=lo_text(algorithm.id, empty=MANUFACTURER),
        serial_number=lo_text(algorithm.version, empty="none"),
    )
    context = sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )
    is_ct = modality_of(content.volume) == "CT"
    procedure = codes.LN.CTUnspecifiedBodyRegion if is_ct else codes.LN.MRIUnspecifiedBodyRegion
    groups: list[Any] = []
    for number, segment in enumerate(content.segments, start=1):
        progress(number - 1, len(content.segments))
        groups += _groups(number, segment, content, segmentation, source)
    tree = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=procedure,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    dataset = sr.Comprehensive3DSR(
        evidence=[segmentation, *source.datasets],
        content=tree,
        series_instance_uid=highdicom.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        specific_character_set=None,
    )
    set_character_set(dataset, content.texts(), source)
    dataset.SeriesDescription = content.series_description(", measurements")
    return dataset


def write_dicom_report(
    content: DicomContent,
    segmentation: highdicom.seg.Segmentation,
    source: SourceImages,
    path: Path,
    *,
    progress: Progress = no_progress,
) -> sr.Comprehensive3DSR:
    """Write what `report_dataset` returns, and return it; `path` is whole or absent.

    Raises:
        OutputError: the file cannot be written.
    """
    dataset = report_dataset(content, segmentation, source, progress=progress)
    write_dicom_file(dataset, path)
    return dataset


def _groups(
    number: int,
    segment: DicomSegment,
    content: DicomContent,
    segmentation: highdicom.seg.Segmentation,
    source: SourceImages,
) -> Iterator[sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """Yield the group of a segment, with its volume of 0 if nothing was found, and its lesions'."""
    from highdicom import sr

    volume = content.volume
    mask = segment.whole(volume.grid.shape)
    measured = measure_segment(mask, volume.grid, name=segment.name, voxels=volume.voxels)
    described = segmentation.SegmentSequence[number - 1]
    whole = sr.TrackingIdentifier(described.TrackingUID, described.TrackingID)
    values = _of_segment(measured, content) if measured.voxels else [_volume(0)]
    planes = np.flatnonzero(mask.any(axis=(1, 2))) if measured.voxels else range(len(mask))
    on = [_source_image(source, int(plane)) for plane in planes]
    yield _group(whole, segment, _segment(segmentation, number, on), values)
    category = segment.codes.category
    if (category.scheme, category.value) not in LESION_CATEGORIES:
        return
    for part in measured.parts:
        suffix = f" {part.number}"
        identifier = lo_text(described.SegmentLabel, LONGEST_NAME - len(suffix)) + suffix
        on = [_source_image(source, plane) for plane in range(*part.box[0])]
        place = _segment(segmentation, number, on)
        tracked = sr.TrackingIdentifier(_lesion_uid(str(described.TrackingUID), part), identifier)
        yield _group(tracked, segment, place, _of_component(part, content))


def _lesion_uid(segment_uid: str, part: Component) -> str:
    """Return a UID that a lesion keeps in all reports, as long as its voxels are the same."""
    place = ",".join(f"{mm:.2f}" for mm in part.centroid_mm)
    return derived_uid(segment_uid, str(part.box), str(part.voxels), place)


def _source_image(source: SourceImages, plane: int) -> sr.SourceImageForSegmentation:
    from highdicom import sr

    index = source.planes.index(plane)
    if source.is_multi_frame:
        return sr.SourceImageForSegmentation.from_source_image(source.datasets[0], [index + 1])
    return sr.SourceImageForSegmentation.from_source_image(source.datasets[index])


def _segment(
    segmentation: highdicom.seg.Segmentation,
    number: int,
    images: Sequence[sr.SourceImageForSegmentation],
) -> sr.ReferencedSegment:
    """Return a reference to a segment, as far as it lies on some images."""
    from highdicom import sr

    return sr.ReferencedSegment(
        segmentation.SOPClassUID, segmentation.SOPInstanceUID, number, source_images=list(images)
    )


def _group(
    tracked: sr.TrackingIdentifier,
    segment: DicomSegment,
    place: sr.ReferencedSegment,
    values: Sequence[sr.Measurement],
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    from highdicom import sr

    site = _site(segment.codes)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracked,
        referenced_segment=place,
        finding_category=dicom_code(segment.codes.category),
        finding_type=dicom_code(segment.codes.type),
        finding_sites=None if site is None else [site],
        measurements=values,
    )


def _site(codes: Terminology) -> sr.FindingSite | None:
    """Return where a segment lies, with its side; an organ of one side is its own site."""
    from highdicom import sr

    region, modifier = codes.region, codes.region_modifier
    if region is None and codes.type_modifier is not None:
        region, modifier = codes.type, codes.type_modifier
        if modifier.value not in SIDES:
            return None
    if region is None:
        return None
    if modifier is None:
        return sr.FindingSite(dicom_code(region))
    kind = "laterality" if modifier.value in SIDES else "topographical_modifier"
    return sr.FindingSite(dicom_code(region), **{kind: dicom_code(modifier)})


def _of_segment(measured: Measurement, content: DicomContent) -> list[sr.Measurement]:
    return [
        _volume(measured.volume_ml),
        _figure("surface_mm2", measured.surface_mm2),
        *_intensities(measured.mean, measured.standard_deviation, content),
        _figure("longest_axial_diameter_mm", measured.longest_axial_diameter_mm),
    ]


def _of_component(part: Component, content: DicomContent) -> list[sr.Measurement]:
    return [  # first what `_of_segment` has: 3D Slicer puts each group below the first's headings
        _volume(part.volume_ml),
        _figure("surface_mm2", part.surface_mm2),
        *_intensities(part.mean, part.standard_deviation, content),
        _figure("longest_axial_diameter_mm", part.longest_axial_diameter_mm),
        _figure("perpendicular_diameter_mm", part.perpendicular_diameter_mm),
        _figure("longest_diameter_mm", part.longest_diameter_mm),
    ]


def _volume(ml: float) -> sr.Measurement:
    from pydicom.sr.coding import Code

    summed = Code("126030", "DCM", "Sum of segmented voxel volumes")
    return _figure("volume_ml", ml, method=summed)


def _figure(name: str, value: float, **more: Any) -> sr.Measurement:
    """Return a figure with the codes that `QUANTITIES` has for it."""
    quantity = QUANTITIES[name]
    assert quantity.unit_code is not None
    return _measured(dicom_code(quantity.code), value, dicom_code(quantity.unit_code), **more)


def _intensities(
    mean: float | None, deviation: float | None, content: DicomContent
) -> Iterator[sr.Measurement]:
    """Yield mean and standard deviation of CT numbers, or of the signal of MRI."""
    from pydicom.sr.codedict import codes

    if modality_of(content.volume) == "CT":
        quantity, unit = codes.DCM.AttenuationCoefficient, codes.UCUM.HounsfieldUnit
    else:
        quantity = codes.DCM.MRSignalIntensity
        unit = codes.UCUM.NoUnits
    for name, value in (("mean", mean), ("standard_deviation", deviation)):
        if value is not None:
            derivation = dicom_code(QUANTITIES[name].code)
            yield _measured(quantity, value, unit, derivation=derivation)


def _measured(quantity: Any, value: float, unit: Any, **more: Any) -> sr.Measurement:
    from highdicom import sr

    # DS holds 16 characters; six figures are more than any of these is accurate to
    return sr.Measurement(quantity, float(f"{value:.6g}"), unit, **more)
