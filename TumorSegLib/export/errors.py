"""Refusals of an export that the user can answer, told apart by type."""

from __future__ import annotations

from TumorSegLib.errors import InputError


class CaseExistsError(InputError):
    """The case is in the data set already; replace it?"""


class OverlapError(InputError):
    """Segments overlap that a label map cannot hold; write one file a segment?"""


class UnknownSegmentsError(InputError):
    """Segments are none of the model's labels; which are they?

    Attributes:
        names: of the segments.
    """

    def __init__(self, message: str, names: tuple[str, ...]) -> None:
        super().__init__(message)
        self.names = names
