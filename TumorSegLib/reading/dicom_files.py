"""The DICOM images of a folder, by what their headers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from TumorSegLib.errors import InputError
from TumorSegLib.reading.file_path import readable

SLICE_CLASSES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{suffix}"
    for suffix in (
        *("2", "2.1", "2.2"),  # CT: plain, enhanced, legacy converted
        *("4", "4.1", "4.4"),  # MR
        *("128", "128.1", "130"),  # PET
    )
)
"""SOP classes of slices. A file of another class (report, structure set) may lack an image."""


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


def list_dicom(folder: Path) -> list[DicomFile]:
    """Return the images of all series in `folder`, sub-folders left out, sorted by path.

    Files that are not DICOM, and DICOM without an image, are passed over.

    Raises:
        InputError: the folder or a file in it cannot be opened, or a slice is damaged.
    """
    found = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be opened ({error.strerror})") from None
    for path in paths:
        sop_class = _sop_class(readable(path))
        try:
            found.append(_header(path))
        except RuntimeError:
            if sop_class in SLICE_CLASSES:
                raise InputError(
                    f"{path}: a DICOM slice that cannot be read, damaged or truncated; copy or"
                    " export the series again"
                ) from None
    return found


def _header(path: Path) -> DicomFile:
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


def _sop_class(path: Path) -> str:
    """Return the SOP class that a DICOM file's preamble names; "" if there is none.

    MediaStorageSOPClassUID stands within the first few hundred bytes in a fixed encoding, whatever
    is wrong with the rest (DICOM PS3.10 section 7.1).
    """
    with path.open("rb") as file:
        start = file.read(1024)
    tag = start.find(b"\x02\x00\x02\x00UI", 132)
    if start[128:132] != b"DICM" or tag < 0:
        return ""
    length = int.from_bytes(start[tag + 6 : tag + 8], "little")
    return start[tag + 8 : tag + 8 + length].decode("ascii", "replace").rstrip("\0")
