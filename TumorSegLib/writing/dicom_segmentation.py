"""Segmentations as DICOM objects that refer to the images they were made from.

DICOM PS3.3 A.51 (Segmentation IOD), written by highdicom: a binary segment a label, with the
model's SNOMED CT codes, the algorithm's name and version, and a reference to every source image.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from TumorSegLib.errors import OutputError
from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.model.specification import Label, ModelSpecification
from TumorSegLib.support.version import __version__
from TumorSegLib.writing.dicom_file import write_dicom_file
from TumorSegLib.writing.dicom_source import SourceImages

if TYPE_CHECKING:
    import highdicom
    import pydicom
    from pydicom.sr.coding import Code as DicomCode

MANUFACTURER = "TumorSeg"
SERIES_NUMBER = 9001
"""Behind what scanners give; viewers sort series by it."""
LONGEST_NAME = 64
"""Characters of a segment's label and of a series' description (value representation LO)."""


def segmentation_dataset(
    labelled: LabelledVolume, source: SourceImages
) -> highdicom.seg.Segmentation:
    """Return a label map as a DICOM Segmentation.

    Args:
        labelled: volume, label map and the model's labels.
        source: the images on whose pixels the label map lies.

    Raises:
        OutputError: the images lack what a segmentation must repeat.
    """
    import highdicom

    specification = labelled.specification
    planes = np.array(source.planes)
    frames = labelled.labelmap[np.maximum(planes, 0)]
    frames[planes < 0] = 0
    masks = np.stack([frames == label.value for label in specification.labels], axis=-1)
    try:
        dataset = highdicom.seg.Segmentation(
            source_images=list(source.datasets),
            pixel_array=masks.astype(np.uint8),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _description(number, label, specification)
                for number, label in enumerate(specification.labels, start=1)
            ],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=specification.id,
            software_versions=f"TumorSeg {__version__}, model {specification.version}",
            device_serial_number=specification.version,
            content_description=f"{specification.title}, {specification.version}"[:LONGEST_NAME],
            content_label="SEGMENTATION",
            omit_empty_frames=bool(masks.any()),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise OutputError(
            f"the DICOM images lack what a segmentation must repeat ({error}); write another"
            " format, such as .seg.nrrd"
        ) from error
    set_character_set(dataset, (label.name for label in specification.labels))
    dataset.SeriesDescription = f"TumorSeg {specification.title}"[:LONGEST_NAME]
    dataset.ContentQualification = "RESEARCH"
    return dataset


def write_dicom_segmentation(
    labelled: LabelledVolume, source: SourceImages, path: Path
) -> highdicom.seg.Segmentation:
    """Write a label map as a DICOM Segmentation and return it; `path` is whole or absent.

    Raises:
        OutputError: see `segmentation_dataset`; the file cannot be written.
    """
    dataset = segmentation_dataset(labelled, source)
    write_dicom_file(dataset, path)
    return dataset


def set_character_set(dataset: pydicom.Dataset, names: Iterable[str]) -> None:
    """Let `dataset` hold names of any script.

    Those of the images' character set keep it, so that the patient's name stays the same bytes.
    """
    if not all(name.isascii() for name in names):
        dataset.SpecificCharacterSet = "ISO_IR 192"


def dicom_code(code: CodedConcept) -> DicomCode:
    """Return a code of a model's labels as pydicom's."""
    from pydicom.sr.coding import Code as DicomCode

    return DicomCode(code.value, code.scheme, code.meaning)


def _description(
    number: int, label: Label, specification: ModelSpecification
) -> highdicom.seg.SegmentDescription:
    import highdicom
    from highdicom.color import CIELabColor
    from pydicom.sr.codedict import codes

    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label.name[:LONGEST_NAME],
        segmented_property_category=dicom_code(label.category),
        segmented_property_type=dicom_code(label.type),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=specification.id,
            family=codes.cid7162.ArtificialIntelligence,
            version=specification.version,
            source=MANUFACTURER,
        ),
        tracking_uid=highdicom.UID(),
        tracking_id=f"{specification.id} {label.name}"[:LONGEST_NAME],
        anatomic_regions=[dicom_code(label.region)] if label.region else None,
        display_color=CIELabColor.from_rgb(*label.colour),
    )
