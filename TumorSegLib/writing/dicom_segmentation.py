"""Segmentations as DICOM objects that refer to the images they were made from.

DICOM PS3.3 A.51 (Segmentation IOD), written by highdicom: binary segments with their SNOMED CT
codes, the algorithm's name and version, and a reference to every source image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import OutputError
from TumorSegLib.model.code import CodedConcept
from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.support.version import __version__
from TumorSegLib.writing.dicom_content import DicomContent, DicomSegment, label_map_of, lo_text
from TumorSegLib.writing.dicom_file import write_dicom_file
from TumorSegLib.writing.dicom_source import SourceImages

if TYPE_CHECKING:
    import highdicom
    import pydicom
    from pydicom.sr.coding import Code as DicomCode

MANUFACTURER = "TumorSeg"
LONGEST_SCHEME = 16
"""Characters of a coding scheme's designator (value representation SH)."""
SERIES_NUMBER = 9001
"""Behind what scanners give; viewers sort series by it."""


@quiet_pydicom()
def segmentation_dataset(content: DicomContent, source: SourceImages) -> highdicom.seg.Segmentation:
    """Return segments as a DICOM Segmentation.

    Args:
        content: volume and segments.
        source: the images on whose pixels the segments lie.

    Raises:
        OutputError: the images say what no segmentation can repeat.
    """
    import highdicom

    algorithm = content.algorithm
    pixels = _pixels(content, source)
    try:
        dataset = highdicom.seg.Segmentation(
            source_images=list(source.datasets),
            pixel_array=pixels,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _description(number, segment, uid)
                for number, (segment, uid) in enumerate(
                    zip(content.segments, _tracking_uids(content, source), strict=True), start=1
                )
            ],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=lo_text(algorithm.id, empty=MANUFACTURER),
            software_versions=lo_text(f"TumorSeg {__version__}, model {algorithm.version}"),
            device_serial_number=lo_text(algorithm.version, empty="none"),
            content_description=content.series_description(),
            content_label="SEGMENTATION",
            omit_empty_frames=bool(pixels.any()),
            specific_character_set=None,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise OutputError(
            f"the DICOM images say what a segmentation cannot repeat ({error}); write another"
            " format, such as .seg.nrrd"
        ) from error
    set_character_set(dataset, content.texts(), source)
    dataset.SeriesDescription = content.series_description()
    dataset.ContentQualification = "RESEARCH"
    return dataset


def write_dicom_segmentation(
    content: DicomContent, source: SourceImages, path: Path
) -> highdicom.seg.Segmentation:
    """Write segments as a DICOM Segmentation and return it; `path` is whole or absent.

    Raises:
        OutputError: see `segmentation_dataset`; the file cannot be written.
    """
    dataset = segmentation_dataset(content, source)
    write_dicom_file(dataset, path)
    return dataset


def set_character_set(dataset: pydicom.Dataset, names: Iterable[str], source: SourceImages) -> None:
    """Let `dataset` hold names of any script.

    It has the images' character set, whatever that is, so that the patient's name stays the same
    bytes, unless a name needs another one.
    """
    if not all(name.isascii() for name in names):
        dataset.SpecificCharacterSet = "ISO_IR 192"
    elif own := source.datasets[0].get("SpecificCharacterSet"):
        dataset.SpecificCharacterSet = own


def dicom_code(code: CodedConcept) -> DicomCode:
    """Return a code as pydicom's, as far as DICOM can hold what somebody has called it."""
    from pydicom.sr.coding import Code as DicomCode

    value = lo_text(code.value, empty="none")
    scheme = lo_text(code.scheme, LONGEST_SCHEME, empty="99NONE")
    return DicomCode(value, scheme, lo_text(code.meaning, empty=value))


def _pixels(content: DicomContent, source: SourceImages) -> NDArray[Any]:
    """Return the segments plane by plane as the images lie, 4-dimensional where they overlap."""
    planes = np.array(source.planes)
    numbers = label_map_of(content)
    if numbers is not None:
        frames: NDArray[Any] = numbers[np.maximum(planes, 0)]
    else:
        shape = content.volume.grid.shape
        frames = np.zeros((len(planes), *shape[1:], len(content.segments)), np.uint8)
        for number, segment in enumerate(content.segments):
            frames[..., number] = segment.whole(shape)[np.maximum(planes, 0)]
    frames[planes < 0] = 0
    return frames


def derived_uid(*parts: str) -> str:
    """Return a UID that is the same whenever all parts are (PS3.5 B.2)."""
    return f"2.25.{uuid5(NAMESPACE_OID, repr(parts)).int}"


def _tracking_uids(content: DicomContent, source: SourceImages) -> Iterator[str]:
    """Yield a UID a segment, which one of its name keeps whenever these images' are saved again."""
    series = str(source.datasets[0].SeriesInstanceUID)
    names = [_tracking_id(*numbered) for numbered in enumerate(content.segments, start=1)]
    for index, name in enumerate(names):
        yield derived_uid(series, name, str(names[:index].count(name)))


def _tracking_id(number: int, segment: DicomSegment) -> str:
    name, algorithm = _label(number, segment), segment.algorithm
    return lo_text(f"{algorithm.id} {name}" if algorithm else name)


def _label(number: int, segment: DicomSegment) -> str:
    return lo_text(segment.name, empty=f"Segment {number}")


def _description(
    number: int, segment: DicomSegment, tracking_uid: str
) -> highdicom.seg.SegmentDescription:
    import highdicom
    from highdicom.color import CIELabColor
    from pydicom.sr.codedict import codes

    algorithm, means = segment.algorithm, segment.codes
    identification = None
    if algorithm is not None:
        identification = highdicom.AlgorithmIdentificationSequence(
            name=lo_text(algorithm.id),
            family=codes.cid7162.ArtificialIntelligence,
            version=lo_text(algorithm.version, empty="unknown"),
            source=MANUFACTURER,
        )
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=_label(number, segment),
        segmented_property_category=dicom_code(means.category),
        segmented_property_type=dicom_code(means.type),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues(_algorithm_type(segment)),
        algorithm_identification=identification,
        tracking_uid=tracking_uid,
        tracking_id=_tracking_id(number, segment),
        anatomic_regions=[dicom_code(means.region)] if means.region else None,
        display_color=CIELabColor.from_rgb(*segment.colour),
    )
    if algorithm is not None and not algorithm.version:  # its name and type are all that is known
        del description.SegmentationAlgorithmIdentificationSequence
    if means.type_modifier is not None:
        item = description.SegmentedPropertyTypeCodeSequence[0]
        item.SegmentedPropertyTypeModifierCodeSequence = [_concept(means.type_modifier)]
    if means.region_modifier is not None:
        item = description.AnatomicRegionSequence[0]
        item.AnatomicRegionModifierSequence = [_concept(means.region_modifier)]
    return description


def _algorithm_type(segment: DicomSegment) -> str:
    if segment.algorithm is None:
        return "MANUAL"
    return "SEMIAUTOMATIC" if segment.corrected else "AUTOMATIC"


def _concept(code: CodedConcept) -> highdicom.sr.CodedConcept:
    import highdicom

    return highdicom.sr.CodedConcept.from_code(dicom_code(code))
