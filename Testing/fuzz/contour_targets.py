"""Target: DICOM Segmentations and RT Structure Sets, read onto the volume they were drawn on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from fuzz.binary_changes import dicom_changed
from fuzz.changes import Files, in_one_file
from fuzz.image_seeds import SHAPE, labels
from fuzz.target import Arrays, Target

NAME = "segments.dcm"
SPACING = (0.7, 0.8, 2.5)
FRACTIONAL_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"


def read_segments(folder: Path) -> Arrays:
    """Read the segments in `folder` onto a volume."""
    from TumorSegLib.export.dicom_masks import read_dicom_segments
    from TumorSegLib.image.grid import Grid
    from TumorSegLib.image.volume import Volume

    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    masks = read_dicom_segments(folder / NAME, Volume(voxels, Grid(SHAPE, SPACING)))
    found: list[object] = []
    for mask in masks:
        assert mask.labelmap.shape == SHAPE
        found += [mask.id, mask.name, mask.value, mask.model, mask.labelmap]
    return found


def contour_seeds() -> list[Files]:
    """Return a segmentation of each kind, and a structure set with contours and a point."""
    kinds = [_segmentation(kind) for kind in ("BINARY", "FRACTIONAL", "LABELMAP")]
    return [{NAME: content} for content in (*kinds, _structure_set())]


def _segmentation(kind: str) -> bytes:
    import pydicom

    header = _header(FRACTIONAL_SEGMENTATION, "SEG")
    frames = [labels()] if kind == "LABELMAP" else [labels() == 1, labels() == 2]
    pixels = np.concatenate(frames).astype(np.uint8)
    header.SegmentationType = kind
    header.Rows, header.Columns = SHAPE[1:]
    header.NumberOfFrames = len(pixels)
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 1 if kind == "BINARY" else 8
    header.HighBit, header.PixelRepresentation = header.BitsStored - 1, 0
    header.MaximumFractionalValue = 1
    header.PixelData = pixels.tobytes()
    if kind == "BINARY":
        header.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    header["PixelData"].VR = "OB"
    header.SegmentSequence = [pydicom.Dataset(), pydicom.Dataset()]
    for number, segment in enumerate(header.SegmentSequence, 1):
        segment.SegmentNumber, segment.SegmentLabel = number, f"Segment {number}"
        segment.SegmentAlgorithmType = "MANUAL"
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence = [pydicom.Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = [SPACING[1], SPACING[0]]
    shared.PlaneOrientationSequence = [pydicom.Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = []
    for number in range(len(pixels)):
        frame = pydicom.Dataset()
        frame.PlanePositionSequence = [pydicom.Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = [
            *(0, 0),
            number % SHAPE[0] * SPACING[2],
        ]
        frame.SegmentIdentificationSequence = [pydicom.Dataset()]
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = number // SHAPE[0] + 1
        header.PerFrameFunctionalGroupsSequence.append(frame)
    return _written(header)


def _structure_set() -> bytes:
    import pydicom

    header = _header(STRUCTURE_SET, "RTSTRUCT")
    header.StructureSetROISequence, header.ROIContourSequence = [], []
    for number, name in enumerate(("Liver", "Liver tumour"), 1):
        described, drawn = pydicom.Dataset(), pydicom.Dataset()
        described.ROINumber = drawn.ReferencedROINumber = number
        described.ROIName = name
        drawn.ContourSequence = []
        for plane in range(number, 3):
            contour = pydicom.Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
            corners = ((0, 0), (3, 0), (3, 4), (0, 4))
            contour.ContourData = [
                f"{mm:.6g}"
                for x, y in corners
                for mm in (x * SPACING[0], y * SPACING[1], plane * SPACING[2])
            ]
            drawn.ContourSequence.append(contour)
        header.StructureSetROISequence.append(described)
        header.ROIContourSequence.append(drawn)
    return _written(header)


def _header(sop_class: str, modality: str):
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = sop_class
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.1"
    header.Modality, header.SpecificCharacterSet = modality, "ISO_IR 100"
    header.FrameOfReferenceUID = "1.2.826.0.1.2"
    return header


def _written(header) -> bytes:
    from dicom_writing import save

    file = io.BytesIO()
    save(header, file)
    return file.getvalue()


def import_masks() -> None:
    import TumorSegLib.export.dicom_masks  # noqa: F401


TARGETS = (
    Target(
        "DICOM segments",
        contour_seeds,
        read_segments,
        (in_one_file(dicom_changed),),
        import_masks,
    ),
)
