"""`tumorseg completion`: a script by which a shell completes commands, options and files."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from TumorSegLib.errors import TumorSegError
from TumorSegLib.support.extras import pip_install

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg completion`."""
    parser.add_argument("shell", choices=SHELLS, help="for which the script is")


def run(arguments: Namespace) -> int:
    """Print the script.

    Raises:
        TumorSegError: the package that makes it is not installed.
    """
    if find_spec("shtab") is None:
        raise TumorSegError(f"completion needs shtab, not installed; run {pip_install('shell')}")
    import shtab

    from TumorSegLib.cli import all_commands, command_parser

    commands = all_commands()
    parser = command_parser(commands, commands, listed=True)
    for subparser in _parsers(parser):
        for action in subparser._actions:
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))  # noqa: T201
    return 0


def _parsers(parser: ArgumentParser) -> Iterator[ArgumentParser]:
    """Yield the parsers of all commands."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            yield from action.choices.values()
