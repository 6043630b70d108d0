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
from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.errors import ModelError
from TumorSegLib.model.catalogue import Catalogue, default_catalogue, user_folder
from TumorSegLib.model.default_models import make_default
from TumorSegLib.model.licences import licences_of
from TumorSegLib.model.model_import import add_models, remove_model, unpacked_models
from TumorSegLib.model.model_source import model_source
from TumorSegLib.support.schema import to_dict

if TYPE_CHECKING:
    from TumorSegLib.inference.slice_inference import ProgressCallback


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
        print(json.dumps({"models": models, "broken": list(catalogue.broken)}, indent=2))  # noqa: T201
    else:
        _show(catalogue)
    return 0


def _install(arguments: Namespace, catalogue: Catalogue) -> None:
    own, source = user_folder(), arguments.source
    with (
        _download_bar(shown="://" in source and not arguments.json) as progress,
        model_source(source, own, sha256=arguments.sha256, progress=progress) as (path, sha256),
        unpacked_models(path, own) as bundles,
    ):
        if "://" in source and arguments.sha256 is None:
            print(f"SHA-256 of what came: {sha256}", file=sys.stderr)  # noqa: T201
        for licence in licences_of(bundles):
            print(f"{licence.name} {licence.url}\n{licence.use}", file=sys.stderr)  # noqa: T201
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
    table = Table("Id", "Title", "Modality", "Labels", "Version", box=None)
    for bundle in catalogue.bundles:
        model = bundle.specification
        labels = ", ".join(label.name for label in model.labels)
        default = " (default)" if catalogue.is_default(bundle) else ""
        table.add_row(model.id, model.title, model.modality + default, labels, model.version)
    terminal().print(table)
    for line in catalogue.broken:
        warn(line, kind="unusable")
