"""Packages that only some work needs, and the command that installs them.

The command names the packages themselves: `tumorseg` with the name of an extra in brackets would
be looked for on an index, where TumorSeg need not be.
"""

from __future__ import annotations

import sys
from typing import Literal

Extra = Literal["slicer", "train", "dicom", "report", "shell", "cohort", "node", "server", "web"]

EXTRAS: dict[Extra, tuple[str, ...]] = {
    "slicer": ("slicer-core==5.12.4.0",),
    "train": (
        "lightning>=2.6",
        "monai>=1.5",
        "scikit-learn>=1.4",
        "matplotlib>=3.8",
        "tensorboard>=2.16.2",
        "jinja2>=3.1",
    ),
    "dicom": ("highdicom>=0.28",),
    "report": ("reportlab>=4.2",),
    "shell": ("shtab>=1.7",),
    "cohort": ("ray[client]>=2.52", "pyarrow>=16"),
    "node": ("highdicom>=0.28", "pynetdicom>=3.0", "dicomweb-client>=0.60"),
    "server": ("ray>=2.52", "fastapi>=0.115", "uvicorn>=0.30"),
    "web": ("trame-slicer[standalone]>=2,<3",),
}
"""As in `pyproject.toml`, which is not there where TumorSeg is installed."""


def pip_install(extra: Extra) -> str:
    """Return the command that installs what `extra` needs into this Python."""
    return " ".join([sys.executable, "-m pip install", *(f'"{line}"' for line in EXTRAS[extra])])
