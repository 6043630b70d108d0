"""Lines for people, printed as they are: names may hold brackets and colons."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def terminal(*, stderr: bool = False) -> Console:
    """Return where lines and tables are printed; nothing in them is taken for markup."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def warn(line: str, *, kind: str = "warning") -> None:
    """Print a warning to standard error."""
    said = Text.assemble((f"{kind}:", "yellow"), " ", line)
    terminal(stderr=True).print(said, soft_wrap=True)
