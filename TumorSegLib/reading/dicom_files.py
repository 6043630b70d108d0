"""The DICOM images of a folder, by what their headers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from TumorSegLib.reading.dicom_elements import DicomElements
from TumorSegLib.reading.dicom_folder import damaged_slice, is_slice, read_folder

FRAME_GROUPS = 0x52009230
"""PerFrameFunctionalGroupsSequence."""


@dataclass(frozen=True)
class DicomFile:
    """What the header of one DICOM image says; numbers that are missing or garbled are `None`.

    Attributes:
        path: of the file.
        series: SeriesInstanceUID.
        description: SeriesDescription.
        modality: as in DICOM ("CT", "MR").
        image_type: values of ImageType ("ORIGINAL", "PRIMARY", "LOCALIZER").
        photometric: PhotometricInterpretation ("MONOCHROME2").
        components: values in a pixel; 1 for grey.
        shape: rows and columns.
        frames: images in the file.
        position: ImagePositionPatient, LPS mm.
        orientation: ImageOrientationPatient, the row's direction, then the column's.
        pixel_spacing: PixelSpacing, mm between rows, then between columns.
        thickness: SliceThickness, mm.
        echo: EchoTime, ms.
        repetition: RepetitionTime, ms.
        inversion: InversionTime, ms.
        has_groups: whether functional groups say where its frames lie, as in enhanced files.
    """

    path: Path
    series: str
    description: str
    modality: str
    image_type: tuple[str, ...]
    photometric: str
    components: int
    shape: tuple[int, int]
    frames: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness: float | None
    echo: float | None
    repetition: float | None
    inversion: float | None
    has_groups: bool


def list_dicom(folder: Path) -> tuple[list[DicomFile], list[str]]:
    """Return the images of all series in `folder`, sorted by path, and warnings.

    Raises:
        InputError: see `read_folder`; or GDCM cannot read the header of a slice.
    """
    found = read_folder(folder)
    files = []
    for path, elements in found.images:
        try:
            files.append(_header(path, elements))
        except RuntimeError:
            if is_slice(elements):
                raise damaged_slice(path) from None
    return files, found.warnings


def _header(path: Path, elements: DicomElements) -> DicomFile:
    """Read a header; SimpleITK's RuntimeError says that the file holds no DICOM image."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    tags = {key: _text(reader.GetMetaData(key)) for key in reader.GetMetaDataKeys()}
    size = reader.GetSize()
    return DicomFile(
        path=path,
        series=tags.get("0020|000e", ""),
        description=tags.get("0008|103e", ""),
        modality=tags.get("0008|0060", ""),
        image_type=tuple(part.strip() for part in tags.get("0008|0008", "").split("\\")),
        photometric=tags.get("0028|0004", ""),
        components=reader.GetNumberOfComponents(),
        shape=(size[1], size[0]),
        frames=size[2] if len(size) > 2 else 1,
        position=_numbers(tags, "0020|0032", 3),
        orientation=_numbers(tags, "0020|0037", 6),
        pixel_spacing=_numbers(tags, "0028|0030", 2),
        thickness=_number(tags, "0018|0050"),
        echo=_number(tags, "0018|0081"),
        repetition=_number(tags, "0018|0080"),
        inversion=_number(tags, "0018|0082"),
        has_groups=FRAME_GROUPS in elements.tags,
    )


def _text(value: str) -> str:
    """Return a header's text without padding; bytes that are no UTF-8 are read as Latin-1."""
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value.strip(" \0")


def _numbers(tags: Mapping[str, str], tag: str, count: int) -> tuple[float, ...] | None:
    """Return the numbers of a tag, `None` if they are not `count` numbers."""
    try:
        numbers = tuple(float(part) for part in tags.get(tag, "").split("\\"))
    except ValueError:
        return None
    return numbers if len(numbers) == count else None


def _number(tags: Mapping[str, str], tag: str) -> float | None:
    numbers = _numbers(tags, tag, 1)
    return numbers[0] if numbers else None
