"""The version of the code that turns a case's files into cached slices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

DECODING = (
    "TumorSegLib/arrays.py",
    "TumorSegLib/grid.py",
    "TumorSegLib/in_plane.py",
    "TumorSegLib/itk.py",
    "TumorSegLib/normalisation.py",
    "TumorSegLib/preparation.py",
    "TumorSegLib/reading/*.py",
    "TumorSegLib/volume.py",
    "training/labelling.py",
    "training/readers/*.py",
    "training/slice_cache.py",
)
"""Files, from the folder that holds both packages, on which a slice's values depend."""


@cache
def decoding_version() -> str:
    """Return what changes with any file of `DECODING`: nobody can forget to count it up."""
    return version_of(path for pattern in DECODING for path in sorted(ROOT.glob(pattern)))


def version_of(paths: Iterable[Path]) -> str:
    """Return what changes with the content of any of `paths`, but not with its ends of lines."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]
