"""Which files and which series are read, by what the user names."""

from __future__ import annotations

from pathlib import Path

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
    if path.is_dir():
        return sorted(path.iterdir())
    return [path]
