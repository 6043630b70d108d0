"""`tumorseg models`: which models are here."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from rich.table import Table

from TumorSegLib.catalogue import Catalogue, default_catalogue, user_folder
from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.default_models import make_default
from TumorSegLib.records import plain


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg models`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument(
        "--default", metavar="ID", help="use this model where none is named, for its modality"
    )


def run(arguments: Namespace) -> int:
    """List the models."""
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
