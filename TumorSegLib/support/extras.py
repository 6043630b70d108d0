"""Packages that only some work needs, and the command that installs them.

The command names the packages themselves: `tumorseg` with the name of an extra in brackets would
be looked for on an index, where TumorSeg need not be.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from typing import Literal

from TumorSegLib.support.system import is_windows

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


MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}
"""By package: what it is imported by, where that is called otherwise."""
PACKAGES = {module: package for package, module in MODULES.items()}


def pip_install(extra: Extra) -> str:
    """Return the command that installs what `extra` needs into this Python."""
    return install_line(EXTRAS[extra])


def install_line(packages: Sequence[str]) -> str:
    """Return the command, to be pasted into a shell, that installs packages into this Python."""
    named = " ".join(line if line.isalnum() else f'"{line}"' for line in packages)
    return f"{for_shell(sys.executable)} -m pip install {named}"


def for_shell(program: str) -> str:
    """Return a program's path as a shell takes it, in quotes where it has blanks and the like."""
    if not is_windows():
        return shlex.quote(program)
    return f'"{program}"' if re.search(r"[ &()^;,]", program) else program
