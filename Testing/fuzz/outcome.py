"""What became of an input."""

from __future__ import annotations

from dataclasses import dataclass

READ, REFUSED = "read", "refused"
TRACEBACK, UNCLEAR, SIGNAL, HANG, MEMORY, OTHERS, LEFT = (
    *("traceback", "unclear", "signal", "hang", "memory", "other's voxels", "left behind"),
)
FAULTS = (TRACEBACK, UNCLEAR, SIGNAL, HANG, MEMORY, OTHERS, LEFT)
KINDS = (READ, REFUSED, *FAULTS)


class OthersVoxels(Exception):
    """Voxels that were read are not in the file that they should come from."""


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        number: of the input; with the target and the seed it makes the input anew.
        kind: read; refused in one clear line; or a fault: an exception that is not for users, a
            message of several lines or with control characters, a process that a signal ended,
            that went on too long or took too much memory, voxels that are not the file's or differ
            between two readings, files outside the place that they belong to.
        detail: message, traceback or the signal's name.
        checked: whether what was read was compared with the file.
    """

    number: int
    kind: str
    detail: str = ""
    checked: bool = False

    @property
    def is_fault(self) -> bool:
        return self.kind in FAULTS
