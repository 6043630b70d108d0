"""The packages that write DICOM objects: Slicer's own, or newer ones in a folder beside it.

Slicer 5.10 brings a pydicom that is too old for highdicom, and other extensions rely on it. So it
stays, and the packages that are needed lie in a folder that only the worker looks into. So it is
for 5.12, whose highdicom 0.27 leaves out the character set of some names. No Qt, no MRML.
"""

from __future__ import annotations

import sys
from pathlib import Path

from TumorSegLib.support.extras import EXTRAS
from TumorSegLib.support.places import data_folder
from TumorSegModule.logic.requirements import unmet

(HIGHDICOM,) = EXTRAS["dicom"]
PYDICOM = "pydicom>=3.0.1"
TOGETHER = (HIGHDICOM, PYDICOM, "pyjpegls>=1.0", "typing-extensions>=4.0")
"""What highdicom needs beside NumPy and Pillow, which Slicer brings."""


def own_folder() -> Path:
    """Return the folder for packages of this Python."""
    major, minor = sys.version_info[:2]
    return data_folder() / f"dicom-packages-{major}.{minor}"


def search_path() -> list[str]:
    """Return the folders in which the worker looks for packages first."""
    return [] if unmet(HIGHDICOM, sys.path) is None else [str(own_folder())]


def are_missing() -> bool:
    """Tell whether the packages must be installed; none is imported to find out."""
    path = search_path()
    return bool(path) and any(unmet(line, path) is not None for line in (HIGHDICOM, PYDICOM))


def install_words() -> list[str]:
    """Return what pip is told."""
    return ["install", "--target", str(own_folder()), "--upgrade", "--no-deps", *TOGETHER]
