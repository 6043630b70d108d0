"""The version of the code that turns a case's files into cached slices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

import tumorseg_training
import TumorSegLib

FOLDERS = {
    package.__name__: Path(package.__path__[0]).parent
    for package in (TumorSegLib, tumorseg_training)
}
"""In which each package lies."""

DECODING = (
    "TumorSegLib/support/arrays.py",
    "TumorSegLib/image/voxel_box.py",
    "TumorSegLib/image/grid.py",
    "TumorSegLib/image/in_plane.py",
    "TumorSegLib/image/itk.py",
    "TumorSegLib/image/normalisation.py",
    "TumorSegLib/inference/head_field.py",
    "TumorSegLib/inference/preparation.py",
    "TumorSegLib/reading/*.py",
    "TumorSegLib/image/volume.py",
    "tumorseg_training/labelling.py",
    "tumorseg_training/readers/*.py",
    "tumorseg_training/slice_cache.py",
)
"""Files, from the folder that holds their package, on which a slice's values depend."""


@cache
def decoding_version() -> str:
    """Return what changes with any file of `DECODING`: nobody can forget to count it up."""
    return version_of(decoding_files())


def decoding_files() -> list[Path]:
    """Return the files of `DECODING`."""
    folders = [(FOLDERS[PurePosixPath(pattern).parts[0]], pattern) for pattern in DECODING]
    return [path for folder, pattern in folders for path in sorted(folder.glob(pattern))]


def version_of(paths: Iterable[Path]) -> str:
    """Return what changes with the content of any of `paths`, but not with its ends of lines."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]
