"""Which packages the worker needs, and whether those that are installed will do. No Qt, no MRML.

Nothing is imported to find out: what is on disk is compared with what is required.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from pathlib import Path

from TumorSegLib.support.torch_support import torch_requirement

RESOURCES = Path(__file__).resolve().parents[2] / "Resources"
REQUIREMENTS = RESOURCES / "requirements.txt"
TRAINING_REQUIREMENTS = RESOURCES / "requirements-training.txt"
PDF_REQUIREMENTS = RESOURCES / "requirements-report.txt"

BROUGHT_BY_SLICER = {"numpy", "scipy", "simpleitk", "vtk"}
"""Packages that a build of Slicer may have without pip's record of them."""

OF_TORCH = {"torch", "torchvision", "torchaudio", "triton"}
"""Packages that are one build and are only ever replaced together."""

DEPENDENCIES = {
    "torch": "torchvision light-the-torch filelock fsspec jinja2 markupsafe mpmath networkx pillow"
    " setuptools sympy typing-extensions",
    "lightning": "lightning-utilities packaging pytorch-lightning pyyaml torchmetrics tqdm",
    "matplotlib": "contourpy cycler fonttools kiwisolver packaging pillow pyparsing python-dateutil"
    " six tzdata",
    "tensorboard": "absl-py grpcio markdown markupsafe packaging pillow protobuf setuptools"
    " tensorboard-data-server typing-extensions werkzeug",
    "jinja2": "markupsafe",
    "reportlab": "charset-normalizer pillow",
    "rich": "markdown-it-py mdurl pygments",
}
"""What the packages need in turn, so that the question can name it without asking an index."""

ABSENT, TOO_OLD, INCOMPLETE = "absent", "too old", "incomplete"


@dataclass(frozen=True)
class Missing:
    """A package that must be installed.

    Attributes:
        name: of the package.
        requirement: as pip is told it, "scipy>=1.11".
        why: ABSENT, TOO_OLD (or too new) or INCOMPLETE, as an interrupted installation leaves it.
        version: that is installed, "" if there is none.
    """

    name: str
    requirement: str
    why: str
    version: str = ""


def missing_packages(
    *, training: bool = False, pdf: bool = False, path: list[str] | None = None
) -> list[Missing]:
    """Return what must be installed to segment, or to retrain as well.

    Args:
        training: ask for what retraining needs, too.
        pdf: ask for what PDFs need, too.
        path: folders in which packages are looked for; `sys.path` if not given.
    """
    path = sys.path if path is None else path
    lines = [f"torch{torch_requirement()}", *requirement_lines(training=training, pdf=pdf)]
    checked = [unmet(line, path) for line in lines]
    return [missing for missing in checked if missing is not None]


def import_ahead() -> None:
    """Import what reads requirements, so that no click waits for that."""
    with suppress(ImportError):
        import_module("packaging.requirements")


def requirement_lines(*, training: bool = False, pdf: bool = False) -> list[str]:
    """Return the lines of the files of requirements."""
    further = ((training, TRAINING_REQUIREMENTS), (pdf, PDF_REQUIREMENTS))
    files = [REQUIREMENTS, *(file for wanted, file in further if wanted)]
    lines = [line.strip() for file in files for line in file.read_text("utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def installed_versions(path: list[str] | None = None) -> dict[str, str]:
    """Return the versions of all packages of which pip has a record, by normalised name."""
    versions: dict[str, str] = {}
    for distribution in distributions(path=sys.path if path is None else path):
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        if name and version:
            versions.setdefault(normalised(name), version)
    return versions


def also_installed(missing: Sequence[Missing], path: list[str] | None = None) -> list[str]:
    """Return the names of what `missing` packages bring with them, as far as it is absent."""
    versions = installed_versions(path)
    names = {package.name for package in missing}
    along = {name for package in names for name in DEPENDENCIES.get(package, "").split()}
    return sorted(along - names - versions.keys())


def constraints(missing: Sequence[Missing], path: list[str] | None = None) -> list[str]:
    """Return lines for pip that keep every installed package at its version.

    Those of `missing` may change, and with torch the packages of its build.
    """
    names = {normalised(package.name) for package in missing}
    if "torch" in names:
        names |= OF_TORCH
    return [
        f"{name}=={version}"
        for name, version in sorted(installed_versions(path).items())
        if name not in names and not ("torch" in names and name.startswith("nvidia-"))
    ]


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")


def installed_version(name: str, path: list[str] | None = None) -> str:
    """Return the version of a package of which pip has a whole record, "" if there is none."""
    found = distributions(name=name, path=sys.path if path is None else path)
    return next((item.metadata["Version"] for item in found if item.metadata["Version"]), "")


def unmet(line: str, path: list[str]) -> Missing | None:
    """Return what is wrong with the package that a line requires, None if nothing is.

    Args:
        line: of requirements.
        path: folders in which it is looked for.
    """
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    name = requirement.name
    version = installed_version(name, path)
    spec = PathFinder.find_spec(name, path)
    importable = spec is not None and spec.origin is not None
    told = f"{name}{requirement.specifier}"
    if not version and importable and normalised(name) in BROUGHT_BY_SLICER:
        return None
    if bool(version) != importable:
        return Missing(name, told, INCOMPLETE, version)
    if not version:
        return Missing(name, told, ABSENT)
    if not requirement.specifier.contains(version, prereleases=True):
        return Missing(name, told, TOO_OLD, version)
    return None
