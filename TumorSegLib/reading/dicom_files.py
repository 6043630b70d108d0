"""The DICOM images of a folder, by what their headers say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.reading.dicom_folder import read_folder
from TumorSegLib.reading.dicom_header import DicomHeader


@dataclass(frozen=True)
class DicomFile:
    """What the header of one DICOM image says; numbers that are missing or garbled are `None`.

    Attributes:
        path: of the file.
        header: the rest of what it says.
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
    header: DicomHeader
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
        InputError: see `read_folder`.
    """
    found = read_folder(folder)
    return [_file(path, header) for path, header in found.images], found.warnings


def _file(path: Path, header: DicomHeader) -> DicomFile:
    return DicomFile(
        path=path,
        header=header,
        series=header.text("SeriesInstanceUID"),
        description=header.text("SeriesDescription"),
        modality=header.text("Modality"),
        image_type=header.texts("ImageType"),
        photometric=header.text("PhotometricInterpretation"),
        components=header.whole("SamplesPerPixel", 1),
        shape=(header.whole("Rows"), header.whole("Columns")),
        frames=header.whole("NumberOfFrames", 1),
        position=header.numbers("ImagePositionPatient", 3),
        orientation=header.numbers("ImageOrientationPatient", 6),
        pixel_spacing=header.numbers("PixelSpacing", 2),
        thickness=header.number("SliceThickness"),
        echo=header.number("EchoTime"),
        repetition=header.number("RepetitionTime"),
        inversion=header.number("InversionTime"),
        has_groups="PerFrameFunctionalGroupsSequence" in header.values,
    )
