"""`tumorseg models`: which models are here; others are imported and removed."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.table import Table

from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.errors import ModelError
from TumorSegLib.model.catalogue import Catalogue, default_catalogue, user_folder
from TumorSegLib.model.default_models import make_default
from TumorSegLib.model.licences import licences_of
from TumorSegLib.model.model_import import add_models, remove_model, unpacked_models
from TumorSegLib.support.records import plain


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg models`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument(
        "--default", metavar="ID", help="use this model where none is named, for its modality"
    )
    parser.add_argument(
        "--import", dest="source", metavar="PATH", type=Path, help="add models: a .zip or a folder"
    )
    parser.add_argument("--remove", metavar="ID", help="delete one of your own models")
    parser.add_argument(
        "--yes", action="store_true", help="accept the licence of what is imported without asking"
    )


def run(arguments: Namespace) -> int:
    """List the models."""
    catalogue = default_catalogue()
    if arguments.source is not None:
        _import(arguments.source, catalogue, accepted=arguments.yes)
        catalogue = default_catalogue()
    if arguments.remove is not None:
        remove_model(catalogue.find(arguments.remove), catalogue, user_folder())
        catalogue = default_catalogue()
    if arguments.default is not None:
        make_default(catalogue.find(arguments.default).specification, user_folder())
        catalogue = default_catalogue()
    if arguments.json:
        models = [
            plain(bundle.specification) | {"folder": str(bundle.folder)}
            for bundle in catalogue.bundles
        ]
        print(json.dumps({"models": models, "broken": list(catalogue.broken)}, indent=2))  # noqa: T201
    else:
        _show(catalogue)
    return 0


def _import(source: Path, catalogue: Catalogue, *, accepted: bool) -> None:
    with unpacked_models(source, user_folder()) as bundles:
        for licence in licences_of(bundles):
            print(f"{licence.name} {licence.url}\n{licence.use}", file=sys.stderr)  # noqa: T201
            if not accepted and not _agreed():
                raise ModelError(f"{source}: not imported, for want of --yes to its licence")
        add_models(bundles, catalogue, user_folder())


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
