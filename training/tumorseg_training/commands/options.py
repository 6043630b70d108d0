"""Options that several commands have."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence

from TumorSegLib.errors import InputError


def add_label_option(parser: ArgumentParser) -> None:
    """Add --label, which may be repeated."""
    parser.add_argument(
        "--label",
        dest="labels",
        metavar="STRUCTURE=VALUE",
        action="append",
        type=mapped,
        default=[],
        help="what a structure of the data set is for the model",
    )


def add_accelerator_option(parser: ArgumentParser) -> None:
    """Add --accelerator."""
    parser.add_argument(
        "--accelerator",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="kind of device",
    )


def labels_of(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Return the value of each structure that --label names.

    Raises:
        InputError: one is named twice.
    """
    labels: dict[str, int] = {}
    for structure, value in pairs:
        if structure in labels:
            raise InputError(f"--label {structure}: given twice")
        labels[structure] = value
    return labels


def mapped(text: str) -> tuple[str, int]:
    """Return a structure and its value from STRUCTURE=VALUE."""
    structure, separator, value = text.rpartition("=")
    if not separator or not value.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not STRUCTURE=VALUE")
    return structure, int(value)
