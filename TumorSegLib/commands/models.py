"""`tumorseg models`: which models are here; others are installed and removed."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.table import Table

from TumorSegLib.commands.common import progress_bar
from TumorSegLib.commands.terminal import say, terminal, warn
from TumorSegLib.errors import ModelError
from TumorSegLib.model.catalogue import SHIPPED, Catalogue, default_catalogue, user_folder
from TumorSegLib.model.default_models import make_default
from TumorSegLib.model.licences import licences_of
from TumorSegLib.model.model_import import add_models, remove_model, unpacked_models
from TumorSegLib.model.model_source import model_source
from TumorSegLib.support.schema import to_dict
from TumorSegLib.support.version import JSON_FORMAT
from TumorSegLib.support.words import counted

if TYPE_CHECKING:
    from TumorSegLib.inference.slice_inference import ProgressCallback
    from TumorSegLib.model.specification import ModelSpecification


WIDTH_OF_FILES = 200
"""Characters of a line where the table goes into a file or another program."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg models`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument(
        "--default", metavar="ID", help="use this model where none is named, for its modality"
    )
    parser.add_argument(
        "--install",
        "--import",
        dest="source",
        metavar="FILE|FOLDER|URL",
        help="add models to your own: of a .zip file, a folder, or a .zip file at an https address",
    )
    parser.add_argument(
        "--sha256", metavar="HEX", help="install the file only if this is its SHA-256"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace your own models of the same ids; those that come with TumorSeg never are",
    )
    parser.add_argument(
        "--yes", action="store_true", help="accept the licence of what is installed without asking"
    )
    parser.add_argument("--remove", metavar="ID", help="delete one of your own models")


def run(arguments: Namespace) -> int:
    """List the models."""
    catalogue = default_catalogue()
    if arguments.source is not None:
        _install(arguments, catalogue)
        catalogue = default_catalogue()
    if arguments.remove is not None:
        remove_model(catalogue.find(arguments.remove), catalogue, user_folder())
        catalogue = default_catalogue()
    if arguments.default is not None:
        make_default(catalogue.find(arguments.default).specification, user_folder())
        catalogue = default_catalogue()
    if arguments.json:
        models = [
            to_dict(bundle.specification) | {"folder": str(bundle.folder)}
            for bundle in catalogue.bundles
        ]
        answer = {"format": JSON_FORMAT, "models": models, "broken": list(catalogue.broken)}
        print(json.dumps(answer, indent=2))  # noqa: T201
    else:
        _show(catalogue)
    if not catalogue.bundles:
        raise ModelError(
            f"no models in {user_folder()} and {SHIPPED}; tumorseg models --install adds some"
        )
    return 0


def _install(arguments: Namespace, catalogue: Catalogue) -> None:
    own, source = user_folder(), arguments.source
    with (
        _download_bar(shown="://" in source and not arguments.json) as progress,
        model_source(source, own, sha256=arguments.sha256, progress=progress) as (path, sha256),
        unpacked_models(path, own) as bundles,
    ):
        if "://" in source and arguments.sha256 is None:
            say(f"SHA-256 of what came: {sha256}")
        for licence in licences_of(bundles):
            say(f"{licence.name} {licence.url}")
            say(licence.use)
            if not arguments.yes and not _agreed():
                raise ModelError(f"{source}: not installed, for want of --yes to its licence")
        add_models(bundles, catalogue, own, overwrite=arguments.overwrite)


@contextmanager
def _download_bar(*, shown: bool) -> Iterator[ProgressCallback]:
    """Show how much has been downloaded; yield what is told so, in bytes."""
    with progress_bar("download", shown=shown, counted="MB") as bar:
        yield lambda done, total: bar(done // 1_000_000, max(done, total) // 1_000_000)


def _agreed() -> bool:
    return sys.stdin.isatty() and input("Accept? [y/N] ").strip().lower() in ("y", "yes")


def _show(catalogue: Catalogue) -> None:
    table = Table(box=None)
    table.add_column("Id", no_wrap=True, overflow="ignore")  # to be copied
    for heading in ("Version", "Default", "Image", "Finds (measured on patients aside)"):
        table.add_column(heading)
    for bundle in catalogue.bundles:
        model = bundle.specification
        channels = ", ".join(channel.name for channel in model.input.channels)
        default = f"{model.modality} {model.task}" if catalogue.is_default(bundle) else ""
        image = channels if model.modality.lower() == channels else f"{model.modality}: {channels}"
        table.add_row(model.id, model.version, default, image, _accuracy(model))
    output = terminal()
    if not output.is_terminal:
        output.width = WIDTH_OF_FILES
    output.print(table)
    for line in catalogue.broken:
        warn(line, kind="unusable")


def _accuracy(model: ModelSpecification) -> str:
    """Return what a model finds, and how well on patients that it never saw."""
    names = ", ".join(label.name for label in model.labels)
    done = model.evaluation
    if done is None:
        return f"{names} (not measured)"
    figures = [
        f"{name} Dice {structure.dice.mean:.2f}"
        for name, structure in done.structures.items()
        if structure.dice.mean is not None
    ]
    if model.task == "detection" and done.slices is not None and done.slices.roc_auc.value:
        figures = [f"slices with {names} AUC {done.slices.roc_auc.value:.2f}"]
    if not figures:
        return f"{names} (not measured)"
    patients = counted(done.patients, "patient")
    version = "" if done.version in ("", model.version) else f", version {done.version}"
    return f"{', '.join(figures)} ({patients}{version})"
