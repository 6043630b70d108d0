"""What the worker process is told: its standard input, read on a thread of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from TumorSegLib.support.schema import parsed
from TumorSegLib.worker.dicom_protocol import SaveDicom
from TumorSegLib.worker.measure_protocol import Measure
from TumorSegLib.worker.process_group import end_own_group
from TumorSegLib.worker.protocol import (
    Cancel,
    Command,
    Export,
    Forget,
    Segment,
    Share,
    Threshold,
    from_line,
)
from TumorSegLib.worker.report_protocol import WriteReport
from TumorSegLib.worker.shared_memory import SharedBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

OWN_GROUP = "--own-group"
"""Argument that says that the process group was made for the worker, which may thus end it."""

SHOWN_BYTES = 80
"""Of a line that is no command."""


class Blocks:
    """The shared blocks that the worker has attached to, by name."""

    def __init__(self) -> None:
        self._blocks: dict[str, SharedBlock] = {}

    def attach(self, share: Share) -> None:
        """Attach to a block and remove its name, so that no kill can leave it behind."""
        block = SharedBlock.attach(share.block, share.size)
        block.unlink()
        self._blocks[share.block] = block

    def forget(self, name: str) -> None:
        """Let go of a block."""
        self._blocks.pop(name, None)

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Return an array on a block."""
        return self._blocks[name].array(shape, dtype)


@dataclass(frozen=True)
class Garbled:
    """A line that is no command; `job` is that it names, if it names one."""

    job: int | None
    message: str


Waiting = Segment | Threshold | Export | Measure | SaveDicom | WriteReport | Forget | Garbled
"""What the worker answers in its turn."""


class Inbox:
    """Reads commands on a thread of its own.

    Blocks are attached to and jobs are cancelled at once, also while PyTorch is being imported or
    a volume is being segmented; the other commands wait in a queue.
    """

    def __init__(self, stream: BinaryIO, blocks: Blocks) -> None:
        self.blocks = blocks
        self._stream = stream
        self._waiting: queue.Queue[Waiting] = queue.Queue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Waiting:
        """Wait for a command."""
        return self._waiting.get()

    def is_cancelled(self, job: int) -> bool:
        """Tell whether the panel no longer wants this job."""
        return job in self._cancelled

    def _read(self) -> None:
        try:
            for line in self._stream:
                try:
                    self._take(from_line(line))
                except Exception as error:
                    self._waiting.put(garbled(line, error))
        finally:
            end_process_tree()

    def _take(self, command: Command) -> None:
        match command:
            case Share():
                with contextlib.suppress(FileNotFoundError):  # the panel has given up on it
                    self.blocks.attach(command)
            case Cancel():
                self._cancelled.add(command.job)
            case _:
                self._waiting.put(command)


def garbled(line: bytes, error: Exception) -> Garbled:
    """Return what to answer to a line that cannot be followed."""
    said = line[:SHOWN_BYTES].decode(errors="backslashreplace").strip()
    message = f"not a command of this version: {said!r} ({error}); start the worker anew"
    try:
        job = parsed(line).get("job")
    except (ValueError, AttributeError):
        job = None
    return Garbled(job if type(job) is int else None, " ".join(message.split()))


def end_process_tree() -> None:
    """End this process and those it started, at once and whatever they are doing."""
    if OWN_GROUP in sys.argv:
        end_own_group()
    os._exit(0)
