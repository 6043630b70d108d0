"""`tumorseg node`: a DICOM node that segments what a PACS sends and sends the results back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.errors import OutputError

if TYPE_CHECKING:
    from TumorSegLib.node.settings import NodeSettings

PACKAGES = ("pynetdicom", "dicomweb_client", "highdicom")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg node`."""
    parser.add_argument(
        "settings", metavar="FILE", type=Path, help="TOML file of settings and rules"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", action="store_true", help="say what the file asks for, and do nothing"
    )
    what.add_argument(
        "--status", action="store_true", help="say what waits, is under way, was done and failed"
    )
    parser.add_argument(
        "--identify", action="store_true", help="with --status: the series' UIDs, too"
    )


def run(arguments: Namespace) -> int:
    """Run the node until it is told to end, or say what it does."""
    from TumorSegLib.node.settings import read_settings

    settings = read_settings(arguments.settings)
    if arguments.status:
        return _show_status(settings, identify=arguments.identify)
    from TumorSegLib.model.catalogue import default_catalogue
    from TumorSegLib.node.service import Node

    catalogue = default_catalogue()
    for line in catalogue.broken:
        warn(line, kind="unusable model")
    node = Node(settings, catalogue)
    if arguments.check:
        output = terminal()
        for line in node.described():
            output.print(line, soft_wrap=True)
        return 0
    _check_installed()
    try:
        node.run()
    except KeyboardInterrupt:
        node.end()
    return 0


def _check_installed() -> None:
    """Refuse to begin without what the end needs.

    Raises:
        OutputError: a package is missing.
    """
    from TumorSegLib.support.extras import pip_install

    for name in PACKAGES:
        if find_spec(name) is None:
            package = name.replace("_", "-")
            raise OutputError(
                f"a node needs {package}, which is not installed; run {pip_install('node')}"
            )


def _show_status(settings: NodeSettings, *, identify: bool) -> int:
    from TumorSegLib.node.status import read_status

    status = read_status(settings.place)
    output = terminal()
    output.print(status.summary)
    for line in status.lines:
        output.print(line.told(identify=identify), soft_wrap=True)
    return 0
