"""Which files and which series are read, by what the user names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PREAMBLE, MAGIC = 128, b"DICM"

SERIES_SIGN = "#"
"""Between a folder and the SeriesInstanceUID of one of its series."""


def folder_and_series(named: str) -> tuple[Path, str | None]:
    """Return a path, and the series that is named behind it as in `study#1.2.3`, if one is.

    A file or folder that has the sign in its name is meant itself.
    """
    folder, sign, series = named.rpartition(SERIES_SIGN)
    if not sign or not series or Path(named).exists() or not Path(folder).is_dir():
        return Path(named), None
    return Path(folder), series


def source_files(path: Path) -> list[Path]:
    """Return the files that reading the volume in `path` may open; none if there is none."""
    folder = path.parent if is_dicom_file(path) else path
    return sorted(folder.iterdir()) if folder.is_dir() else [path]


def is_dicom_file(path: Path) -> bool:
    """Tell whether a path is a file that begins as DICOM files do (PS3.10 section 7.1)."""
    if not path.is_file():
        return False
    with suppress(OSError), path.open("rb") as file:
        return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC
    return False
