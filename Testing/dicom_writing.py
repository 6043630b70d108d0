"""DICOM slices for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def write_slices(
    folder: Path,
    slices: Sequence[NDArray[Any]],
    positions: Sequence[Sequence[float]],
    *,
    series: str = "1.2.3",
    names: Sequence[str] | None = None,
    orientation: Sequence[float] = AXIAL,
    spacing: tuple[float, float] = (0.8, 0.7),
    **attributes: Any,
) -> list[Path]:
    """Write one file a slice: `spacing` between rows, then columns; further DICOM attributes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, (pixels, position) in enumerate(zip(slices, positions, strict=True)):
        header = header_of(pixels, CT, series)
        header.ImagePositionPatient = [float(f"{mm:.10g}") for mm in position]
        header.ImageOrientationPatient = list(orientation)
        header.PixelSpacing = list(spacing)
        header.SliceThickness = "2"
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        for keyword, value in attributes.items():
            if value is None:
                if keyword in header:
                    delattr(header, keyword)
            else:
                setattr(header, keyword, value)
        path = folder / (names[index] if names else f"{index:03}.dcm")
        save(header, path)
        paths.append(path)
    return paths


def write_frames(
    path: Path, frames: NDArray[np.int16], positions: Sequence[Sequence[float]]
) -> None:
    """Write an enhanced CT with all frames in one file."""
    header = header_of(frames, ENHANCED_CT, "1.2.3")
    header.NumberOfFrames = len(frames)
    shared = Dataset()
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.8, 0.7]
    shared.PixelMeasuresSequence[0].SliceThickness = 2
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = list(AXIAL)
    shared.PixelValueTransformationSequence = [Dataset()]
    shared.PixelValueTransformationSequence[0].RescaleSlope = 1
    shared.PixelValueTransformationSequence[0].RescaleIntercept = -1024
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = []
    for position in positions:
        frame = Dataset()
        frame.PlanePositionSequence = [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = list(position)
        header.PerFrameFunctionalGroupsSequence.append(frame)
    save(header, path)


def save(
    header: pydicom.Dataset, path: Path | BinaryIO, *, implicit: bool = False, little: bool = True
) -> None:
    """Write a whole DICOM file, with the words of pydicom 2 or of later ones."""
    if pydicom.__version__.startswith("2."):
        header.is_implicit_VR, header.is_little_endian = implicit, little
        pydicom.dcmwrite(path, header, write_like_original=False)
    else:
        encoding = {"implicit_vr": implicit, "little_endian": little}
        header.save_as(path, enforce_file_format=True, **encoding)


def header_of(pixels: NDArray[Any], sop_class: str, series: str) -> pydicom.Dataset:
    """A data set with grey pixels and what else the standard asks of it at least."""
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = sop_class
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.StudyInstanceUID, header.SeriesInstanceUID = "1.2", series
    header.Modality, header.SeriesDescription = "CT", "Schädel 2 mm"
    header.SpecificCharacterSet = "ISO_IR 100"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.Rows, header.Columns = pixels.shape[-2:]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    header.BitsAllocated = header.BitsStored = bits
    header.HighBit = bits - 1
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OW"
    return header
