"""`tumorseg doctor`: what is installed and works here, to look at and to paste into a report."""

from __future__ import annotations

import json
import os
import platform
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from TumorSegLib.commands.terminal import terminal
from TumorSegLib.errors import TumorSegError
from TumorSegLib.model.bundle import check_files
from TumorSegLib.model.catalogue import CLOSED, default_catalogue, user_folder
from TumorSegLib.support.extras import EXTRAS, MODULES, install_line, pip_install
from TumorSegLib.support.version import JSON_FORMAT, __version__

State = Literal["ok", "missing", "broken"]

REQUIRED = (
    *("torch", "numpy", "scipy", "SimpleITK", "pydicom", "pillow", "safetensors", "rich"),
    *("filelock", "jinja2"),
)
"""Packages without which nothing is segmented."""

OPTIONAL = {
    "slicer": ("slicer-core", "slicer", "scenes (.mrb) read outside of 3D Slicer"),
    "dicom": ("highdicom", "highdicom", "DICOM Segmentations and reports"),
    "report": ("reportlab", "reportlab", "reports as PDF"),
    "shell": ("shtab", "shtab", "completion in a shell"),
    "cohort": ("ray", "ray", "many cases at once"),
    "node": ("pynetdicom", "pynetdicom", "a node that a PACS sends to"),
    "server": ("fastapi", "fastapi", "segmenting for other computers"),
    "train": ("lightning", "lightning", "training and retraining"),
    "web": ("trame-slicer", "trame_slicer", "the page in a browser"),
}
"""By extra: a package of it, the name that it is imported by, and what needs it."""

COLOURS = {"ok": "green", "missing": "yellow", "broken": "red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what it is.
        state: "missing" is what only some work needs.
        found: its version or what else was found.
        mend: the command or step that mends it; empty if nothing needs to be.
    """

    about: str
    state: State
    found: str
    mend: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg doctor`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")


def run(arguments: Namespace) -> int:
    """Print what is found; 2 if anything is broken."""
    findings = [*_system(), *_packages(), *_extras(), *_device(), *_models()]
    if arguments.json:
        rows = [asdict(finding) for finding in findings]
        print(json.dumps({"format": JSON_FORMAT, "findings": rows}, indent=2))  # noqa: T201
    else:
        output = terminal()
        for finding in findings:
            output.print(f"{finding.state:8}", style=COLOURS[finding.state], end="")
            output.print(f"{finding.about}: {finding.found}", soft_wrap=True)
            if finding.mend:
                output.print(f"{'':8}  {finding.mend}", soft_wrap=True)
    return 2 if any(finding.state == "broken" for finding in findings) else 0


def _system() -> Iterator[Finding]:
    yield Finding("TumorSeg", "ok", __version__)
    yield Finding("Python", "ok", f"{platform.python_version()}, {_without_home(sys.executable)}")
    cores = f"{os.cpu_count() or 1} cores"
    yield Finding(
        "system", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}, {cores}"
    )


def _packages() -> Iterator[Finding]:
    for package in REQUIRED:
        if find_spec(MODULES.get(package, package)) is None:
            mend = _without_home(install_line([package]))
            yield Finding(package, "broken", "not installed", mend)
        else:
            yield Finding(package, "ok", _version(package))


def _extras() -> Iterator[Finding]:
    for extra in EXTRAS:
        package, name, use = OPTIONAL[extra]
        if find_spec(name) is None:
            mend = _without_home(pip_install(extra))
            yield Finding(package, "missing", f"not installed; for {use}", mend)
        else:
            yield Finding(package, "ok", f"{_version(package)}; for {use}")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # part of an application, as in 3D Slicer
        return "there, version unknown"


def _device() -> Iterator[Finding]:
    if find_spec("torch") is None:
        return
    from TumorSegLib.support.device import choose_device, choose_precision

    device, reason = choose_device("auto")
    precision = str(choose_precision("auto", device)).removeprefix("torch.")
    yield Finding("device", "ok", f"{device} ({reason}), {precision}")


def _models() -> Iterator[Finding]:
    catalogue = default_catalogue()
    for bundle in catalogue.bundles:
        about = f"model {bundle.id} {bundle.specification.version}"
        own = bundle.folder.parent == user_folder()
        try:
            check_files(bundle)
        except TumorSegError as error:
            mend = f"tumorseg models --remove {bundle.id}" if own else "install TumorSeg again"
            yield Finding(about, "broken", _without_home(str(error)), mend)
        else:
            yield Finding(about, "ok", "its files are whole" + (", your own" if own else ""))
    for line in catalogue.broken:
        mend = "" if line.endswith(CLOSED) else "remove its folder"
        yield Finding("model", "broken", _without_home(line), mend)
    if not catalogue.bundles:
        yield Finding("models", "broken", "there are none", "tumorseg models --install FILE")


def _without_home(text: str) -> str:
    """Return a text in which the user's folder, and so the name, does not stand.

    A shell knows `~` outside of quotes only.
    """
    home = str(Path.home())
    if home in ("/", ""):
        return text
    return text.replace(f"'{home}/", "~/'").replace(home, "~")
