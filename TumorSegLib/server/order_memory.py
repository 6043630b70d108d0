"""The memory of one order, which the server and the process that segments both see.

Voxels come in and results go out by it. It is shared memory, not a file on disk, and its names go
with the order; what a server that was killed left is removed by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.remote.protocol import Order, SentVolume
from TumorSegLib.worker.shared_memory import SharedBlock

ALIGNMENT = 64
CANCELLED, TOTAL, WRITTEN = range(3)
"""Places in the array by which one tells the other to stop, and how many slices it will run; from
the last one on, a place for each axial slice: whether its labels are there."""


@dataclass(frozen=True)
class Names:
    """Blocks of shared memory and their sizes in bytes."""

    body: str
    results: str
    state: str
    labels: int


def needed(order: Order, labels: int) -> int:
    """Return the bytes of memory that an order takes with a model of so many labels."""
    return sum(_sizes(order, labels).values())


class OrderMemory:
    """Voxels, label map, probabilities and state of an order.

    Attributes:
        names: for the process that segments.
        body: bytes of the voxels, each volume at its `offsets`.
        labelmap: uint8 (z, y, x).
        probabilities: uint8 (labels, z, y, x).
    """

    def __init__(self, order: Order, names: Names, blocks: Mapping[str, SharedBlock]) -> None:
        self.names = names
        self._blocks = dict(blocks)
        self._order = order
        shape = order.first.shape
        results = blocks["results"].array((1 + names.labels, *shape), np.uint8)
        self.body: NDArray[np.uint8] = blocks["body"].array((_body_bytes(order),), np.uint8)
        self.labelmap, self.probabilities = results[0], results[1:]
        places = WRITTEN + max(order.first.shape)
        self.state: NDArray[np.int64] = blocks["state"].array((places,), np.int64)

    @classmethod
    def create(cls, order: Order, labels: int) -> OrderMemory:
        """Return new memory, all zero.

        Raises:
            OSError: there is not enough shared memory.
        """
        sizes = _sizes(order, labels)
        blocks: dict[str, SharedBlock] = {}
        try:
            for name, size in sizes.items():
                blocks[name] = SharedBlock.create(size)
        except BaseException:
            for block in blocks.values():
                block.unlink()
            raise
        names = {name: block.name for name, block in blocks.items()}
        return cls(order, Names(names["body"], names["results"], names["state"], labels), blocks)

    @classmethod
    def attach(cls, order: Order, names: Names) -> OrderMemory:
        """Return memory that another process made.

        Raises:
            OSError: it is not there any more.
        """
        sizes = _sizes(order, names.labels)
        blocks = {
            name: SharedBlock.attach(getattr(names, name), size) for name, size in sizes.items()
        }
        return cls(order, names, blocks)

    def unlink(self) -> None:
        """Remove the names; the memory goes with the last array on it."""
        for block in self._blocks.values():
            block.unlink()

    def begin(self) -> None:
        """Forget an attempt that has come to nothing."""
        self.labelmap[:] = 0
        self.probabilities[:] = 0
        self.state[TOTAL:] = 0

    def buffers(self) -> dict[str, NDArray[np.uint8]]:
        """Return by channel the bytes in which its voxels arrive, in the order of the body."""
        return {
            name: self.body[start : start + volume.bytes]
            for (name, volume), start in zip(
                self._order.volumes.items(), _offsets(self._order), strict=True
            )
        }

    def volumes(self) -> dict[str, Volume]:
        """Return the volumes by channel name, which is all that they are called.

        Raises:
            InputError: one cannot be used.
        """
        return {
            name: Volume(
                buffer.view(np.dtype(sent.dtype).newbyteorder("<")).reshape(sent.shape),
                grid_of(sent),
                name=name,
            )
            for (name, sent), buffer in zip(
                self._order.volumes.items(), self.buffers().values(), strict=True
            )
        }


def grid_of(sent: SentVolume) -> Grid:
    """Return the grid of a volume that was sent.

    Raises:
        InputError: it is none.
    """
    rows = np.reshape(sent.direction, (3, 3)).tolist()
    direction: Any = tuple(tuple(row) for row in rows)
    spacing: Any = sent.spacing
    origin: Any = sent.origin
    return Grid(sent.shape, spacing, origin, direction)


def _sizes(order: Order, labels: int) -> dict[str, int]:
    return {
        "body": _body_bytes(order),
        "results": order.first.voxels * (1 + labels),
        "state": 8 * (WRITTEN + max(order.first.shape)),
    }


def _offsets(order: Order) -> list[int]:
    offsets, end = [], 0
    for volume in order.volumes.values():
        offsets.append(end)
        end += -(-volume.bytes // ALIGNMENT) * ALIGNMENT
    return offsets


def _body_bytes(order: Order) -> int:
    return sum(-(-volume.bytes // ALIGNMENT) * ALIGNMENT for volume in order.volumes.values())
