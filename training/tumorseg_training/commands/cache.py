"""`tumorseg cache`: the decoded slices that training keeps, and their removal."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from TumorSegLib.commands.terminal import say
from TumorSegLib.support.words import counted


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg cache`."""
    parser.add_argument(
        "--clear", action="store_true", help="remove the decoded slices of all data sets"
    )
    parser.add_argument(
        "--folder", metavar="FOLDER", type=Path, help="data.cache of the config, if it names one"
    )


def run(arguments: Namespace) -> int:
    """Say where the slices are, or remove them."""
    from tumorseg_training.config import Data
    from tumorseg_training.slice_cache import clear_cache

    folder = arguments.folder or Path(Data.cache).expanduser()
    if arguments.clear:
        count, size = clear_cache(folder)
        line = f"removed {counted(count, 'case')}, {size / 1e6:.1f} MB, from {folder}"
    else:
        line = f"decoded slices are kept in {folder}; --clear removes them"
    say(line)
    return 0
