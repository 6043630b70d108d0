"""Which files of a folder are DICOM, and which should be but are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.reading.dicom_header import DicomHeader, read_header
from TumorSegLib.reading.dicom_pixels import check_pixels
from TumorSegLib.reading.dicom_structure import DamagedError
from TumorSegLib.reading.file_path import readable
from TumorSegLib.support.words import counted

SLICE_CLASSES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{suffix}"
    for suffix in (
        *("2", "2.1", "2.2"),  # CT: plain, enhanced, legacy converted
        *("4", "4.1", "4.4"),  # MR
        *("128", "128.1", "130"),  # PET
    )
)
"""SOP classes of slices. A file of another class (report, structure set) may lack an image."""

SEGMENTATION_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.66.{suffix}" for suffix in ("4", "7"))
"""DICOM Segmentations have pixels, but are no images: results that were saved beside these."""

LEFT_BY_SYSTEMS = frozenset(("thumbs.db", "desktop.ini", "icon\r"))
DICOM_ENDINGS = frozenset((".dcm", ".dicom", ".ima"))
LOOK_AT = 4096
"""Bytes with which a file begins."""


@dataclass(frozen=True)
class DicomFolder:
    """What lies in a folder.

    Attributes:
        images: DICOM files with pixels, sorted by path, and their headers.
        warnings: about files that were passed over, one line each.
    """

    images: list[tuple[Path, DicomHeader]]
    warnings: list[str] = field(default_factory=list)


def read_folder(folder: Path) -> DicomFolder:
    """Look through the files in `folder`, sub-folders left out.

    What is no DICOM, and DICOM without an image, is passed over, as are segmentations. Files that
    are named like the slices must be slices: an incomplete copy has empty files, zeros, or links to
    what was not fetched in their place, which would make the volume shorter or its slices lie
    farther apart.

    Raises:
        InputError: the folder or a file in it cannot be opened, or a slice is damaged or missing.
    """
    images: list[tuple[Path, DicomHeader]] = []
    others: list[Path] = []
    for path in _files(folder):
        header = _header(path)
        classes = {header.file_class, header.text("SOPClassUID")} if header is not None else set()
        if header is None:
            others.append(path)
        elif classes & SEGMENTATION_CLASSES:
            continue
        elif header.pixels is not None:
            check_pixels(path, header)
            images.append((path, header))
        elif classes & SLICE_CLASSES:
            raise _damaged_slice(path)
    return DicomFolder(images, _passed_over(others, [path for path, _ in images]))


def _files(folder: Path) -> list[Path]:
    """Return the files that people or programs put into a folder on purpose.

    Raises:
        InputError: it cannot be opened, or holds a link to nothing.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be opened ({error.strerror})") from None
    return [
        readable(path)
        for path in paths
        if (path.is_file() or (path.is_symlink() and not path.exists()))
        and path.name.lower() not in LEFT_BY_SYSTEMS
    ]


def _header(path: Path) -> DicomHeader | None:
    """Return the header of a DICOM file; none if it is no DICOM file.

    Raises:
        InputError: it is damaged, or cannot be read.
    """
    try:
        return read_header(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except DamagedError:
        raise _damaged_slice(path) from None


def _passed_over(others: Iterable[Path], images: Iterable[Path]) -> list[str]:
    """Return warnings about empty files that are named unlike the slices.

    Raises:
        InputError: a file that is no DICOM is named like the slices.
    """
    likes = {_like(path) for path in images}
    empty = []
    for path in others:
        content = _content(path)
        if _like(path) in likes or path.suffix.lower() in DICOM_ENDINGS:
            raise InputError(
                f"{path}: is named like a slice but {content}; copy or fetch the series again, or"
                " take the file out of the folder"
            )
        if content != "holds no DICOM":
            empty.append(path)
    if not empty:
        return []
    count = counted(len(empty), "file")
    return [f"{empty[0].parent.resolve().name}: {count} without content left out"]


def _content(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(LOOK_AT)
    if not start:
        return "is empty"
    return "begins with zeros" if not start[:132].strip(b"\0") else "holds no DICOM"


def _like(path: Path) -> str:
    """Return a name with its numbers left out."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "#", path.name.lower())


def _damaged_slice(path: Path) -> InputError:
    """Return the error for a slice that cannot be read."""
    return InputError(
        f"{path}: a DICOM slice that cannot be read, damaged or truncated; copy or export the"
        " series again"
    )
