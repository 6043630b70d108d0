"""The errors that a user can do something about.

Each message is one line: what is unusable, what was found, what was expected, what to do. The
command prints it and exits with status 2; the panel shows it. Anything else is our fault.
"""

from __future__ import annotations


class TumorSegError(Exception):
    """Base of all errors whose message is written for the user."""


class InputError(TumorSegError):
    """A volume, a further sequence or an option cannot be used."""


class ModelError(TumorSegError):
    """A model bundle cannot be found or used."""


class OutputError(TumorSegError):
    """A result cannot be written."""


class Cancelled(TumorSegError):
    """The caller asked to stop; nothing was written."""

    def __init__(self) -> None:
        super().__init__("cancelled; nothing was written")
