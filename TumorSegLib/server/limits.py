"""What a server takes at most: bytes, orders, memory, and time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is more is refused, with its reason.

    Attributes:
        body_bytes: of an order's voxels.
        queue: orders that wait.
        a_user: orders of one user, waiting or under way.
        memory_bytes: of all orders together: voxels, label maps and probabilities.
        head_seconds: that a request's head may take.
        read_seconds: without a byte of a body that is on its way.
        slowest_bytes: of a body in a second, on average.
        write_seconds: in which a client takes nothing of what it is sent.
        connections: at a time.
    """

    body_bytes: int = 2 << 30
    queue: int = 32
    a_user: int = 8
    memory_bytes: int = 8 << 30
    head_seconds: float = 10.0
    read_seconds: float = 20.0
    slowest_bytes: int = 100_000
    write_seconds: float = 30.0
    connections: int = 200

    def body_seconds(self, size: int) -> float:
        """Time in which a body of `size` bytes has to be there."""
        return self.read_seconds + size / self.slowest_bytes
