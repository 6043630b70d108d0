"""The errors that a user can do something about.

Each message is one line: what is unusable, what was found, what was expected, what to do. The
command prints it and exits with status 2; the panel shows it. Anything else is our fault.
"""

from __future__ import annotations

import re

LONG_WORD = re.compile(r"(\S{300})\S{400,}(\S{300})")


def escaped(text: str) -> str:
    r"""Return a text that a terminal shows as it is, on one line.

    What would not show, move the cursor or turn the text round is written as an escape, `\x1b` for
    instance.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def fault(error: BaseException) -> str:
    """Return a line on an error that nobody foresaw: its kind and place, not what it quotes."""
    import traceback  # seldom needed, and the command starts quicker without them
    from pathlib import Path

    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"unexpected fault, please report it: {type(error).__name__}{place}"


class TumorSegError(Exception):
    """Base of all errors whose message is written for the user.

    Names and values from files stand in messages: see `escaped`; and of what is longer than a
    path the middle is left out.
    """

    def __str__(self) -> str:
        return escaped(LONG_WORD.sub(r"\1...\2", super().__str__()))


class InputError(TumorSegError):
    """A volume, a further sequence or an option cannot be used."""


class ModelError(TumorSegError):
    """A model bundle cannot be found or used."""


class OutputError(TumorSegError):
    """A result cannot be written."""


class ServerError(TumorSegError):
    """A server is away, does not want an order, or has not kept it; here it can still be run."""


class Cancelled(TumorSegError):
    """The caller asked to stop; nothing was written."""

    def __init__(self) -> None:
        super().__init__("cancelled; nothing was written")
