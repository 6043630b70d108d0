"""Lines for people: names may hold brackets and colons, or what would steer the terminal."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from TumorSegLib.errors import escaped


def terminal(*, stderr: bool = False) -> Console:
    """Return where lines and tables are printed; nothing in them is taken for markup."""
    return _Terminal(stderr=stderr, highlight=False, markup=False, emoji=False)


class _Terminal(Console):
    """A console on which nothing that is printed steers the terminal.

    It leaves it to the command what becomes of a reader who has gone.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a line or a table's cell without what a terminal would obey."""
        return super().render_str(escaped(text), **options)

    def on_broken_pipe(self) -> None:
        """Do not end the process with status 1, as rich does."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def say(line: str) -> None:
    """Print a line to standard error, at once."""
    print(escaped(line), file=sys.stderr, flush=True)  # noqa: T201


def warn(line: str, *, kind: str = "warning") -> None:
    """Print a warning to standard error."""
    said = Text.assemble((f"{kind}:", "yellow"), " ", escaped(line))
    terminal(stderr=True).print(said, soft_wrap=True)
