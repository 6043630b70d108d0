"""Lines for people, printed as they are: names may hold brackets and colons."""

from __future__ import annotations

import errno
import os

from rich.console import Console
from rich.text import Text

JSON_FORMAT = 1
"""Of what --json prints (docs/json.md): a new field keeps it, any other change raises it."""


def terminal(*, stderr: bool = False) -> Console:
    """Return where lines and tables are printed; nothing in them is taken for markup."""
    return _Terminal(stderr=stderr, highlight=False, markup=False, emoji=False)


class _Terminal(Console):
    """A console that leaves it to the command what becomes of a reader who has gone."""

    def on_broken_pipe(self) -> None:
        """Do not end the process with status 1, as rich does."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def warn(line: str, *, kind: str = "warning") -> None:
    """Print a warning to standard error."""
    said = Text.assemble((f"{kind}:", "yellow"), " ", line)
    terminal(stderr=True).print(said, soft_wrap=True)
